//! How much room each sandbox takes on the engine's disk. A layer that several lie on is there once, and told so.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join3;
use serde::Serialize;

use super::data::layers;
use super::identity::image_prefix;
use super::many::Found;
use crate::engine::{Engine, Error, ImageFacts, Usage, Volume, label};

/// The room that a sandbox takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Its data, as far as nobody else has it.
    pub data: u64,
    /// The golden copies that were made of it.
    pub golden: u64,
    /// The snapshots that were made of it.
    pub snapshots: u64,
    /// The images that were built for it, as far as they are no other's.
    pub images: u64,
    /// What it uses and others do, too: a base image, a golden copy or snapshot that its data lies on. Not only its own.
    pub shared: u64,
}

/// Of what a volume is. Who lies on a layer of several kinds has it from the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Golden,
    Snapshot,
    Data,
}

/// Measures every sandbox; and what golden copies and snapshots take whose sandboxes are not among these.
pub async fn measure(engine: &Engine, found: &mut [Found]) -> Result<Room, Error> {
    let (usage, volumes, images) =
        try_join3(engine.usage(), engine.volumes(&[]), engine.images_labelled(&[(label::SANDBOX, "")])).await?;
    let mut rooms = rooms(&usage, &volumes, &images);
    for found in found {
        found.room = Some(rooms.remove(&found.sandbox).unwrap_or_default());
    }
    let mut others = Room::default();
    for room in rooms.into_values() {
        others.golden += room.golden;
        others.snapshots += room.snapshots;
    }
    Ok(others)
}

/// The room of each sandbox by name.
fn rooms(usage: &Usage, volumes: &[Volume], images: &[ImageFacts]) -> BTreeMap<String, Room> {
    let mut rooms: BTreeMap<String, Room> = BTreeMap::new();
    let mut users: BTreeMap<String, BTreeSet<(Kind, &str)>> = BTreeMap::new();
    for volume in volumes {
        let Some(user) = user(volume) else { continue };
        let mut lies_on = layers(volume);
        if lies_on.is_empty() {
            lies_on.push(volume.name.clone());
        }
        for layer in lies_on {
            users.entry(layer).or_default().insert(user);
        }
    }
    for (layer, users) in &users {
        let size = usage.volumes.get(layer).copied().unwrap_or_default();
        let Some((kind, owner)) = users.first().copied() else { continue };
        let data = users.iter().filter(|(kind, _)| *kind == Kind::Data);
        let alone = kind == Kind::Data && users.len() == 1;
        if alone || kind != Kind::Data {
            let room = rooms.entry(owner.to_owned()).or_default();
            match kind {
                Kind::Golden => room.golden += size,
                Kind::Snapshot => room.snapshots += size,
                Kind::Data => room.data += size,
            }
        }
        for (_, sandbox) in data.filter(|_| !alone) {
            rooms.entry((*sandbox).to_owned()).or_default().shared += size;
        }
    }
    for image in images {
        // Labels are inherited: an image that somebody built on ours, or named anew, is theirs.
        let Some(sandbox) = image.labels.get(label::SANDBOX) else { continue };
        if let (true, Some(size)) =
            (image.repo_tags.iter().any(|tag| tag.starts_with(&image_prefix(sandbox))), usage.images.get(&image.id))
        {
            let room = rooms.entry(sandbox.clone()).or_default();
            room.images += size.own;
            room.shared += size.shared;
        }
    }
    rooms
}

/// Whose volume it is, and of what; none where it is a layer, which counts for whoever lies on it.
fn user(volume: &Volume) -> Option<(Kind, &str)> {
    let text = |key: &str| volume.labels.get(key).map(String::as_str);
    if text(label::LAYER).is_some() {
        return None;
    }
    let made_for = text(label::MADE_FOR).unwrap_or_default();
    match (text(label::GOLDEN), text(label::SNAPSHOT), text(label::SANDBOX)) {
        (Some(_), _, _) => Some((Kind::Golden, made_for)),
        (None, Some(_), _) => Some((Kind::Snapshot, made_for)),
        (None, None, Some(sandbox)) => Some((Kind::Data, sandbox)),
        (None, None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ImageUsage;

    fn volume(name: &str, labels: &[(&str, &str)]) -> Volume {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Volume { name: name.to_owned(), labels, mountpoint: String::new(), created: None }
    }

    #[test]
    fn a_layer_that_several_lie_on_is_there_once() {
        let volumes = [
            volume("base", &[(label::LAYER, "base"), (label::MADE_FOR, "one")]),
            volume("upper", &[(label::LAYER, "upper"), (label::MADE_FOR, "one")]),
            volume("other", &[(label::LAYER, "upper"), (label::MADE_FOR, "two")]),
            volume("golden", &[(label::GOLDEN, "k"), (label::MADE_FOR, "one"), (label::LAYERS, "base")]),
            volume("kept", &[(label::SNAPSHOT, "kept"), (label::MADE_FOR, "gone"), (label::LAYERS, "old")]),
            volume("data.one", &[(label::SANDBOX, "one"), (label::LAYERS, "upper,base")]),
            volume("data.two", &[(label::SANDBOX, "two"), (label::LAYERS, "other,base")]),
        ];
        let usage = Usage {
            volumes: [("base", 100), ("upper", 10), ("other", 1), ("old", 50), ("foreign", 7)]
                .map(|(name, size)| (name.to_owned(), size))
                .into(),
            images: [("i".to_owned(), ImageUsage { own: 3, shared: 200 })].into(),
        };
        let image = |tag: &str| ImageFacts {
            id: "i".into(),
            repo_digests: Vec::new(),
            repo_tags: vec![tag.to_owned()],
            platform: String::new(),
            size: 203,
            labels: [(label::SANDBOX.to_owned(), "two".to_owned())].into(),
            defaults: crate::engine::ImageDefaults::default(),
        };
        let rooms = rooms(&usage, &volumes, &[image("onramp-sandbox/two.web:1"), image("theirs:1")]);
        assert_eq!(rooms["one"], Room { data: 10, golden: 100, shared: 100, ..Room::default() });
        assert_eq!(rooms["two"], Room { data: 1, images: 3, shared: 300, ..Room::default() });
        assert_eq!(rooms["gone"], Room { snapshots: 50, ..Room::default() });
    }
}
