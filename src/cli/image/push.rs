//! `onramp image push`

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use super::build;
use crate::images::build::definition::Definition;
use crate::images::build::{Made, Standing, Target};
use crate::images::contents::Reader;
use crate::images::pull::engine_credentials;
use crate::name::Name;
use crate::registry::{self, Registry};
use crate::text::did_you_mean;

/// Build the catalog's base images and push those that the company's registry has not, each as soon as its parent is there.
///
/// What is pushed says where it came from (`org.opencontainers.image.source`, `revision`, `base.name`, `base.digest`), who
/// owns it and until when; a bill of materials (SPDX 2.3) refers to it. An image whose parent was pushed anew is pushed anew, too. A tag moves: whoever locked it keeps
/// what they have, and `onramp image outdated` tells them.
///
/// Labels in a registry are anybody's. What a tag means counts as ours where this machine built it, or a key signed it that
/// your catalog names and you accepted; anything else is named, and neither built upon nor overwritten without `--replace`.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image push --dry-run
  onramp image push php-apache           this one, and what it builds on
  onramp image push --anew debian        make it anew, whatever is there: newer packages, say
  onramp image push --replace debian     its tag, too, if somebody else moved it
")]
pub struct Arguments {
    /// Images, by name [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Make and push them anew although their definitions are as they were
    #[arg(long)]
    anew: bool,
    /// An image whose tag may be moved although it means what this machine did not make [may be repeated]
    #[arg(long, value_name = "IMAGE")]
    replace: Vec<Name>,
    /// Attach no bill of materials
    #[arg(long)]
    no_sbom: bool,
}

#[derive(Serialize)]
struct Plan {
    registry: String,
    images: Vec<Standing>,
    anew: bool,
    replace: BTreeSet<Name>,
}

impl Arguments {
    /// Plans, builds and pushes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("--offline: images are pushed to a registry"));
        }
        let (definitions, origin) = build::definitions(cx, self.images).await?;
        let replace = replaced(self.replace, &definitions)?;
        let host = cx.settings.registry()?;
        let engine = cx.engine().await?;
        let registry = Registry::of_user(host, &cx.registries).await?;
        let home = cx.paths.cache.join("images");
        let workshop = build::workshop(cx, &engine, &home, self.anew);
        let credentials = registry::credentials_of_user(host).await.map(engine_credentials);
        let reader = Reader::new(&cx.paths.cache, false, &cx.registries, cx.observer.clone());
        let reader = (!self.no_sbom).then_some(&reader);
        let policy = cx.policy().await?;
        let target =
            Target { registry: &registry, credentials, origin, policy: Some(&policy), replace: &replace, reader };
        let images = workshop.look(Some(&target), &definitions).await?;
        let plan = Plan { registry: host.to_owned(), images, anew: self.anew, replace: replace.clone() };
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        let images = workshop.publish(&target, &definitions).await?;
        cx.report(&Done { images });
        Ok(Verdict::Ok)
    }
}

/// The images whose tags may be moved, all of which must be among those that are pushed.
fn replaced(names: Vec<Name>, definitions: &[Definition]) -> Result<BTreeSet<Name>, Failure> {
    let pushed = || definitions.iter().map(|definition| definition.name.as_str());
    let Some(unknown) = names.iter().find(|name| !pushed().any(|pushed| pushed == name.as_str())) else {
        return Ok(names.into_iter().collect());
    };
    let failure = Failure::usage(format!("--replace {unknown}: no image of this name is to be pushed"));
    Err(match did_you_mean(unknown.as_str(), pushed()) {
        Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
        None => failure.hint(format!("to be pushed: {}", pushed().collect::<Vec<_>>().join(", "))),
    })
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut out = String::new();
        for image in &self.images {
            if let Some(foreign) = &image.foreign {
                let verb = if self.replace.contains(&image.name) { "replace" } else { "refuse " };
                let there = foreign.short();
                out.push_str(&format!(
                    "  {verb} {}/{}: {there}, which is not this machine's\n",
                    self.registry, image.place
                ));
                continue;
            }
            let verb = match (&image.published, self.anew) {
                (Some(_), false) => "present",
                (None, false) if image.built => "push   ",
                _ => "build and push",
            };
            out.push_str(&format!("  {verb} {}/{} {}\n", self.registry, image.place, image.key.short()));
        }
        out
    }
}

#[derive(Serialize)]
struct Done {
    images: Vec<Made>,
}

impl Report for Done {
    fn text(&self) -> String {
        let line = |made: &Made| {
            let verb = if made.pushed { "pushed " } else { "present" };
            format!("{verb} {} {}\n", made.image, made.digest)
        };
        self.images.iter().map(line).collect()
    }
}
