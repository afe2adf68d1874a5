//! `onramp image prune`

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::prune::{self, Plan, Pruned};
use crate::text;

/// Take away images that onramp pulled or built and that no project on this machine needs, and what the cache holds over
/// its limit.
///
/// What a lock file names, what a sandbox runs or has data of, what a container uses and what you gave a tag stays; so does
/// everything that is not onramp's. Images of the playground go with `onramp playground down`.
///
/// One limit holds for all that the cache has of images: blobs, what was read of layers, manifests and configs, signatures, what
/// tags meant, listings. What a lock or a sandbox needs of manifests, configs, layers that were read and signatures stays
/// whatever the limit; blobs, tags and listings go, for they can be had again.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image prune --dry-run
  onramp image prune
  onramp image prune --cache 0       and all of the cache that no lock and no sandbox needs
")]
pub struct Arguments {
    /// How much the cache of images may hold afterwards: `500 MB`, `10 GiB`
    #[arg(long, value_name = "SIZE", value_parser = text::parse_bytes)]
    cache: Option<u64>,
}

impl Arguments {
    /// Plans, shows, takes away, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let engine = cx.engine().await?;
        let limit = self.cache.unwrap_or(cx.cache_limit());
        let plan = prune::plan(&engine, &cx.paths.cache, &cx.paths.state, limit);
        let plan = cx.waiting("look for images that nobody needs", plan).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        cx.report(&Done(prune::apply(&engine, &cx.paths.cache, &cx.paths.state, &plan).await?));
        Ok(Verdict::Ok)
    }
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut out = String::new();
        for image in &self.images {
            out.push_str(&format!("  remove {} ({})\n", image.name, text::bytes(image.bytes)));
        }
        if self.cache.over > 0 {
            let (over, limit) = (text::bytes(self.cache.over), text::bytes(self.limit));
            out.push_str(&format!("  remove {over} of the cache, used longest ago; the limit is {limit}\n"));
        }
        if !self.cache.by_kind.is_empty() {
            let kinds = self.cache.by_kind.iter().map(|(kind, bytes)| format!("{kind} {}", text::bytes(*bytes)));
            out.push_str(&format!("  cache  {}\n", kinds.collect::<Vec<_>>().join(", ")));
        }
        if self.building {
            out.push_str("  keep   what was built: somebody builds images now\n");
        }
        out.push_str(&format!("  keep   {} of onramp's images\n", self.kept));
        out
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Done(Pruned);

impl Report for Done {
    fn text(&self) -> String {
        let Pruned { images, in_use, images_before, images_after, cache_before, cache_after } = &self.0;
        let stayed = if *in_use > 0 { format!(" ({in_use} came into use and stayed)") } else { String::new() };
        format!(
            "{images} images removed{stayed}: {} before, {} after; cache: {} before, {} after\n",
            text::bytes(*images_before),
            text::bytes(*images_after),
            text::bytes(*cache_before),
            text::bytes(*cache_after),
        )
    }
}
