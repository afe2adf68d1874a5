//! `onramp deploy`

use std::collections::BTreeMap;
use std::path::Path;

use super::asking::Asking;
use super::context::Context;
use super::failure::Failure;
use super::forge::Desk;
use super::output::Verdict;
use super::proposed;
use crate::engine::Credentials;
use crate::files::FileError;
use crate::git::{Commit, RepoUrl, Worktree};
use crate::images::about;
use crate::name::Name;
use crate::project::Lock;
use crate::reference::{Digest, ImageRef};
use crate::registry::Registry;
use crate::release::background::Pages;
use crate::release::deployment::{self, Evidence, Inputs, Mixed, Plan};
use crate::release::draft::Section;
use crate::release::image::Workshop;
use crate::release::proposal::{self, Merging};
use crate::release::trailers::Reason;
use crate::release::{self, provenance};
use crate::sandbox::record::Record;
use crate::state::{AppState, State};
use crate::task::blocking;
use crate::{images, registry};

/// The most commits that a pull request names.
const COMMITS: usize = 50;

/// Propose this commit for an environment: build, push, and open a pull request on the state repository.
///
/// The pull request edits one file. A later `deploy` of the same app to the same environment updates it. It is merged at
/// once where the environment's policy says `merge = "auto"` and lacks nothing.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp deploy test
  onramp deploy production --message 'Faster search'
  onramp deploy test --dry-run
  onramp deploy test --image sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
  onramp deploy production --skip staging --reason 'Logins fail since 10:30'
  onramp deploy production --reviewer @acme/platform --label urgent
  onramp deploy test --wait --timeout 30m
  onramp deploy production --draft
")]
pub struct Arguments {
    /// The environment, as state.toml names it
    environment: Name,
    /// Why, for the pull request and the commit
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// What was pushed under this digest, instead of building this commit
    #[arg(long, value_name = "DIGEST")]
    image: Option<Digest>,
    /// A hotfix: leave out the environment before, where the policy has `hotfix = true`
    #[arg(long, value_name = "ENV", requires = "reason")]
    skip: Option<Name>,
    /// Why it is left out: one line, kept in the commit
    #[arg(long, value_name = "TEXT", requires = "skip")]
    reason: Option<Reason>,
    #[command(flatten)]
    asking: Asking,
}

impl Arguments {
    /// Plans from the project and the declaration; builds; proposes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("`deploy` pushes an image and a branch; --offline forbids it"));
        }
        self.asking.check(cx)?;
        let project = cx.project()?;
        let (worktree, source) = release::source(&project.root)?;
        // Of the same moment as the source: later edits are not what is deployed.
        let mut evidence = evidence(cx, &project.root).await?;
        let desk = Desk::open(cx).await?;
        let head = desk.head()?;
        let app = &project.manifest.name;
        let declared = desk.state.app(&head, &self.environment, app)?;
        let rules = desk.state.rules(&head)?;
        let said = provenance::built_from(&desk.state, &head, app, &source)?;
        let built = if self.image.is_some() { said } else { of_commit(cx, said, &source).await? };
        let mut plan = deployment::plan(&Inputs {
            manifest: &project.manifest,
            lock: &Lock::load(&project.root)?,
            registry: cx.settings.registry()?,
            environment: &self.environment,
            source: &source,
            format: &rules.format,
            declared: declared.as_ref(),
            built: &built,
        })?;
        plan.made = Some(worktree.time(&source)?);
        plan.unready = self.asking.draft();
        if let Some(digest) = &self.image {
            plan = plan.given(digest)?;
            for image in plan.reused.values() {
                // What nobody can pull is no deployment, and what was made of another commit was not tested by this one's tests.
                let registry = Registry::of_user(image.registry(), &cx.registries).await?;
                let facts = cx.waiting(&format!("look for {}", image.path()), registry.facts(image)).await?;
                if !says(&facts, &source) {
                    cx.observer
                        .note("the image does not say that it is of this commit, so what tests found here is not told");
                    evidence = Evidence::default();
                }
            }
        }
        if let (Some(skip), Some(reason)) = (&self.skip, &self.reason) {
            plan = plan.skipping(rules.environment(&self.environment)?, skip, reason)?;
        }
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
        let state = desk.state.clone();
        let mut draft = blocking(move || proposal::deployment(&state, &plan, images, evidence)).await?;
        draft.message = self.message;
        if let Some(section) = draft.sections.first_mut() {
            since(&desk.state, &head, declared.as_ref(), section, &worktree, &project.root)?;
        }
        proposed::propose(cx, &desk, draft, Merging::Policy, &self.asking).await
    }
}

/// Of the images that commits say were built from this one those that say so themselves: a branch that nobody merged can say what it
/// likes, and what is taken as built from a commit is taken as tested with it.
async fn of_commit(
    cx: &Context,
    said: BTreeMap<Name, ImageRef>,
    source: &Commit,
) -> Result<BTreeMap<Name, ImageRef>, Failure> {
    let mut built = BTreeMap::new();
    for (service, image) in said {
        let registry = Registry::of_user(image.registry(), &cx.registries).await?;
        let found = cx.waiting(&format!("look for {}", image.path()), registry.find(&image)).await?;
        if found.is_some_and(|facts| says(&facts, source)) {
            built.insert(service, image);
        }
    }
    Ok(built)
}

/// Whether an image says that it was built from a commit.
fn says(facts: &registry::Facts, source: &Commit) -> bool {
    facts.labels.get(about::REVISION).map(String::as_str) == Some(source.as_str())
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

/// Adds the project's commits since what the environment runs, and where they are looked at.
fn since(
    state: &State,
    head: &Commit,
    declared: Option<&AppState>,
    section: &mut Section,
    worktree: &Worktree,
    root: &Path,
) -> Result<(), Failure> {
    let (app, environment) = (&section.app, &section.trailers.environment);
    let said = match declared {
        Some(declared) => provenance::said_of(state, head, environment, app, &declared.services)?,
        None => None,
    };
    let previous = said.and_then(|said| said.source);
    let directory = root.strip_prefix(&worktree.root).unwrap_or(Path::new("")).display().to_string();
    if let Some(previous) = previous {
        // A commit that is not here, in a shallow clone or after a forced push, is one that nothing is since.
        section.background.commits = worktree.log(&directory, Some(&previous), COMMITS).unwrap_or_default();
    }
    let origin = worktree.remote("origin")?.and_then(|url| url.parse::<RepoUrl>().ok());
    section.background.pages = origin.as_ref().and_then(Pages::of);
    Ok(())
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
