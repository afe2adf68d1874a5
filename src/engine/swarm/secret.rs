//! Secrets that a swarm keeps, and shows to tasks as files in memory.

use bollard::models::{SecretSpec, TaskSpecContainerSpecFile, TaskSpecContainerSpecSecrets};
use bollard::query_parameters::ListSecretsOptions;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::{Engine, Error, carries, is_status, label, label_filter};
use super::cluster_name;

/// Who reads the file: whoever runs in the container, and nobody else comes there.
const MODE: u32 = 0o444;

/// A secret that a swarm keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSecret {
    id: String,
    name: String,
    path: String,
}

impl KeptSecret {
    /// How a task has it.
    pub(super) fn reference(&self) -> TaskSpecContainerSpecSecrets {
        let superuser = || Some("0".to_owned());
        let file = TaskSpecContainerSpecFile {
            name: Some(self.path.clone()),
            uid: superuser(),
            gid: superuser(),
            mode: Some(MODE),
        };
        TaskSpecContainerSpecSecrets {
            file: Some(file),
            secret_id: Some(self.id.clone()),
            secret_name: Some(self.name.clone()),
        }
    }
}

impl Engine {
    /// Has the swarm keep a secret for a container, to be read at this path.
    pub async fn keep_secret(
        &self,
        container: &str,
        labels: impl Iterator<Item = (String, String)>,
        path: &str,
        value: &str,
    ) -> Result<KeptSecret, Error> {
        let name = cluster_name(&format!("{container}.{path}"));
        let own = [(label::OWNER, "onramp"), (label::CONTAINER, container)];
        let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let spec = SecretSpec {
            name: Some(name.clone()),
            labels: Some(labels.chain(own).collect()),
            data: Some(STANDARD.encode(value)),
            ..Default::default()
        };
        let made = self.docker.create_secret(spec).await;
        let made = made.map_err(|e| Self::failed(format!("keep a secret of {container} on the swarm"), e))?;
        Ok(KeptSecret { id: made.id, name, path: path.to_owned() })
    }

    /// Removes the secrets that onramp made and that carry these labels.
    pub async fn remove_secrets(&self, labels: &[(&str, &str)]) -> Result<(), Error> {
        if !self.manages() {
            return Ok(());
        }
        let options = ListSecretsOptions { filters: Some(label_filter(labels)) };
        let found = self.docker.list_secrets(Some(options)).await.map_err(|e| Self::failed("list secrets", e))?;
        for secret in found {
            let ours = secret.spec.and_then(|spec| spec.labels).is_some_and(|found| carries(&found, labels));
            let Some(id) = secret.id.filter(|_| ours) else { continue };
            match self.docker.delete_secret(&id).await {
                Ok(()) => {}
                Err(error) if is_status(&error, 404) => {}
                Err(error) => return Err(Self::failed("remove a secret of the swarm", error)),
            }
        }
        Ok(())
    }
}
