//! `onramp snapshot pull`

use super::place;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::images::store::Store;
use crate::name::Name;
use crate::registry::Registry;
use crate::sandbox::data::share::{Pull, PullPlan};
use crate::sandbox::data::{Inventory, Maker, snapshot};
use crate::sandbox::view;
use crate::text;

/// Pull a snapshot that somebody pushed. `onramp snapshot restore` gives it to a sandbox.
///
/// A name means `<registry>/snapshots/<project>:<name>` of the company's registry. What is pulled is verified, and counts
/// once all of it is here. A snapshot that has the name already stays: remove it, or pull under another name.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp snapshot pull before-migration
  onramp snapshot pull registry.acme.test/qa/shop:before monday
  onramp snapshot pull before-migration --dry-run    what it holds, and how much that is
")]
pub struct Arguments {
    /// A name, or a whole reference with a tag or digest
    reference: String,
    /// What to call it here [default: its tag]
    name: Option<Name>,
}

impl Arguments {
    /// Looks, fetches, unpacks.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("--offline: a snapshot is pulled from a registry"));
        }
        let project = cx.project()?;
        let reference = place::reference(cx, &project, &self.reference)?;
        let name = place::name(&reference, self.name)?;
        let (id, engine) = (view::id(&project), cx.engine().await?);
        let registry = Registry::of_user(reference.registry(), &cx.registries).await?;
        let store = Store::open(&cx.paths.cache)?;
        let pull = Pull { registry: &registry, store: &store, observer: &cx.observer };
        let plan = pull.plan(&Inventory::read(&engine).await?, &id, &reference, &name).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        if !plan.present {
            pull.fetch(&plan).await?;
            let _turns = place::turns(cx, &id).await?;
            let image = snapshot::any_image(&engine, &id).await?;
            pull.keep(&Maker { engine: &engine, id: &id, image: &image }, &plan).await?;
            cx.limit_cache().await;
        }
        if cx.json {
            cx.report(&plan);
        }
        Ok(Verdict::Ok)
    }
}

impl Report for PullPlan {
    fn text(&self) -> String {
        let mut out = format!("snapshot {} from {}\n", self.snapshot, self.reference);
        if self.present {
            return format!("{out}  present\n");
        }
        for part in &self.contents.services {
            let image = part.image.as_ref().map_or(String::new(), |image| format!(", of {image}"));
            out.push_str(&format!("  pull    {} ({}){image}\n", part.service, text::bytes(part.bytes)));
        }
        format!("{out}  saved {}, {} to fetch\n", self.contents.made, text::bytes(self.fetch))
    }
}
