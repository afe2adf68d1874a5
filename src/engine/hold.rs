//! Volumes that are kept mounted while no container of theirs runs, and what is in them.

use bollard::query_parameters::{DownloadFromContainerOptions, UploadToContainerOptions};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::container::COPYING;
use super::{Engine, Error, is_status};

/// A copy into a container that was begun and has not ended. Dropped, it ends as well.
pub struct Held {
    end: oneshot::Sender<()>,
    copying: JoinHandle<Result<(), Error>>,
}

impl Held {
    /// Ends it.
    pub async fn end(self) -> Result<(), Error> {
        drop(self.end);
        match self.copying.await {
            Ok(ended) => ended,
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        }
    }
}

impl Engine {
    /// Begins to copy files into a directory of a container that need not run, and does not end: so long its volumes are mounted.
    pub fn hold(&self, name: &str, directory: &str) -> Held {
        let (end, ended) = oneshot::channel::<()>();
        let rest = async move {
            // It is let go by a word, or by whoever would have said it.
            let _ = ended.await;
            Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1024]))
        };
        let patient = self.docker.clone().with_timeout(COPYING);
        let options = UploadToContainerOptions { path: directory.to_owned(), ..Default::default() };
        let name = name.to_owned();
        let copying = tokio::spawn(async move {
            let sent =
                patient.upload_to_container(&name, Some(options), bollard::body_try_stream(stream::once(rest))).await;
            sent.map_err(|e| Self::failed(format!("copy files into {name}"), e))
        });
        Held { end, copying }
    }

    /// Refuses where what is read of a volume does not say whose files are.
    pub fn tells_owners(&self, verb: &'static str) -> Result<(), Error> {
        if self.place().plain { Err(Error::Unable { host: self.host().to_owned(), verb }) } else { Ok(()) }
    }

    /// Whether there is something at a path of a container that need not run.
    pub async fn has_file(&self, name: &str, path: &str) -> Result<bool, Error> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let found = std::pin::pin!(self.docker.download_from_container(name, Some(options))).next().await;
        match found {
            Some(Ok(_)) => Ok(true),
            Some(Err(error)) if is_status(&error, 404) => Ok(false),
            Some(Err(error)) => Err(Self::failed(format!("look for {path} of {name}"), error)),
            None => Ok(false),
        }
    }
}
