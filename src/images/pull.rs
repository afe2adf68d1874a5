//! Pulling images by digest, several at once, through the engine.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::Error;
use crate::engine::{Credentials, Engine, LayerProgress};
use crate::event::{Event, Observer};
use crate::reference::ImageRef;
use crate::registry;

/// How many images are pulled at once: the engine unpacks layers one after the other, more only wait.
const AT_ONCE: usize = 4;

/// What happens to one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImagePlan {
    /// The image, by digest.
    pub image: ImageRef,
    /// Whether the engine has it.
    pub present: bool,
}

/// Which of these images, all by digest, must be pulled.
pub async fn plan(engine: &Engine, images: &[ImageRef]) -> Result<Vec<ImagePlan>, Error> {
    let mut plans = Vec::new();
    for image in images {
        plans.push(ImagePlan { image: image.clone(), present: engine.image(&image.to_string()).await?.is_some() });
    }
    Ok(plans)
}

/// Pulls these images, all by digest, and proves that the engine has each under its digest.
pub async fn apply(engine: &Engine, images: &[ImageRef], observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let pulls = stream::iter(images).map(|image| pull(engine, image, observer));
    pulls.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(|_| ())
}

async fn pull(engine: &Engine, image: &ImageRef, observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let task = format!("pull {}", image.path());
    observer.started(&task);
    let credentials = registry::credentials_of_user(image.registry()).await.map(engine_credentials);
    let mut layers: HashMap<String, LayerProgress> = HashMap::new();
    let mut progress = |layer: LayerProgress| {
        let step = format!("{} {}", layer.layer, layer.status);
        observer.step(&task, &step);
        // The engine tells the bytes of a layer while it downloads, and others while it unpacks: only the former are the
        // pull's.
        if layer.status == "Downloading" || layer.status == "Download complete" {
            let known = layers.get(&layer.layer).map_or(0, |before| before.total);
            let total = layer.total.max(known);
            let done = if layer.status == "Download complete" { total } else { layer.done };
            layers.insert(layer.layer.clone(), LayerProgress { done, total, ..layer });
            let (done, total) = layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.done, sum.1 + layer.total));
            observer.event(Event::Progress { task: task.clone(), done, total });
        }
    };
    engine.pull(image, credentials.as_ref(), &mut progress).await?;
    if let Some(digest) = image.digest() {
        let facts = engine.image(&image.to_string()).await?;
        let proven = facts.is_some_and(|facts| facts.digest_in(&image.repository()).as_ref() == Some(digest));
        if !proven {
            return Err(Error::NotProven { image: image.to_string(), digest: digest.clone() });
        }
    }
    observer.finished(&task, image.digest().map_or("done", |digest| digest.short()));
    Ok(())
}

/// The registry's credentials as the engine takes them.
pub fn engine_credentials(credentials: registry::Credentials) -> Credentials {
    match credentials {
        registry::Credentials::Password { username, password } => Credentials { username, password },
        registry::Credentials::IdentityToken(token) => Credentials { username: String::new(), password: token },
    }
}
