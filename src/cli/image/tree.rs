//! `onramp image tree`

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::SignedDuration;
use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::catalogue::{Catalogue, Which};
use crate::images::name;
use crate::images::tree::{self, By, Node, Parent};
use crate::reference::ImageRef;
use crate::registry::Registry;

/// For how long an answer of the registry is good enough for a picture.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// Show which base images derive from which, and which were built on what their base no longer is.
///
/// A base is what `org.opencontainers.image.base.name` says, else the image whose layers are the lowest ones.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image tree
  onramp image tree --tags       every tag, not only the highest of each image
")]
pub struct Arguments {
    /// Every tag: the 50 highest of each image, 2,000 in all
    #[arg(long)]
    tags: bool,
}

#[derive(Serialize)]
struct Shown {
    registry: String,
    images: Vec<Node>,
    /// The bases that are not among them, by the image that builds on them.
    outside: BTreeMap<ImageRef, ImageRef>,
}

impl Arguments {
    /// Asks the registry or the memory.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let host = cx.settings.registry()?.to_owned();
        let lock = super::list::lock(cx)?;
        let registry = Registry::of_user(&host, &cx.registries).await?;
        let catalogue = Catalogue::open(registry, &host, &cx.paths.cache, super::freshness(cx, FRESH));
        let which = Which { tags: self.tags, ..Which::default() };
        let listing = cx.waiting("ask the registry", catalogue.list(&which, &lock, None)).await;
        let seen = catalogue.seen();
        let _ = catalogue.remember();
        let images = listing?.images;
        let known: BTreeMap<_, _> = seen.iter().map(|(digest, known)| (digest, known)).collect();
        let parents: BTreeMap<ImageRef, Parent> = images
            .iter()
            .filter_map(|image| {
                let parent = tree::parent(&seen, &host, &image.image, known.get(&image.digest)?)?;
                Some((image.image.clone(), parent))
            })
            .collect();
        let outside = parents.iter().filter(|(_, parent)| images.iter().all(|image| image.image != parent.image));
        let outside = outside.map(|(image, parent)| (image.clone(), parent.image.clone())).collect();
        cx.report(&Shown { images: tree::grow(&images, &parents), registry: host, outside });
        Ok(Verdict::Ok)
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let mut out = String::new();
        for node in &self.images {
            self.line(&mut out, node, "", "");
        }
        if self.images.is_empty() {
            return format!("{} has no base images (base/…)\n", self.registry);
        }
        out
    }
}

impl Shown {
    fn line(&self, out: &mut String, node: &Node, branch: &str, indent: &str) {
        let mut remarks = vec![node.digest.short().to_owned()];
        if let Some(base) = self.outside.get(&node.image) {
            remarks.push(format!("on {base}"));
        }
        if node.by == Some(By::Layers) {
            remarks.push("by its layers".to_owned());
        }
        if node.behind {
            remarks.push("built on what its base no longer is".to_owned());
        }
        let _ = writeln!(out, "{branch}{}  {}", name::shorten(&node.image, &self.registry), remarks.join(", "));
        for (index, child) in node.children.iter().enumerate() {
            let last = index + 1 == node.children.len();
            let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.line(out, child, &format!("{indent}{branch}"), &format!("{indent}{below}"));
        }
    }
}
