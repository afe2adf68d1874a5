//! What there is of data, read from the volumes' labels.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{Engine, Error, Volume, label};
use crate::reference::Digest;
use crate::sandbox::{SandboxId, ServiceId};

/// All of onramp's volumes on an engine.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    volumes: BTreeMap<String, Volume>,
}

/// The data of one service of one sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataVolume {
    /// The volume's name.
    pub name: String,
    /// Which of the volumes that held this data it is: they count up from 1.
    pub generation: u32,
    /// The service.
    pub service: ServiceId,
    /// The digest of the seeds that filled it.
    pub seed: Option<String>,
    /// The secrets of another machine that are in it, as [`secret::label`](crate::sandbox::secret::label) writes them.
    pub secrets: Option<String>,
    /// Whether its service was to fill it and did not come to answer, or its seed command to an end: it is nobody's data.
    pub unfinished: bool,
    /// What it lies on, the highest first; none for a volume that an older onramp made.
    pub layers: Vec<String>,
}

/// A volume whose layers never change again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The volume's name.
    pub name: String,
    /// The service.
    pub service: ServiceId,
    /// The digest of the seeds that filled it.
    pub seed: Option<String>,
    /// The secrets of another machine that are in it, as on a data volume.
    pub secrets: Option<String>,
    /// What it lies on, the highest first.
    pub layers: Vec<String>,
    /// Whether a clone is a layer over these; where the host cannot do that, it is a copy.
    pub overlay: bool,
    /// Who owns its root: `owner:group:mode`.
    pub root: String,
    /// When it was made, RFC 3339.
    pub made: String,
}

impl Inventory {
    /// Looks at the engine.
    pub async fn read(engine: &Engine) -> Result<Self, Error> {
        Ok(Self::of(engine.volumes(&[]).await?))
    }

    /// Of these volumes.
    pub fn of(volumes: Vec<Volume>) -> Self {
        Self { volumes: volumes.into_iter().map(|volume| (volume.name.clone(), volume)).collect() }
    }

    /// A sandbox's data, service by service, the latest generation last.
    pub fn of_sandbox(&self, id: &SandboxId) -> Vec<DataVolume> {
        let seeding: BTreeSet<&String> =
            self.marked(label::SEEDING).filter_map(|volume| volume.labels.get(label::SEEDING)).collect();
        let data = |volume: &Volume| {
            let data = DataVolume::of(id, volume)?;
            Some(DataVolume { unfinished: seeding.contains(&volume.name), ..data })
        };
        let mut found: Vec<DataVolume> = self.labelled(label::SANDBOX, id.as_str()).filter_map(data).collect();
        found.sort_by(|a, b| (&a.service, a.generation).cmp(&(&b.service, b.generation)));
        found
    }

    /// A sandbox's data as it is now: the latest generation of each service's that is not still being filled.
    pub fn current(&self, id: &SandboxId) -> Vec<DataVolume> {
        let latest: BTreeMap<ServiceId, DataVolume> = self
            .of_sandbox(id)
            .into_iter()
            .filter(|data| !data.unfinished)
            .map(|data| (data.service.clone(), data))
            .collect();
        latest.into_values().collect()
    }

    /// The golden copy that was made from this, if all that it lies on is there.
    pub fn golden(&self, key: &Digest) -> Option<Frozen> {
        let found = self.labelled(label::GOLDEN, &key.to_string()).find_map(Frozen::of);
        found.filter(|golden| self.paths(&golden.layers).is_some())
    }

    /// The golden copies of a project's service, the newest first.
    pub fn golden_of(&self, project: &str, service: &ServiceId) -> Vec<Frozen> {
        let golden = self.labelled(label::PROJECT, project).filter(|volume| volume.labels.contains_key(label::GOLDEN));
        let mut found: Vec<Frozen> =
            golden.filter_map(Frozen::of).filter(|frozen| frozen.service == *service).collect();
        found.sort_by(|a, b| b.made.cmp(&a.made));
        found
    }

    /// The volumes that are parts of a project's snapshots.
    pub fn snapshots(&self, project: &str) -> impl Iterator<Item = &Volume> {
        self.marked(label::SNAPSHOT)
            .filter(move |volume| volume.labels.get(label::PROJECT).is_some_and(|of| of == project))
    }

    /// Those volumes of a place that nothing elsewhere lies on.
    pub fn only_of(&self, inside: impl Fn(&Volume) -> bool) -> Vec<String> {
        let (here, elsewhere): (Vec<&Volume>, Vec<&Volume>) = self.volumes.values().partition(|volume| inside(volume));
        let used: BTreeSet<String> = elsewhere.into_iter().flat_map(layers).collect();
        here.into_iter().map(|volume| volume.name.clone()).filter(|name| !used.contains(name)).collect()
    }

    /// Layers that nothing lies on.
    pub fn strays(&self) -> Vec<&Volume> {
        // A trial of laying layers over each other is a stray itself.
        let data = self.volumes.values().filter(|volume| !volume.labels.contains_key(label::LAYER));
        let used: BTreeSet<String> = data.flat_map(layers).collect();
        self.marked(label::LAYER).filter(|volume| !used.contains(&volume.name)).collect()
    }

    /// Everything that is marked so, whatever the value.
    pub fn marked(&self, key: &str) -> impl Iterator<Item = &Volume> {
        self.volumes.values().filter(move |volume| volume.labels.contains_key(key))
    }

    /// Where the engine's machine has these layers; none where one of them is gone.
    pub fn paths(&self, layers: &[String]) -> Option<Vec<String>> {
        layers.iter().map(|layer| self.volumes.get(layer).map(path_of)).collect()
    }

    fn labelled(&self, key: &str, value: &str) -> impl Iterator<Item = &Volume> {
        self.volumes.values().filter(move |volume| volume.labels.get(key).is_some_and(|found| found == value))
    }
}

/// Where a layer's files are: a base holds them itself, one over others beside the kernel's own directory.
pub(super) fn path_of(layer: &Volume) -> String {
    match layer.labels.get(label::LAYER).map(String::as_str) {
        Some("upper") => format!("{}/upper", layer.mountpoint),
        _ => layer.mountpoint.clone(),
    }
}

/// What a data volume or a frozen one lies on, the highest first.
pub fn layers(volume: &Volume) -> Vec<String> {
    let text = volume.labels.get(label::LAYERS).map(String::as_str).unwrap_or_default();
    text.split(',').filter(|layer| !layer.is_empty()).map(str::to_owned).collect()
}

impl DataVolume {
    /// Whether it took over from another volume of the same data.
    pub fn replaces(&self, other: &Self) -> bool {
        self.service == other.service && self.generation > other.generation
    }

    /// What the volume is called that takes over from it.
    pub fn next(&self, id: &SandboxId) -> String {
        id.volume(&self.service.app, &self.service.service, self.generation + 1)
    }

    fn of(id: &SandboxId, volume: &Volume) -> Option<Self> {
        let service: ServiceId = volume.labels.get(label::SERVICE)?.parse().ok()?;
        let first = id.volume(&service.app, &service.service, 1);
        let generation = match volume.name.strip_prefix(&first)? {
            "" => 1,
            rest => rest.strip_prefix('.')?.parse().ok()?,
        };
        let label = |key: &str| volume.labels.get(key).cloned();
        let (name, seed, secrets) = (volume.name.clone(), label(label::SEED), label(label::SECRETS));
        Some(Self { name, generation, service, seed, secrets, unfinished: false, layers: layers(volume) })
    }
}

impl Frozen {
    /// Reads what was written on a frozen volume.
    pub fn of(volume: &Volume) -> Option<Self> {
        let label = |key: &str| volume.labels.get(key).cloned();
        Some(Self {
            name: volume.name.clone(),
            service: label(label::SERVICE)?.parse().ok()?,
            seed: label(label::SEED),
            secrets: label(label::SECRETS),
            layers: layers(volume),
            overlay: label(label::CLONE)? == "overlay",
            root: label(label::ROOT)?,
            made: label(label::MADE)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn volume(name: &str, labels: &[(&str, &str)]) -> Volume {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Volume { name: name.to_owned(), labels, mountpoint: format!("/v/{name}"), created: None }
    }

    #[test]
    fn the_latest_generation_of_a_sandboxs_data_comes_last() {
        let id = SandboxId::new(&"shop".parse().unwrap(), None, Path::new("/w"));
        let service: ServiceId = "shop/db".parse().unwrap();
        let name = |generation| id.volume(&service.app, &service.service, generation);
        let of = |name: &str| volume(name, &[(label::SANDBOX, id.as_str()), (label::SERVICE, "shop/db")]);
        let all = Inventory::of(vec![
            of(&name(10)),
            of(&name(2)),
            of(&name(1)),
            of("somebody's"),
            of(&format!("{}x", name(1))),
        ]);
        let generations: Vec<u32> = all.of_sandbox(&id).iter().map(|data| data.generation).collect();
        assert_eq!(generations, [1, 2, 10], "names that are no generation of it are not its data");
        let marked = volume("marked", &[(label::SANDBOX, id.as_str()), (label::SEEDING, &name(10))]);
        let all = Inventory::of(vec![of(&name(10)), of(&name(2)), marked]);
        let current: Vec<u32> = all.current(&id).iter().map(|data| data.generation).collect();
        assert_eq!(current, [2], "what is still being filled is nobody's data");
    }

    #[test]
    fn a_layer_is_a_stray_once_nothing_lies_on_it() {
        let all = Inventory::of(vec![
            volume("a", &[(label::LAYER, "base")]),
            volume("b", &[(label::LAYER, "upper")]),
            volume("c", &[(label::LAYER, "base")]),
            volume("data", &[(label::LAYERS, "b,a")]),
            volume("plain", &[]),
            volume("t", &[(label::LAYER, "trial"), (label::LAYERS, "c,a")]),
        ]);
        assert_eq!(all.strays().iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), ["c", "t"]);
        assert_eq!(all.paths(&["b".into(), "a".into()]), Some(vec!["/v/b/upper".to_owned(), "/v/a".to_owned()]));
        assert_eq!(all.paths(&["b".into(), "gone".into()]), None);
        assert_eq!(all.only_of(|volume| volume.name.len() == 1), ["c", "t"], "the others carry what is elsewhere");
    }
}
