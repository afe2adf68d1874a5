//! Pulling images by digest, several at once, through the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::Error;
use crate::engine::{Credentials, Engine, ImageFacts, LayerProgress};
use crate::event::{Event, Observer};
use crate::reference::ImageRef;
use crate::registry;
use crate::text;

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
    let looks = stream::iter(images).map(|image| async move {
        let facts = engine.image(&image.to_string()).await?;
        Ok(ImagePlan { image: image.clone(), present: facts.is_some_and(|facts| holds(&facts, image)) })
    });
    looks.buffered(AT_ONCE).try_collect().await
}

/// Pulls these images, all by digest, and proves that the engine has each under its digest.
pub async fn apply(engine: &Engine, images: &[ImageRef], observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let pulls = stream::iter(images).map(|image| pull(engine, image, observer));
    pulls.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(|_| ())
}

async fn pull(engine: &Engine, image: &ImageRef, observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let short = image.digest().map_or("", |digest| digest.short());
    let task = format!("pull {}@{short}", image.path());
    observer.started(&task);
    let credentials = registry::credentials_of_user(image.registry()).await.map(engine_credentials);
    let mut layers = Layers::default();
    let mut listen = |progress: LayerProgress| {
        let part = progress.layer.clone();
        if layers.take(progress) {
            let (done, total) = layers.of(&part);
            observer.event(Event::Part { task: task.clone(), part, done, total });
            observer.event(Event::Progress { task: task.clone(), done: layers.done(), total: layers.total() });
            observer.step(&task, &layers.step());
        }
    };
    engine.pull(image, credentials.as_ref(), &mut listen).await?;
    let facts = engine.image(&image.to_string()).await?;
    let held = facts.as_ref().map(|facts| facts.repo_digests.clone()).unwrap_or_default();
    let facts = facts.filter(|facts| holds(facts, image));
    let facts = facts.ok_or_else(|| Error::NotProven { image: image.clone(), held })?;
    observer.finished(&task, &format!("{} unpacked", text::bytes(facts.size)));
    Ok(())
}

/// Whether the engine holds exactly this digest. The repository may have another name there: engines shorten some.
fn holds(facts: &ImageFacts, image: &ImageRef) -> bool {
    let Some(digest) = image.digest() else { return false };
    facts.repo_digests.iter().any(|full| full.split_once('@').is_some_and(|(_, held)| held == digest.as_str()))
}

/// The registry's credentials as the engine takes them.
pub fn engine_credentials(credentials: registry::Credentials) -> Credentials {
    match credentials {
        registry::Credentials::Password { username, password } => Credentials { username, password },
        registry::Credentials::IdentityToken(token) => Credentials { username: String::new(), password: token },
    }
}

/// How far the layers of one image are. Each is downloaded, then unpacked, and both count half: on a slow network the
/// one takes the time, on a fast one the other.
#[derive(Default)]
struct Layers(BTreeMap<String, Layer>);

#[derive(Default)]
struct Layer {
    total: u64,
    downloaded: u64,
    unpacked: u64,
    complete: bool,
}

impl Layer {
    fn done(&self) -> u64 {
        let (down, up) = (self.downloaded.min(self.total), self.unpacked.min(self.total));
        if self.complete { self.total } else { down / 2 + up / 2 }
    }
}

impl Layers {
    /// Takes one report of the engine. Tells whether the bytes changed.
    fn take(&mut self, progress: LayerProgress) -> bool {
        let known = matches!(
            progress.status.as_str(),
            "Pulling fs layer"
                | "Waiting"
                | "Downloading"
                | "Verifying Checksum"
                | "Download complete"
                | "Extracting"
                | "Pull complete"
                | "Already exists"
        );
        // The reference itself is reported as a layer, too: "Pulling from …".
        if !known {
            return false;
        }
        let layer = self.0.entry(progress.layer).or_default();
        layer.total = layer.total.max(progress.total);
        match progress.status.as_str() {
            "Downloading" => layer.downloaded = progress.done,
            "Verifying Checksum" | "Download complete" => layer.downloaded = layer.total,
            "Extracting" => (layer.downloaded, layer.unpacked) = (layer.total, progress.done),
            "Pull complete" | "Already exists" => {
                (layer.downloaded, layer.unpacked, layer.complete) = (layer.total, layer.total, true);
            }
            _ => return false,
        }
        true
    }

    fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, layer| sum.saturating_add(layer.total))
    }

    fn done(&self) -> u64 {
        self.0.values().fold(0, |sum, layer| sum.saturating_add(layer.done()))
    }

    /// How far one layer is, of how many bytes.
    fn of(&self, layer: &str) -> (u64, u64) {
        self.0.get(layer).map(|layer| (layer.done(), layer.total)).unwrap_or_default()
    }

    fn step(&self) -> String {
        let complete = self.0.values().filter(|layer| layer.complete).count();
        let downloaded = self.0.values().fold(0_u64, |sum, layer| sum.saturating_add(layer.downloaded));
        format!("{complete} of {} layers, {} downloaded", self.0.len(), text::bytes(downloaded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(layer: &str, status: &str, done: u64, total: u64) -> LayerProgress {
        LayerProgress { layer: layer.to_owned(), status: status.to_owned(), done, total }
    }

    #[test]
    fn a_pull_is_half_download_and_half_unpacking() {
        let mut layers = Layers::default();
        assert!(!layers.take(report("8.2", "Pulling from base/php", 0, 0)));
        layers.take(report("a", "Pulling fs layer", 0, 0));
        layers.take(report("b", "Already exists", 0, 0));
        layers.take(report("a", "Downloading", 50, 100));
        assert_eq!((layers.done(), layers.total()), (25, 100));
        layers.take(report("a", "Download complete", 0, 0));
        layers.take(report("a", "Extracting", 20, 100));
        assert_eq!((layers.done(), layers.total()), (60, 100));
        assert_eq!(layers.step(), "1 of 2 layers, 100 B downloaded");
        layers.take(report("a", "Pull complete", 0, 0));
        assert_eq!(layers.done(), layers.total());
    }

    proptest::proptest! {
        #[test]
        fn progress_never_passes_its_total(reports in proptest::collection::vec(
            ("[a-c]", proptest::sample::select(vec!["Downloading", "Extracting", "Pull complete", "Waiting", "x"]),
             proptest::num::u64::ANY, proptest::num::u64::ANY), 0..20)) {
            let mut layers = Layers::default();
            for (layer, status, done, total) in reports {
                layers.take(report(&layer, status, done, total));
                proptest::prop_assert!(layers.done() <= layers.total());
            }
        }
    }
}
