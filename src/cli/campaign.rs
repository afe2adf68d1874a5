//! `onramp campaign`

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::block::{self, Chosen};
use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::permission::TrustingPython;
use crate::blocks::BlockId;
use crate::campaign::journal::{Begin, Journal};
use crate::campaign::report::Campaign;
use crate::campaign::{Doing, Goal, Outcome, Place, Run, Stop, Target, Waves, target};
use crate::files;
use crate::forge;
use crate::forge::github::GitHub;
use crate::git::{Identity, Mirror, Snapshot, Wanted};
use crate::settings::ForgeKind;
use crate::task::blocking;
use crate::text::{self, neutral_line};
use crate::trust::{self, Trust};

/// Bring a version of a block to many repositories, each on a branch of its own.
///
/// In every repository that has the block the update is merged with what was changed there, and committed to the branch
/// onramp/<block>-<version>. Work tree, index and HEAD stay as they are. What needs a decision is reported, and gets a
/// branch only with --with-conflicts. A campaign that was ended goes on with --resume. Tasks, migrations and hooks of the
/// block are not run: commits, pull requests and the report name those that an update of the repository would run.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp campaign php-web@1.2.0 --repos ~/src --dry-run
  onramp campaign php-web@1.2.0 --repos repositories.txt --wave 5,10%,100% --stop-after 10% --report report
  onramp campaign php-web --repos github:acme --pull-requests
")]
pub struct Arguments {
    /// The block and its version [default version: the latest]
    #[arg(value_name = "BLOCK[@VERSION]")]
    block: String,
    /// A file with a path or URL a line, a directory of repositories, or an organisation: github:acme. The repositories of
    /// other forges (GitLab, Gitea, Forgejo) are not listed: write their URLs into a file
    #[arg(long, value_name = "FILE|DIR|ORG")]
    repos: String,
    /// Sizes of waves, as numbers or shares, the last one repeated
    #[arg(long, value_name = "SIZES", default_value = "100%")]
    wave: Waves,
    /// Begin no other repository after so many failures and conflicts, or this share of them
    #[arg(long, value_name = "NUMBER|SHARE", default_value = "20%")]
    stop_after: Stop,
    /// Stop after each wave; --resume begins the next one
    #[arg(long)]
    pause: bool,
    /// Make branches with conflicts in them, too
    #[arg(long)]
    with_conflicts: bool,
    /// Push the branches and open pull requests
    #[arg(long)]
    pull_requests: bool,
    /// Go on with this campaign
    #[arg(long, conflicts_with = "restart")]
    resume: bool,
    /// Visit every repository again
    #[arg(long)]
    restart: bool,
    /// Write report.json and report.html there
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    trusting: TrustingPython,
}

/// What will be done.
#[derive(Serialize)]
struct Plan {
    block: BlockId,
    repositories: usize,
    waves: Vec<usize>,
    stop_after: String,
    pull_requests: bool,
}

/// What was done.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    campaign: Campaign,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reports: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<PathBuf>,
}

impl Arguments {
    /// Plans, visits, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if self.pull_requests && cx.offline {
            return Err(Failure::usage("pull requests are opened on a forge; --offline forbids it"));
        }
        let (name, version) = split(&self.block);
        let in_catalog = crate::blocks::location::block_name(name).is_some();
        let exact =
            version.map(
                |version| {
                    if in_catalog { format!("={}", version.trim_start_matches('v')) } else { version.to_owned() }
                },
            );
        let mut found = Chosen::exactly(exact).find(cx, name, None).await?;
        self.trusting.decide(cx, &mut found.block)?;
        let actions = &found.block.template.actions;
        if !(actions.tasks.is_empty() && actions.migrations.is_empty() && actions.hooks.is_empty()) {
            let id = &found.block.id;
            cx.observer.note(&format!(
                "a campaign brings files: what {id} would run is not run, and told in each commit and pull request"
            ));
        }
        let targets = self.targets(cx).await?;
        let plan = Plan {
            block: found.block.id.clone(),
            repositories: targets.len(),
            waves: self.wave.of(targets.len()).iter().map(ExactSizeIterator::len).collect(),
            stop_after: self.stop_after.words(),
            pull_requests: self.pull_requests,
        };
        if !cx.dry_run {
            cx.proceed(&plan);
        }
        let goal = Goal {
            facts: block::facts(cx, found.catalog.as_ref(), "", "")?,
            to: found.block,
            catalog: found.catalog,
            cache: cx.paths.cache.clone(),
            trust: Trust::load(&trust::place(&cx.paths))?,
            offline: cx.offline,
            me: Identity::find(&cx.dir)?,
            manner: Doing { branches: !cx.dry_run, with_conflicts: self.with_conflicts },
            wanted: cx.settings.forge().map_or(Wanted::Branches, |setting| forge::wanted(setting.kind)),
            rendered: Mutex::new(HashMap::new()),
        };
        let begin = match (self.resume, self.restart) {
            (true, _) => Begin::Resume,
            (_, true) => Begin::Restart,
            _ => Begin::Fresh,
        };
        // Two may have a repository in common, so there is one at a time.
        let turn = (!cx.dry_run).then(|| crate::turn::Turn::take(&cx.paths.state, "campaigns"));
        let _turn = turn.transpose()?;
        let mut journal = (!cx.dry_run)
            .then(|| Journal::open(&cx.paths.state, &goal.to.id, &goal.to.content, &targets, begin))
            .transpose()?;
        let proposer = |mirror: Mirror| -> crate::campaign::run::Connecting<'_> { Box::pin(connect(cx, mirror)) };
        let run = Run {
            goal: Arc::new(goal),
            targets: Arc::new(targets),
            waves: self.wave.clone(),
            stop: (!cx.dry_run).then_some(self.stop_after),
            pause: self.pause && !cx.dry_run,
            proposer: (self.pull_requests && !cx.dry_run).then_some(&proposer),
            observer: &*cx.observer,
        };
        let campaign = run.go(journal.as_mut()).await?;
        let reports = match &self.report {
            Some(directory) => write(&cx.dir, directory, &campaign)?,
            None => Vec::new(),
        };
        let done = Done { campaign, reports, journal: journal.map(|journal| journal.path) };
        cx.report(&done);
        Ok(done.verdict())
    }

    /// The repositories. With pull requests those that the branches are pushed to, wherever their clones are.
    async fn targets(&self, cx: &Context) -> Result<Vec<Target>, Failure> {
        let targets = match self.repos.split_once(':') {
            Some(("github", organisation)) if !cx.dir.join(&self.repos).exists() => {
                organisation_of(cx, organisation).await?
            }
            Some((forge @ ("gitlab" | "gitea" | "forgejo" | "local"), _)) if !cx.dir.join(&self.repos).exists() => {
                let message = format!("onramp cannot list the repositories of a {forge} forge");
                return Err(Failure::usage(message).hint("--repos takes a file with a URL a line, or a directory, too"));
            }
            _ => {
                let path = cx.dir.join(&self.repos);
                blocking(move || target::of(&path)).await?
            }
        };
        if !self.pull_requests {
            return Ok(targets);
        }
        targets.into_iter().map(|target| pushed_to(target, &cx.dir)).collect()
    }
}

/// The block and the version that an argument names. A version holds no `/` or `:`, as addresses do.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@') {
        Some((name, version)) if !name.is_empty() && !version.contains(['/', ':']) && !version.is_empty() => {
            (name, Some(version))
        }
        _ => (text, None),
    }
}

/// Where a repository's pull requests are: its `origin`, or itself.
fn pushed_to(target: Target, here: &Path) -> Result<Target, Failure> {
    let Place::Directory(path) = &target.place else { return Ok(target) };
    let origin = Snapshot::open(path)?.and_then(|snapshot| snapshot.remote());
    let address = origin.unwrap_or_else(|| path.display().to_string());
    Ok(target::remote(crate::git::RepoUrl::from_argument(&address, here)?))
}

async fn organisation_of(cx: &Context, organisation: &str) -> Result<Vec<Target>, Failure> {
    if cx.offline {
        return Err(forge::Error::Offline.into());
    }
    let setting = cx.settings.forge.as_ref().map(|setting| &setting.value);
    let api = setting.filter(|setting| setting.kind == ForgeKind::Github).and_then(|setting| setting.api.as_deref());
    let place = forge::Place::of_organisation(api, organisation)?;
    let token = forge::token_for(&place, &|name| std::env::var(name).ok()).await?;
    let github = GitHub::new(place, token, cx.timeout)?;
    let repositories = cx.waiting("list the organisation's repositories", github.repositories(organisation)).await?;
    if repositories.is_empty() {
        return Err(target::Error::None(neutral_line(organisation, 80)).into());
    }
    Ok(repositories.into_iter().map(target::remote).collect())
}

async fn connect(cx: &Context, mirror: Mirror) -> Result<Box<dyn forge::Forge>, forge::Error> {
    let setting = cx.settings.forge().map_err(|error| forge::Error::Setting { detail: error.to_string() })?;
    let me = Identity::find(&cx.dir)?;
    let variable = |name: &str| std::env::var(name).ok();
    forge::connect(setting, &mirror, &me, cx.offline, cx.timeout, &variable).await
}

fn write(here: &Path, directory: &Path, campaign: &Campaign) -> Result<Vec<PathBuf>, Failure> {
    let (json, html) = (directory.join("report.json"), directory.join("report.html"));
    files::write(&here.join(&json), campaign.json().as_bytes())?;
    files::write(&here.join(&html), campaign.html().as_bytes())?;
    Ok(vec![json, html])
}

impl Done {
    /// A person has something to decide, or it did not come to its end.
    fn verdict(&self) -> Verdict {
        let counts = &self.campaign.counts;
        let trouble = counts.failed > 0 || counts.conflicts > 0 || counts.visited < self.campaign.repositories;
        if trouble { Verdict::Failed } else { Verdict::Ok }
    }
}

impl Report for Plan {
    fn text(&self) -> String {
        let waves: Vec<String> = self.waves.iter().take(10).map(ToString::to_string).collect();
        let more = if self.waves.len() > waves.len() { ", …" } else { "" };
        let pulls = if self.pull_requests { ", each with a pull request" } else { "" };
        format!(
            "{} to {} repositories in waves of {}{more}{pulls}\n  stops at {}\n",
            self.block,
            self.repositories,
            waves.join(", "),
            self.stop_after
        )
    }
}

/// The most repositories that are told one by one.
const TOLD: usize = 20;

impl Report for Done {
    fn text(&self) -> String {
        let counts = &self.campaign.counts;
        let mut lines = vec![format!(
            "{}: {} updated, {} with conflicts, {} failed, {} up to date, {} without it",
            self.campaign.block, counts.branched, counts.conflicts, counts.failed, counts.current, counts.without
        )];
        let trouble: Vec<_> = self.campaign.visits.iter().filter(|visit| visit.outcome.is_trouble()).collect();
        for visit in trouble.iter().take(TOLD) {
            let why = match &visit.outcome {
                Outcome::Conflicts { conflicts, .. } => {
                    let paths: Vec<&str> = conflicts.iter().map(|clash| clash.path.as_str()).collect();
                    format!("conflicts in {}", text::shorten(&paths.join(", "), 200))
                }
                Outcome::Failed { message } => message.clone(),
                _ => String::new(),
            };
            lines.push(format!("  {}: {}", neutral_line(&visit.repository, 200), neutral_line(&why, 300)));
        }
        if trouble.len() > TOLD {
            lines.push(format!("  and {} more; --report DIR tells all", trouble.len() - TOLD));
        }
        if let Some(why) = &self.campaign.stopped {
            lines.push(format!("  stopped: {why}"));
            lines.push("  next: the same command with --resume".to_owned());
        }
        lines.extend(self.reports.iter().map(|path| format!("  report: {}", path.display())));
        lines.join("\n") + "\n"
    }
}
