//! `onramp snapshot push`

use super::place;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::name::Name;
use crate::project::Lock;
use crate::registry::Registry;
use crate::sandbox::SandboxKey;
use crate::sandbox::data::share::{Push, PushPlan, Pushed, Wanted};
use crate::sandbox::data::{Inventory, Maker, snapshot};
use crate::task::blocking;
use crate::text;

/// Push a snapshot into a registry, for other machines and other people of the project.
///
/// It goes to `<registry>/snapshots/<project>:<name>` of the company's registry unless a reference is given. Whoever may
/// read that repository may read the data, and the sandbox's own passwords that are in it. What the registry has already
/// is not sent again.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp snapshot push before-migration
  onramp snapshot push before-migration registry.acme.test/qa/shop:before
  onramp snapshot push before-migration --dry-run    where it would go
  onramp snapshot push nightly --replace             the tag, too, if it is another snapshot
")]
pub struct Arguments {
    /// The snapshot
    name: Name,
    /// Where it goes, with a tag [default: the project's place in the company's registry]
    #[arg(value_name = "REFERENCE")]
    reference: Option<String>,
    /// Move the tag if another snapshot has it
    #[arg(long)]
    replace: bool,
    /// The environment whose services the sandbox has
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Name,
}

impl Arguments {
    /// Plans, packs, uploads.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("--offline: a snapshot is pushed to a registry"));
        }
        let (view, engine) = tokio::try_join!(cx.view(&self.environment), cx.engine())?;
        let reference = place::pushed(cx, &view.project, self.reference.as_deref().unwrap_or(self.name.as_str()))?;
        let registry = Registry::of_user(reference.registry(), &cx.registries).await?;
        let turns = place::turns(cx, &view.id).await?;
        let snapshot = snapshot::find(&Inventory::read(&engine).await?, &view.id, &self.name)?;
        let state = cx.paths.state.clone();
        let key = blocking(move || SandboxKey::open(&state)).await?;
        let lock = Lock::load(&view.project.root)?;
        let (members, project) = (view.members.as_slice(), view.project.manifest.name.as_str());
        let wanted = Wanted { snapshot: &snapshot, members, project, lock: &lock, key: &key };
        let plan = PushPlan::make(&registry, &wanted, reference, self.replace).await?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        let image = snapshot::any_image(&engine, &view.id).await?;
        let maker = Maker { engine: &engine, id: &view.id, image: &image };
        let push = Push { maker, registry: &registry, cache: &cx.paths.cache, observer: &cx.observer };
        let packed = push.pack(&plan).await?;
        drop(turns);
        cx.report(&push.upload(&plan, &packed).await?);
        Ok(Verdict::Ok)
    }
}

impl Report for PushPlan {
    fn text(&self) -> String {
        let services: Vec<String> = self.services.iter().map(ToString::to_string).collect();
        let verb = if self.replace { "replace" } else { "push   " };
        format!("snapshot {} of {}\n  {verb} {}\n", self.snapshot, services.join(", "), self.reference)
    }
}

impl Report for Pushed {
    fn text(&self) -> String {
        let sent = match self.sent {
            0 => "it was there".to_owned(),
            sent => format!("{} sent", text::bytes(sent)),
        };
        format!("{}\n{} of {}: {sent}\n", self.reference, self.tag, text::bytes(self.size))
    }
}
