//! `onramp image push`

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use super::build;
use crate::images::build::{Made, Standing, Target};
use crate::images::contents::Reader;
use crate::images::pull::engine_credentials;
use crate::registry::{self, Registry};

/// Build the catalog's base images and push those that the company's registry has not, each as soon as its parent is there.
///
/// What is pushed says where it came from (`org.opencontainers.image.source`, `revision`, `base.name`, `base.digest`), who
/// owns it and until when; a bill of materials (SPDX 2.3) refers to it. An image whose parent was pushed anew is pushed anew, too. A tag moves: whoever locked it keeps
/// what they have, and `onramp image outdated` tells them.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image push --dry-run
  onramp image push php-apache           this one, and what it builds on
  onramp image push --anew debian        make it anew, whatever is there: newer packages, say
")]
pub struct Arguments {
    /// Images, by name [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Make and push them anew although their definitions are as they were
    #[arg(long)]
    anew: bool,
    /// Attach no bill of materials
    #[arg(long)]
    no_sbom: bool,
}

#[derive(Serialize)]
struct Plan {
    registry: String,
    images: Vec<Standing>,
    anew: bool,
}

impl Arguments {
    /// Plans, builds and pushes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("--offline: images are pushed to a registry"));
        }
        let (definitions, origin) = build::definitions(cx, self.images).await?;
        let host = cx.settings.registry()?;
        let engine = cx.engine().await?;
        let registry = Registry::of_user(host, &cx.registries).await?;
        let home = cx.paths.cache.join("images");
        let workshop = build::workshop(cx, &engine, &home, self.anew);
        let images = workshop.look(Some(&registry), &definitions).await?;
        if !cx.proceed(&Plan { registry: host.to_owned(), images, anew: self.anew }) {
            return Ok(Verdict::Ok);
        }
        let credentials = registry::credentials_of_user(host).await.map(engine_credentials);
        let reader = Reader::new(&cx.paths.cache, false, &cx.registries, cx.observer.clone());
        let reader = (!self.no_sbom).then_some(&reader);
        let target = Target { registry: &registry, credentials, origin, reader };
        let images = workshop.publish(&target, &definitions).await?;
        cx.report(&Done { images });
        Ok(Verdict::Ok)
    }
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut out = String::new();
        for image in &self.images {
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
