//! `onramp image pull`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::Error;
use crate::images::lock::{self, Complete, Moved};
use crate::images::pull::{self, Details, ImagePlan};
use crate::name::Name;
use crate::project::Lock;
use crate::reference::ImageRef;
use crate::text;

/// Pull this project's images, and those of everything that its sandbox runs, by digest.
///
/// Tags are locked in onramp.lock when they are first seen. A tag that moved since is named and stays as it is locked,
/// until `onramp image lock --update`.
///
/// Layers are fetched over several connections into onramp's cache, verified there, and given to the engine from it: a
/// pull that was interrupted goes on where it was. An engine on another machine pulls by itself.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image pull
  onramp image pull mariadb:10.11     one of the company's base images
  onramp image pull --dry-run         what is missing, how many bytes, for which platform
")]
pub struct Arguments {
    /// Only these images; `onramp.lock` stays as it is
    images: Vec<String>,
    /// The environment whose images the sandbox needs
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Name,
    /// Pull for this platform, as `linux/arm64`, instead of the engine's own
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<String>,
}

/// `linux/arm64` or `linux/arm/v7`.
fn platform(text: &str) -> Result<String, String> {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let parts: Vec<&str> = text.split('/').collect();
    let good = matches!(parts.len(), 2 | 3) && parts.into_iter().all(part);
    if good { Ok(text.to_owned()) } else { Err("write it as linux/amd64 or linux/arm/v7".to_owned()) }
}

#[derive(Serialize)]
struct Plan {
    images: Vec<ImagePlan>,
    /// Bytes to fetch for all of them together.
    fetch: u64,
    /// About how many bytes that is, unpacked.
    unpacked: u64,
    moved: BTreeMap<ImageRef, Moved>,
}

/// What is to be here when the command is done.
#[derive(Default)]
struct Wanted {
    /// All by digest.
    images: BTreeSet<ImageRef>,
    /// The tags that moved since they were locked.
    moved: BTreeMap<ImageRef, Moved>,
    /// The project and what to write into its lock.
    lock: Option<(PathBuf, Complete)>,
}

impl Arguments {
    /// Resolves tags, plans, pulls, and writes the lock.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let engine = cx.engine().await?;
        let Wanted { images, moved, lock } =
            if self.images.is_empty() { self.of_project(cx).await? } else { self.named(cx).await? };
        let platform = self.platform.as_deref();
        let mut images = pull::plan(&engine, &images.into_iter().collect::<Vec<_>>(), platform).await?;
        let missing: Vec<ImageRef> = images.iter().filter(|p| !p.present).map(|p| p.image.clone()).collect();
        if cx.offline && !missing.is_empty() {
            return Err(Error::Offline { images: missing }.into());
        }
        let pull = cx.pull_of(&engine, platform);
        let prepared = cx.prepare(&pull, &missing).await?;
        for plan in &mut images {
            plan.details = prepared.details().get(&plan.image).map(|details| (*details).clone());
        }
        let (fetch, unpacked) = (prepared.fetch, prepared.unpacked);
        let plan = Plan { images, fetch, unpacked, moved };
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        // Also what is here already: it may have come before it had to be signed.
        cx.signed(&plan.images.iter().map(|plan| plan.image.clone()).collect::<Vec<_>>()).await?;
        cx.pull_prepared(&pull, prepared).await?;
        if let Some((root, lock)) = lock {
            lock.keep(&root)?;
        }
        cx.report(&Pulled(plan));
        Ok(Verdict::Ok)
    }

    /// The digests of a project's sandbox, the tags that moved, and the lock to write.
    async fn of_project(&self, cx: &Context) -> Result<Wanted, Failure> {
        let (view, _) = tokio::try_join!(cx.view(&self.environment), cx.policy())?;
        let before = Lock::load(&view.project.root)?;
        let needed = view.tagged();
        let after = lock::complete(&before, &needed, cx.lock_forbidden(), &cx.registries).await?;
        let mut moved = BTreeMap::new();
        if !cx.offline {
            moved = lock::compare(&after.lock, &lock::resolve(&needed, &cx.registries).await?).moved;
        }
        let wanted = view.pinned(&after.lock)?.into_iter().collect();
        cx.remember(&view.project.root, &wanted)?;
        Ok(Wanted { images: wanted, moved, lock: Some((view.project.root, after)) })
    }

    /// The digests of the images that were named.
    async fn named(&self, cx: &Context) -> Result<Wanted, Failure> {
        let mut pinned = BTreeSet::new();
        let mut tagged = BTreeSet::new();
        for name in &self.images {
            let image = super::reference(cx, name)?;
            match image.digest() {
                Some(digest) => pinned.insert(image.at(digest.clone())),
                None => tagged.insert(image),
            };
        }
        if cx.offline && !tagged.is_empty() {
            return Err(Failure::usage("--offline: what a tag means now only the registry knows; name a digest"));
        }
        let now = lock::resolve(&tagged, &cx.registries).await?;
        pinned.extend(now.into_iter().map(|(image, locked)| image.at(locked.digest)));
        Ok(Wanted { images: pinned, ..Wanted::default() })
    }
}

/// The plan, carried out.
#[derive(Serialize)]
#[serde(transparent)]
struct Pulled(Plan);

impl Report for Pulled {
    /// Tags that moved are told here, where `--quiet` does not hide them.
    fn text(&self) -> String {
        format!("{}{} images are here\n", self.0.moved(), self.0.images.len())
    }
}

impl Plan {
    fn moved(&self) -> String {
        let mut out = String::new();
        for (image, moved) in &self.moved {
            let (locked, now) = (moved.locked.short(), moved.now.digest.short());
            let _ = writeln!(out, "{image} moved: locked {locked}, now {now}; `onramp image lock --update` takes it");
        }
        out
    }
}

/// What the pull of an image takes, in a few words.
fn takes(details: &Details) -> String {
    let Details { platform, layers, shared, fetch, .. } = details;
    let shared = if *shared > 0 { format!(", {shared} of {layers} layers are here") } else { String::new() };
    format!("  {platform}, {}{shared}", text::bytes(*fetch))
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut out = String::new();
        for plan in &self.images {
            let verb = if plan.present { "present" } else { "pull   " };
            let digest = plan.image.digest().map_or("", |digest| digest.short());
            let takes = plan.details.as_ref().map(takes).unwrap_or_default();
            let _ = writeln!(out, "  {verb} {} {digest}{takes}", plan.image.path());
        }
        if self.fetch > 0 {
            let (fetch, unpacked) = (text::bytes(self.fetch), text::bytes(self.unpacked));
            let _ = writeln!(out, "  {fetch} to fetch, about {unpacked} unpacked");
        }
        out
    }
}
