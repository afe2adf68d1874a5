//! `onramp image prune`

use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::prune::{self, Plan, Pruned};
use crate::images::store::Store;
use crate::text;

/// Take away images that onramp pulled or built and that no project on this machine needs, and what the cache holds over
/// its limit.
///
/// What a lock file names, what a sandbox runs or has data of, what a container uses and what you gave a tag stays; so does
/// everything that is not onramp's. Images of the playground go with `onramp playground down`.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image prune --dry-run
  onramp image prune
  onramp image prune --cache 0       empty the cache of layers, too
")]
pub struct Arguments {
    /// How much the cache of layers may hold afterwards: `500 MB`, `10 GiB`
    #[arg(long, value_name = "SIZE", value_parser = text::parse_bytes)]
    cache: Option<u64>,
}

impl Arguments {
    /// Plans, shows, takes away, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let engine = cx.engine().await?;
        let store = Store::open(&cx.paths.cache).map_err(crate::images::Error::from)?;
        let limit = self.cache.unwrap_or(cx.cache_limit());
        let plan = prune::plan(&engine, &store, &cx.paths.state, limit);
        let plan = cx.waiting("look for images that nobody needs", plan).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        cx.report(&Done(prune::apply(&engine, &store, &cx.paths.state, &plan).await?));
        Ok(Verdict::Ok)
    }
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut out = String::new();
        for image in &self.images {
            out.push_str(&format!("  remove {} ({})\n", image.name, text::bytes(image.bytes)));
        }
        if self.blobs_over > 0 {
            let (over, limit) = (text::bytes(self.blobs_over), text::bytes(self.limit));
            out.push_str(&format!("  remove {over} of cached layers, used longest ago; the limit is {limit}\n"));
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
        let Pruned { images, in_use, images_before, images_after, blobs_before, blobs_after } = &self.0;
        let stayed = if *in_use > 0 { format!(" ({in_use} came into use and stayed)") } else { String::new() };
        format!(
            "{images} images removed{stayed}: {} before, {} after; cached layers: {} before, {} after\n",
            text::bytes(*images_before),
            text::bytes(*images_after),
            text::bytes(*blobs_before),
            text::bytes(*blobs_after),
        )
    }
}
