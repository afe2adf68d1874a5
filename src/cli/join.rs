//! `onramp join`

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::context::Context;
use super::doctor::Findings;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::signatures;
use crate::blocks::Catalog;
use crate::blocks::catalog::{Defaults, FILE};
use crate::doctor::{self, Finding};
use crate::document::{self, DocumentError};
use crate::error::Class;
use crate::files;
use crate::git::RepoUrl;
use crate::images::policy::{self, Change, Kept, Policy, Rule};
use crate::settings::{self, Company, Forge, Mirror, Settings};
use crate::task::blocking;

/// Set this machine up for a company: its registry, state repository and forge, as its catalog says.
///
/// Only your own settings change. Whose signatures on images count from now on is shown, and kept there: what the catalog
/// trusts beyond that later is asked for again. Afterwards the machine is checked as `onramp doctor` does.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp join https://git.acme.test/platform/catalog.git
  onramp join git@git.acme.test:platform/catalog.git --dry-run
  onramp join https://git.acme.test/platform/catalog.git --accept-keys
")]
pub struct Arguments {
    /// URL or path of the company's catalog repository
    catalog: String,
    /// Accept what the catalog says of signatures beyond what you accepted before
    #[arg(long)]
    accept_keys: bool,
}

/// What joining changes.
#[derive(Serialize)]
struct Plan {
    settings: PathBuf,
    catalog: String,
    company: String,
    registry: String,
    state: String,
    forge: String,
    mirrors: Vec<MirrorPlan>,
    signatures: Vec<policy::Shown>,
    /// What of the signatures was not accepted before.
    beyond: Vec<Change>,
    #[serde(skip)]
    text: String,
}

/// A mirror that will stand before a registry.
#[derive(Serialize)]
struct MirrorPlan {
    registry: String,
    #[serde(flatten)]
    mirror: Mirror,
    /// What stands there now, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

#[derive(Serialize)]
struct Joined {
    #[serde(flatten)]
    plan: Plan,
    well: bool,
    findings: Vec<Finding>,
}

impl Arguments {
    /// Reads the catalog, plans, writes the settings, checks.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let url = RepoUrl::from_argument(&self.catalog, &cx.dir)?;
        let (cache, offline, place) = (cx.paths.cache.clone(), cx.offline, url.clone());
        let read = blocking(move || {
            let catalog = Catalog::open(&cache, place, offline)?;
            Ok::<_, crate::blocks::Error>((catalog.defaults()?, catalog.rules()?))
        });
        let (defaults, rules) = cx.waiting("fetch the catalog", read).await?;
        let (company, forge, mirrors) = said(&url, defaults)?;
        let mut policy = Policy::of(url.as_str(), rules, &cx.paths)?;
        let plan = plan(cx, &url, (&company, &forge, &mirrors), &policy)?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        if policy.kept() == Kept::Beyond && !self.accept_keys {
            signatures::agree(cx, &policy)?;
        }
        files::write(&plan.settings, plan.text.as_bytes())?;
        if policy.kept() != Kept::Same && !(policy.kept() == Kept::Nothing && policy.rules().is_empty()) {
            policy.accept(&cx.paths)?;
        }
        let cx = &cx.with(Settings::resolve(&cx.paths, |name| std::env::var(name).ok())?);
        let findings = doctor::examine(&cx.machine(), cx.forge_access()).await;
        let well = findings.iter().all(|finding| finding.well);
        cx.report(&Joined { plan, well, findings });
        Ok(Verdict::Ok)
    }
}

/// What a company's catalog must say.
fn said(url: &RepoUrl, defaults: Option<Defaults>) -> Result<(Company, Forge, BTreeMap<String, Mirror>), Failure> {
    let wrong = |what: String| Failure::new(Class::Config, what);
    let defaults = defaults.ok_or_else(|| {
        wrong(format!("{url} has no {FILE}, so it is no catalog"))
            .hint("a catalog says in catalog.toml where the company's registry and state repository are")
    })?;
    let missing = |table: &str| wrong(format!("{FILE} of {url} has no table [{table}]"));
    let company = defaults.company.ok_or_else(|| missing("company"))?;
    let forge = defaults.forge.ok_or_else(|| missing("forge"))?;
    if !crate::reference::is_registry(&company.registry) {
        let what = crate::text::neutral_line(&company.registry, 80);
        return Err(wrong(format!("{FILE} of {url}: `{what}` is no registry (host[:port])")));
    }
    company.state.parse::<RepoUrl>()?;
    Ok((company, forge, defaults.mirrors))
}

fn plan(
    cx: &Context,
    url: &RepoUrl,
    (company, forge, mirrors): (&Company, &Forge, &BTreeMap<String, Mirror>),
    policy: &Policy,
) -> Result<Plan, Failure> {
    let path = cx.paths.settings.clone();
    let before = match files::read_text(&path, document::CAP) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => String::new(),
        Err(error) => return Err(error.into()),
    };
    let text = settings::joined(&before, url.as_str(), company, forge, mirrors).map_err(|error| {
        let wrong: DocumentError =
            document::wrong_at(&path, &before, "", crate::text::neutral_line(&error.to_string(), 200));
        Failure::from(wrong)
    })?;
    let shown = |text: &str| crate::text::neutral_line(text, 200);
    let mirrors = mirrors.iter().map(|(registry, mirror)| {
        let before = cx.settings.mirrors.get(registry).filter(|before| *before != mirror);
        let before = before.map(|before| before.at.clone());
        MirrorPlan { registry: registry.clone(), mirror: mirror.clone(), before }
    });
    Ok(Plan {
        settings: path,
        catalog: url.to_string(),
        company: shown(&company.name),
        registry: shown(&company.registry),
        state: shown(&company.state),
        forge: match &forge.api {
            Some(api) => format!("{} at {}", forge.kind.name(), shown(api)),
            None => forge.kind.name().to_owned(),
        },
        mirrors: mirrors.collect(),
        signatures: policy.rules().iter().map(Rule::shown).collect(),
        beyond: policy.changes().to_vec(),
        text,
    })
}

impl Report for Plan {
    fn text(&self) -> String {
        let mut out = format!(
            "{}\n  catalog  {}\n  company  {}\n  registry {}\n  state    {}\n  forge    {}\n",
            self.settings.display(),
            self.catalog,
            self.company,
            self.registry,
            self.state,
            self.forge
        );
        for MirrorPlan { registry, mirror, before } in &self.mirrors {
            let tags = if mirror.tags { ", believed about tags, too" } else { "" };
            let before = before.as_ref().map(|before| format!(" (until now {before})")).unwrap_or_default();
            out.push_str(&format!("  mirror   {} before {registry}{tags}{before}\n", mirror.at));
        }
        out.extend(self.signatures.iter().map(policy::Shown::lines));
        out
    }
}

impl Report for Joined {
    fn text(&self) -> String {
        let checks = Findings::new(self.findings.clone()).text();
        format!("{checks}Joined {}. Next: onramp catalog list\n", self.plan.company)
    }
}
