//! How far a pull is, told to whoever listens: per image and per layer, downloaded and unpacked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::engine::LayerProgress;
use crate::event::{Event, Observer};
use crate::reference::Digest;
use crate::text;

/// Who reports what was downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downloads {
    /// The store: what the engine takes from us is no download.
    Store,
    /// The engine.
    Engine,
}

/// A layer of an image under way.
pub struct Part {
    pub packed: Digest,
    /// The digest of what it unpacks to.
    pub unpacked: Digest,
    /// Its bytes, packed.
    pub total: u64,
    /// How many of them need not be fetched.
    pub known: u64,
}

/// The images under way.
pub struct Board {
    observer: Arc<dyn Observer>,
    images: Mutex<Vec<Shown>>,
}

struct Shown {
    task: String,
    layers: Layers,
}

impl Board {
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, images: Mutex::default() }
    }

    /// Adds an image; its number.
    pub fn add(&self, task: String, parts: impl IntoIterator<Item = Part>) -> usize {
        let mut shown = Shown { task, layers: Layers::default() };
        for Part { packed, unpacked, total, known } in parts {
            let layer = Layer { total, downloaded: known, ..Layer::default() };
            shown.layers.packed.insert(packed.short().to_owned(), layer);
            shown.layers.unpacked.insert(unpacked.short().to_owned(), packed.short().to_owned());
        }
        let mut images = self.images.lock().expect("no panic while telling");
        images.push(shown);
        images.len() - 1
    }

    /// The pull of an image begins.
    pub fn started(&self, image: usize) {
        self.observer.started(&self.images.lock().expect("no panic while telling")[image].task);
    }

    /// An image is here.
    pub fn finished(&self, image: usize, outcome: &str) {
        self.observer.finished(&self.images.lock().expect("no panic while telling")[image].task, outcome);
    }

    /// More bytes of a blob came.
    pub fn fetched(&self, blob: &Digest, bytes: u64) {
        self.change(blob.short(), |layer| layer.downloaded = layer.downloaded.saturating_add(bytes));
    }

    /// A blob is here, and verified.
    pub fn here(&self, blob: &Digest) {
        self.change(blob.short(), |layer| layer.downloaded = layer.total);
    }

    /// It is known how many bytes a layer unpacks to.
    pub fn unpacked(&self, layer: &Digest, bytes: u64) {
        self.change(layer.short(), |layer| layer.of_unpacked = bytes);
    }

    /// The engine reported.
    pub fn engine(&self, image: usize, progress: &LayerProgress, downloads: Downloads) {
        let mut images = self.images.lock().expect("no panic while telling");
        let shown = &mut images[image];
        if let Some(part) = shown.layers.take(progress, downloads) {
            self.tell(shown, &part);
        }
    }

    fn change(&self, part: &str, change: impl Fn(&mut Layer)) {
        for shown in self.images.lock().expect("no panic while telling").iter_mut() {
            if let Some(layer) = shown.layers.packed.get_mut(part) {
                change(layer);
                self.tell(shown, part);
            }
        }
    }

    fn tell(&self, shown: &Shown, part: &str) {
        let (task, layers) = (&shown.task, &shown.layers);
        let (done, total) = layers.of(part);
        self.observer.event(Event::Part { task: task.clone(), part: part.to_owned(), done, total });
        self.observer.event(Event::Progress { task: task.clone(), done: layers.done(), total: layers.total() });
        self.observer.step(task, &layers.step());
    }
}

/// How far the layers of one image are. Each is downloaded, then unpacked, and both count half: on a slow network the
/// one takes the time, on a fast one the other.
#[derive(Default)]
struct Layers {
    packed: BTreeMap<String, Layer>,
    /// The layers by what they unpack to, as the engine names those that it takes unpacked.
    unpacked: BTreeMap<String, String>,
}

#[derive(Default)]
struct Layer {
    total: u64,
    downloaded: u64,
    /// Of `total`.
    unpacked: u64,
    complete: bool,
    /// How many bytes it unpacks to, once that is known.
    of_unpacked: u64,
}

impl Layer {
    fn done(&self) -> u64 {
        let (down, up) = (self.downloaded.min(self.total), self.unpacked.min(self.total));
        if self.complete { self.total } else { down / 2 + up / 2 }
    }
}

impl Layers {
    /// Takes one report of the engine. Tells the layer whose bytes changed.
    fn take(&mut self, progress: &LayerProgress, downloads: Downloads) -> Option<String> {
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
            return None;
        }
        let packed = self.unpacked.get(&progress.layer).filter(|_| !self.packed.contains_key(&progress.layer));
        let name = packed.unwrap_or(&progress.layer).clone();
        let as_unpacked = packed.is_some();
        let layer = self.packed.entry(name.clone()).or_default();
        if !as_unpacked {
            layer.total = layer.total.max(progress.total);
        }
        match progress.status.as_str() {
            "Downloading" if downloads == Downloads::Engine => layer.downloaded = progress.done,
            "Verifying Checksum" | "Download complete" => layer.downloaded = layer.total,
            "Extracting" if as_unpacked => {
                (layer.downloaded, layer.unpacked) =
                    (layer.total, scaled(progress.done, layer.of_unpacked, layer.total));
            }
            "Extracting" => (layer.downloaded, layer.unpacked) = (layer.total, progress.done),
            "Pull complete" | "Already exists" => {
                (layer.downloaded, layer.unpacked, layer.complete) = (layer.total, layer.total, true);
            }
            _ => return None,
        }
        Some(name)
    }

    fn total(&self) -> u64 {
        self.packed.values().fold(0, |sum, layer| sum.saturating_add(layer.total))
    }

    fn done(&self) -> u64 {
        self.packed.values().fold(0, |sum, layer| sum.saturating_add(layer.done()))
    }

    /// How far one layer is, of how many bytes.
    fn of(&self, layer: &str) -> (u64, u64) {
        self.packed.get(layer).map(|layer| (layer.done(), layer.total)).unwrap_or_default()
    }

    fn step(&self) -> String {
        let complete = self.packed.values().filter(|layer| layer.complete).count();
        let downloaded = self.packed.values().fold(0_u64, |sum, layer| sum.saturating_add(layer.downloaded));
        format!("{complete} of {} layers, {} downloaded", self.packed.len(), text::bytes(downloaded))
    }
}

/// What `done` of `all` is of `total`; nothing while `all` is not known.
fn scaled(done: u64, all: u64, total: u64) -> u64 {
    let part = u128::from(done.min(all)) * u128::from(total) / u128::from(all.max(1));
    u64::try_from(part).unwrap_or(total)
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
        let mut take = |report| layers.take(&report, Downloads::Engine);
        assert_eq!(take(report("8.2", "Pulling from base/php", 0, 0)), None);
        take(report("a", "Pulling fs layer", 0, 0));
        take(report("b", "Already exists", 0, 0));
        take(report("a", "Downloading", 50, 100));
        assert_eq!((layers.done(), layers.total()), (25, 100));
        layers.take(&report("a", "Download complete", 0, 0), Downloads::Engine);
        layers.take(&report("a", "Extracting", 20, 100), Downloads::Engine);
        assert_eq!((layers.done(), layers.total()), (60, 100));
        assert_eq!(layers.step(), "1 of 2 layers, 100 B downloaded");
        layers.take(&report("a", "Pull complete", 0, 0), Downloads::Engine);
        assert_eq!(layers.done(), layers.total());
    }

    #[test]
    fn what_the_engine_takes_from_us_is_no_download() {
        let board = Board::new(Arc::new(crate::event::Silent));
        let layer = Digest::of(b"x");
        let unpacked = Digest::of(b"y");
        let part = Part { packed: layer.clone(), unpacked: unpacked.clone(), total: 100, known: 0 };
        let image = board.add("pull x".to_owned(), [part]);
        board.fetched(&layer, 40);
        board.engine(image, &report(layer.short(), "Downloading", 90, 100), Downloads::Store);
        assert_eq!(board.images.lock().unwrap()[image].layers.done(), 20);
        board.engine(image, &report(layer.short(), "Extracting", 20, 100), Downloads::Store);
        assert_eq!(board.images.lock().unwrap()[image].layers.done(), 60);
        // Unpacked, it is another layer to the engine, and larger.
        board.unpacked(&layer, 1000);
        board.engine(image, &report(unpacked.short(), "Extracting", 500, 0), Downloads::Store);
        let layers = &board.images.lock().unwrap()[image].layers;
        assert_eq!((layers.done(), layers.total()), (75, 100));
    }

    proptest::proptest! {
        #[test]
        fn progress_never_passes_its_total(reports in proptest::collection::vec(
            ("[a-c]", proptest::sample::select(vec!["Downloading", "Extracting", "Pull complete", "Waiting", "x"]),
             proptest::num::u64::ANY, proptest::num::u64::ANY), 0..20)) {
            let mut layers = Layers::default();
            for (layer, status, done, total) in reports {
                layers.take(&report(&layer, status, done, total), Downloads::Engine);
                proptest::prop_assert!(layers.done() <= layers.total());
            }
        }
    }
}
