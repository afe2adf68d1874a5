//! `onramp deploy`

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use super::context::{Context, blocking};
use super::failure::Failure;
use super::forge::{Desk, headline, missing};
use super::output::{Report, Verdict};
use crate::engine::Credentials;
use crate::forge::PullRequest;
use crate::name::Name;
use crate::project::Lock;
use crate::release::deployment::{self, Change, Evidence, Inputs, Plan};
use crate::release::image::Workshop;
use crate::release::proposal::{self, Outcome};
use crate::release::{self, Finding, gate, provenance};
use crate::sandbox::record::Record;
use crate::text::table;
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
")]
pub struct Arguments {
    /// The environment, as state.toml names it
    environment: Name,
    /// Why, for the pull request and the commit
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
}

#[derive(Serialize)]
struct Proposed {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<PullRequest>,
    changes: Vec<Change>,
    missing: Vec<Finding>,
    next: Vec<String>,
    #[serde(skip)]
    text: String,
}

impl Arguments {
    /// Plans from the project and the declaration; builds; proposes.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("`deploy` pushes an image and a branch; --offline forbids it"));
        }
        let project = cx.project()?;
        let (worktree, source) = release::source(&project.root)?;
        let desk = Desk::open(cx).await?;
        let head = desk.head()?;
        let app = &project.manifest.name;
        let declared = desk.state.app(&head, &self.environment, app)?;
        let plan = deployment::plan(&Inputs {
            manifest: &project.manifest,
            lock: &Lock::load(&project.root)?,
            registry: cx.settings.registry()?,
            environment: &self.environment,
            source: &source,
            declared: declared.as_ref(),
            built: &provenance::built_from(&desk.state, &head, app, &source)?,
        })?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        let images = if plan.builds.is_empty() {
            plan.reused.clone()
        } else {
            let engine = cx.engine().await?;
            let missing = plan.builds.iter().map(|build| build.base.clone()).collect::<Vec<_>>();
            cx.pull_missing(&engine, &missing).await?;
            let credentials = &credentials(&plan).await;
            let (engine, worktree, observer) = (&engine, &worktree, &*cx.observer);
            Workshop { engine, credentials, worktree, project: &project.root, observer }.build(&plan).await?
        };
        let evidence = evidence(cx, &project.root).await?;
        let Desk { state, forge, me } = &desk;
        let outcome = proposal::propose(state, &**forge, me, &plan, images, evidence, self.message).await?;
        cx.report(&proposed(&plan, outcome));
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
    let record = blocking(move || Record::find(&state, &root)).await?;
    Ok(record.map_or_else(Evidence::default, |record| Evidence {
        tests: record.tests,
        parity: Some(record.parity),
        state_commit: record.state_commit,
    }))
}

fn proposed(plan: &Plan, outcome: Outcome) -> Proposed {
    let Plan { app, environment, source, .. } = plan;
    let Outcome::Proposed { pull, changes, new, gate, merged } = outcome else {
        let text =
            format!("{environment} declares {app} exactly as source {} has it; nothing to propose\n", source.short());
        return Proposed {
            outcome: "nothing",
            pull: None,
            changes: Vec::new(),
            missing: Vec::new(),
            next: Vec::new(),
            text,
        };
    };
    let mut next = gate::commands(pull.number, &gate.findings);
    let (outcome, verb) = match (&merged, new) {
        (Some(_), _) => ("merged", "merged"),
        (None, true) => ("opened", "opened"),
        (None, false) => ("updated", "up to date"),
    };
    let mut text = format!("{verb}: {}\n{}{}", headline(&pull), changed(&changes), missing(pull.number, &gate));
    if merged.is_none() && gate.is_open() {
        next.push(format!("onramp pr merge {}", pull.number));
        let _ = writeln!(text, "  next:    onramp pr merge {}", pull.number);
    }
    let _ = writeln!(text, "  see:     {}", crate::text::neutral_line(&pull.url, 300));
    Proposed { outcome, pull: Some(*pull), changes, missing: gate.findings, next, text }
}

fn changed(changes: &[Change]) -> String {
    let short = |image: &crate::reference::ImageRef| image.digest().map_or_else(String::new, |d| d.short().to_owned());
    let row = |change: &Change| {
        let from = change.from.as_ref().map_or_else(|| "new".to_owned(), short);
        vec![format!("  {}", change.service), format!("{from} -> {}", short(&change.to)), change.to.repository()]
    };
    table(&changes.iter().map(row).collect::<Vec<_>>())
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut rows = Vec::new();
        let mut row = |verb: &str, what: String, how: String| rows.push(vec![format!("  {verb}"), what, how]);
        for build in &self.builds {
            row("build", build.image.to_string(), format!("on {}", build.base.repository()));
            row("push", build.image.to_string(), String::new());
        }
        for (service, image) in &self.reused {
            row("reuse", image.repository(), format!("for {service}, built from this commit before"));
        }
        for service in self.added.keys() {
            row("add", format!("services.{service}"), format!("{} does not declare it", self.environment));
        }
        row("edit", self.file.clone(), "in the state repository".to_owned());
        row("propose", self.branch.clone(), "as a pull request".to_owned());
        format!("Deploy {} {} to {}\n{}", self.app, self.source.short(), self.environment, table(&rows))
    }
}

impl Report for Proposed {
    fn text(&self) -> String {
        self.text.clone()
    }
}
