//! Which images derive from which: said by `org.opencontainers.image.base.*`, else seen in their layers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::catalogue::{BaseImage, Known};
use crate::reference::{Digest, ImageRef};

/// How a base is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The image's labels name it.
    Labels,
    /// Its layers are the lowest ones of the image.
    Layers,
}

/// The image that another one builds on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parent {
    /// It, by tag.
    pub image: ImageRef,
    /// What that tag meant when the other one was built.
    pub digest: Option<Digest>,
    /// How that is known.
    pub by: By,
}

/// The image that `image` builds on. `seen` are the images of the registry `host`, of now and of before.
pub fn parent(seen: &[(Digest, Known)], host: &str, image: &ImageRef, known: &Known) -> Option<Parent> {
    if let Some(base) = known.about.base.clone().filter(|base| base.tag().is_some()) {
        return Some(Parent { image: base, digest: known.about.base_digest.clone(), by: By::Labels });
    }
    let own = format!("{}:", image.path());
    let below = seen.iter().filter(|(_, other)| {
        let (ours, theirs) = (&known.layers, &other.layers);
        !theirs.is_empty() && theirs.len() < ours.len() && ours.starts_with(theirs)
    });
    // The nearest one; of two that are the same to the last layer, the later.
    let named = below.filter_map(|(digest, other)| {
        let name = other.names.iter().rfind(|name| !name.starts_with(&own))?;
        Some((other.layers.len(), other.created, digest, format!("{host}/{name}").parse::<ImageRef>().ok()?))
    });
    let (_, _, digest, image) = named.max_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)))?;
    Some(Parent { image, digest: Some(digest.clone()), by: By::Layers })
}

/// An image in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// It, by tag.
    pub image: ImageRef,
    /// What the tag means now.
    pub digest: Digest,
    /// How its base is known; none for a root.
    pub by: Option<By>,
    /// Whether its base moved since it was built.
    pub behind: bool,
    /// What builds on it.
    pub children: Vec<Node>,
}

/// The tree of a listing's images. A base that is not listed is no node: what builds on it is a root, beside which it is
/// named.
pub fn grow(images: &[BaseImage], parents: &BTreeMap<ImageRef, Parent>) -> Vec<Node> {
    let listed: BTreeMap<&ImageRef, &BaseImage> = images.iter().map(|image| (&image.image, image)).collect();
    let mut below: BTreeMap<&ImageRef, Vec<&BaseImage>> = BTreeMap::new();
    let mut roots = Vec::new();
    for image in images {
        match parents.get(&image.image).filter(|parent| listed.contains_key(&parent.image)) {
            Some(parent) => below.entry(&parent.image).or_default().push(image),
            None => roots.push(image),
        }
    }
    let mut placed = BTreeSet::new();
    let mut nodes: Vec<Node> =
        roots.into_iter().map(|root| node(root, &listed, parents, &below, &mut placed)).collect();
    // Labels can name each other in a circle: its first member is shown as a root.
    for image in images {
        if !placed.contains(&image.image) {
            nodes.push(node(image, &listed, parents, &below, &mut placed));
        }
    }
    nodes.sort_by(|a, b| a.image.cmp(&b.image));
    nodes
}

fn node(
    image: &BaseImage,
    listed: &BTreeMap<&ImageRef, &BaseImage>,
    parents: &BTreeMap<ImageRef, Parent>,
    below: &BTreeMap<&ImageRef, Vec<&BaseImage>>,
    placed: &mut BTreeSet<ImageRef>,
) -> Node {
    placed.insert(image.image.clone());
    let parent = parents.get(&image.image);
    let behind = parent.is_some_and(|parent| match (&parent.digest, listed.get(&parent.image)) {
        (Some(built_on), Some(base)) => *built_on != base.digest && !base.manifests.contains(built_on),
        _ => false,
    });
    let mut children = Vec::new();
    for child in below.get(&image.image).into_iter().flatten() {
        if !placed.contains(&child.image) {
            children.push(node(child, listed, parents, below, placed));
        }
    }
    children.sort_by(|a, b| a.image.cmp(&b.image));
    let (image, digest) = (image.image.clone(), image.digest.clone());
    Node { image, digest, by: parent.map(|parent| parent.by), behind, children }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::about::About;

    fn image(name: &str) -> ImageRef {
        format!("r.test/base/{name}").parse().unwrap()
    }

    fn known(layers: &[&str], names: &[&str]) -> Known {
        let layers = layers.iter().map(|layer| Digest::of(layer.as_bytes())).collect();
        Known::sample(layers, names)
    }

    #[test]
    fn a_base_is_what_the_labels_say_or_the_lowest_layers_are() {
        let seen = [
            (Digest::of(b"debian"), known(&["d"], &["base/debian:12"])),
            (Digest::of(b"old php"), known(&["d", "p"], &["base/php:8.2"])),
            (Digest::of(b"other"), known(&["x"], &["base/other:1"])),
        ];
        let mut shop = known(&["d", "p", "s"], &["base/shop:1"]);
        let by_layers = parent(&seen, "r.test", &image("shop:1"), &shop).unwrap();
        assert_eq!((by_layers.image, by_layers.by), (image("php:8.2"), By::Layers));
        assert_eq!(by_layers.digest, Some(Digest::of(b"old php")));
        // A repository's own older image is no base of the newer one.
        assert_eq!(parent(&seen, "r.test", &image("debian:13"), &known(&["d", "e"], &[])), None);

        let about = About { base: Some(image("debian:12")), base_digest: Some(Digest::of(b"1")), ..About::default() };
        shop.about = about;
        let by_labels = parent(&seen, "r.test", &image("shop:1"), &shop).unwrap();
        assert_eq!((by_labels.image, by_labels.by), (image("debian:12"), By::Labels));
    }

    #[test]
    fn every_image_stands_in_the_tree_once_even_in_a_circle() {
        let listed = |name: &str| BaseImage::sample(image(name));
        let images = [listed("a:1"), listed("b:1"), listed("c:1"), listed("d:1")];
        let on =
            |name: &str, digest: &[u8]| Parent { image: image(name), digest: Some(Digest::of(digest)), by: By::Labels };
        let a = images[0].digest.clone();
        let parents = [
            (image("b:1"), Parent { digest: Some(a), ..on("a:1", b"") }),
            (image("c:1"), on("d:1", b"old")),
            (image("d:1"), on("c:1", b"old")),
        ]
        .into();
        let nodes = grow(&images, &parents);
        let shown: Vec<String> = nodes.iter().map(shape).collect();
        assert_eq!(shown, ["a:1(b:1)", "c:1!(d:1!)"]);
    }

    fn shape(node: &Node) -> String {
        let children: Vec<String> = node.children.iter().map(shape).collect();
        let name = format!("{}:{}", node.image.short_name(), node.image.tag().unwrap());
        let children = if children.is_empty() { String::new() } else { format!("({})", children.join(",")) };
        format!("{name}{}{children}", if node.behind { "!" } else { "" })
    }
}
