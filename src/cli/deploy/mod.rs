//! `onramp deploy`

mod report;

use std::collections::BTreeMap;
use std::path::Path;

use super::asking::Asking;
use super::context::Context;
use super::failure::Failure;
use super::forge::{Desk, headline};
use super::output::Verdict;
use crate::engine::Credentials;
use crate::files::FileError;
use crate::forge::{self, checks};
use crate::images::contents::Reader;
use crate::name::Name;
use crate::project::Lock;
use crate::release::deployment::{self, Evidence, Inputs, Mixed, Plan};
use crate::release::image::Workshop;
use crate::release::proposal::{self, Outcome};
use crate::release::{self, provenance};
use crate::sandbox::record::Record;
use crate::settings::ForgeKind;
use crate::task::blocking;
use crate::{images, registry};

/// Propose this commit for an environment: build, push, and open a pull request on the state repository.
///
/// The pull request edits one file. A later `deploy` of the same app to the same environment updates it. It is merged at
/// once where the environment's policy says `merge = "auto"` and lacks nothing.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp deploy test
  onramp deploy production --message 'Faster search'
  onramp deploy test --dry-run
  onramp deploy production --reviewer @acme/platform --label urgent
  onramp deploy test --wait --timeout 30m
")]
pub struct Arguments {
    /// The environment, as state.toml names it
    environment: Name,
    /// Why, for the pull request and the commit
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    asking: Asking,
    /// Wait until every check that the forge has of the proposed commit has passed, as long as --timeout says
    #[arg(long)]
    wait: bool,
}

impl Arguments {
    /// Plans from the project and the declaration; builds; proposes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("`deploy` pushes an image and a branch; --offline forbids it"));
        }
        self.asking.check()?;
        if self.wait && cx.settings.forge()?.kind == ForgeKind::Local {
            return Err(forge::Error::NoChecks.into());
        }
        let project = cx.project()?;
        let (worktree, source) = release::source(&project.root)?;
        // Of the same moment as the source: later edits are not what is deployed.
        let mut evidence = evidence(cx, &project.root).await?;
        let desk = Desk::open(cx).await?;
        let head = desk.head()?;
        let app = &project.manifest.name;
        let declared = desk.state.app(&head, &self.environment, app)?;
        let rules = desk.state.rules(&head)?;
        let plan = deployment::plan(&Inputs {
            manifest: &project.manifest,
            lock: &Lock::load(&project.root)?,
            registry: cx.settings.registry()?,
            environment: &self.environment,
            source: &source,
            format: &rules.format,
            declared: declared.as_ref(),
            built: &provenance::built_from(&desk.state, &head, app, &source)?,
        })?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        cx.signed(&plan.images()).await?;
        let images = if plan.builds.is_empty() {
            plan.reused.clone()
        } else {
            let engine = cx.engine().await?;
            let missing = plan.builds.iter().map(|build| build.base.clone()).collect::<Vec<_>>();
            cx.remember_more(&project.root, &missing)?;
            cx.pull_missing(&engine, &missing).await?;
            let credentials = &credentials(&plan).await;
            let (engine, worktree, observer) = (&engine, &worktree, &*cx.observer);
            Workshop { engine, credentials, worktree, project: &project.root, observer }.build(&plan).await?
        };
        // What was built now can only have a signature if it was built like this before, and signed since.
        cx.signed(&images.values().cloned().collect::<Vec<_>>()).await?;
        let reader = Reader::new(&cx.paths.cache, false, &cx.registries, cx.observer.clone());
        let declared = declared.as_ref().map(|declared| &declared.services);
        evidence.images = release::contents::differences(&reader, declared, &images).await;
        let Desk { state, forge, me, registries } = &desk;
        let mut outcome =
            proposal::propose(state, (&**forge, registries), me, &plan, images, evidence, self.message).await?;
        if let Outcome::Proposed { pull, merged: None, .. } = &mut outcome {
            **pull = self.asking.about(cx, &desk, (**pull).clone(), head, &plan.file).await?;
            if self.wait {
                // Whoever ends the wait knows where it is.
                cx.observer.note(&format!("proposed: {}", headline(pull)));
                checks::wait(&*desk.forge, pull, cx.timeout, &*cx.observer).await?;
            }
        }
        cx.report(&report::proposed(&plan, outcome));
        Ok(Verdict::Ok)
    }
}

/// The user's credentials for the registries that the plan pushes to.
async fn credentials(plan: &Plan) -> BTreeMap<String, Credentials> {
    let mut found = BTreeMap::new();
    for build in &plan.builds {
        let host = build.image.registry();
        if !found.contains_key(host)
            && let Some(credentials) = registry::credentials_of_user(host).await
        {
            found.insert(host.to_owned(), images::pull::engine_credentials(credentials));
        }
    }
    found
}

/// What `onramp test` found on exactly this code.
async fn evidence(cx: &Context, root: &Path) -> Result<Evidence, Failure> {
    let (state, root) = (cx.paths.state.clone(), root.to_owned());
    let both = blocking(move || Ok::<_, FileError>((Record::find(&state, &root)?, Record::find_mixed(&state, &root)?)));
    let (record, mixed) = both.await?;
    let mixed = mixed.map(|record| Mixed { with: record.with, tests: record.tests });
    let (tests, parity, state_commit) =
        record.map(|record| (record.tests, Some(record.parity.to_string()), record.state_commit)).unwrap_or_default();
    Ok(Evidence { tests, parity, state_commit, mixed, images: BTreeMap::new() })
}
