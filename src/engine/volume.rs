//! Volumes: the data that outlives containers.

use std::collections::HashMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};

use super::{Engine, Error, is_status, label, label_filter};

impl Engine {
    /// Makes a volume; one of that name stays as it is.
    pub async fn create_volume(&self, name: &str, labels: &[(String, String)]) -> Result<(), Error> {
        let mut all: HashMap<String, String> = labels.iter().cloned().collect();
        all.insert(label::OWNER.to_owned(), "onramp".to_owned());
        let request = VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(all), ..Default::default() };
        let made = self.docker.create_volume(request).await;
        made.map(|_| ()).map_err(|e| Self::failed(format!("create volume {name}"), e))
    }

    /// The volumes that onramp made and that carry these labels: their names and all their labels.
    pub async fn volumes(&self, labels: &[(&str, &str)]) -> Result<Vec<(String, HashMap<String, String>)>, Error> {
        let options = ListVolumesOptions { filters: Some(label_filter(labels)) };
        let found = self.docker.list_volumes(Some(options)).await.map_err(|e| Self::failed("list volumes", e))?;
        Ok(found.volumes.unwrap_or_default().into_iter().map(|v| (v.name, v.labels)).collect())
    }

    /// Removes a volume; one that is not there is removed.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        match self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Ok(()) => Ok(()),
            Err(error) if is_status(&error, 404) => Ok(()),
            Err(error) => Err(Self::failed(format!("remove volume {name}"), error)),
        }
    }
}
