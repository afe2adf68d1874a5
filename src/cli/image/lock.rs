//! `onramp image lock`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::lock::{self, Moved, Update};
use crate::name::Name;
use crate::project::Lock;
use crate::project::lock::LockedImage;
use crate::reference::ImageRef;

/// Lock the tags of this project and of its sandbox to what they mean, in `onramp.lock`.
///
/// A tag is locked when it is first seen, for every platform that it has. One that moved since is named and stays as it is
/// locked, until `--update`. Nothing is pulled.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image lock
  onramp image lock --update                    follow every tag that moved
  onramp image lock --update php-apache:8.2     follow this one
")]
pub struct Arguments {
    /// Let the lock follow tags that moved, and forget those that nobody needs any more
    #[arg(long)]
    update: bool,
    /// Only these, with --update
    #[arg(requires = "update")]
    images: Vec<String>,
    /// The environment whose images the sandbox needs
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Name,
}

#[derive(Serialize)]
struct Plan {
    new: BTreeMap<ImageRef, LockedImage>,
    moved: BTreeMap<ImageRef, Moved>,
    /// Which of those that moved the lock follows.
    followed: BTreeSet<ImageRef>,
    forgotten: BTreeSet<ImageRef>,
}

impl Arguments {
    /// Asks the registries, plans, writes the lock.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if let Some(why) = cx.lock_forbidden() {
            return Err(Failure::usage(format!("`image lock` asks the registry and changes onramp.lock, and {why}")));
        }
        let view = cx.view(&self.environment).await?;
        let (before, needed) = (Lock::load(&view.project.root)?, view.tagged());
        let chosen = self.chosen(cx, &needed)?;
        let now = cx.waiting("ask the registry what tags mean", lock::resolve(&needed, &cx.registries)).await?;
        let mut standing = lock::compare(&before, &now);
        let moved = standing.moved.clone();
        if !chosen.is_empty() {
            standing.moved.retain(|image, _| chosen.contains(image));
        }
        let update = if self.update { Update::Take } else { Update::Keep };
        let kept = if chosen.is_empty() { needed } else { before.images.keys().cloned().chain(needed).collect() };
        let after = lock::take(&before, &standing, &kept, update);
        let followed = if self.update { standing.moved.into_keys().collect() } else { BTreeSet::new() };
        let forgotten = before.images.keys().filter(|image| !after.images.contains_key(image)).cloned().collect();
        let plan = Plan { new: standing.new, moved, followed, forgotten };
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        cx.remember(&view.project.root, &view.pinned(&after)?.into_iter().collect())?;
        if after != before {
            after.save(&view.project.root)?;
        }
        cx.report(&Locked { images: after.images.len(), plan });
        Ok(Verdict::Ok)
    }

    /// The references that were named, which the project must use.
    fn chosen(&self, cx: &Context, needed: &BTreeSet<ImageRef>) -> Result<BTreeSet<ImageRef>, Failure> {
        let mut chosen = BTreeSet::new();
        for text in &self.images {
            let image = super::reference(cx, text)?;
            if !needed.contains(&image) {
                let all: Vec<String> = needed.iter().map(ToString::to_string).collect();
                return Err(Failure::usage(format!("this project does not use {image}"))
                    .hint(format!("it uses: {}", if all.is_empty() { "none".to_owned() } else { all.join(", ") })));
            }
            chosen.insert(image);
        }
        Ok(chosen)
    }
}

/// The plan, carried out.
#[derive(Serialize)]
struct Locked {
    images: usize,
    #[serde(flatten)]
    plan: Plan,
}

impl Report for Locked {
    fn text(&self) -> String {
        format!("onramp.lock pins {} images\n", self.images)
    }
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut out = String::new();
        for (image, locked) in &self.new {
            let platforms: Vec<&str> = locked.platforms.keys().map(String::as_str).collect();
            let _ = writeln!(out, "  lock    {image} {} ({})", locked.digest.short(), platforms.join(", "));
        }
        for (image, moved) in &self.moved {
            let (was, now) = (moved.locked.short(), moved.now.digest.short());
            if self.followed.contains(image) {
                let _ = writeln!(out, "  update  {image} {was} -> {now}");
            } else {
                let _ = writeln!(out, "  moved   {image} is locked to {was} and means {now} now; --update follows it");
            }
        }
        for image in &self.forgotten {
            let _ = writeln!(out, "  forget  {image}, which nobody needs any more");
        }
        out
    }
}
