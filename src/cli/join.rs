//! `onramp join`

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::context::Context;
use super::doctor::Findings;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::doctor::{self, Finding};
use crate::document::{self, DocumentError};
use crate::error::Class;
use crate::files;
use crate::git::{Mirror, RepoUrl, Wanted};
use crate::settings::{self, CompanyDefaults, Settings};
use crate::task::blocking;

/// The catalog's file with the company's defaults.
const FILE: &str = "catalog.toml";

/// Set this machine up for a company: its registry, state repository and forge, as its catalog says.
///
/// Only your own settings file changes. Afterwards the machine is checked as `onramp doctor` does.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp join https://git.acme.test/platform/catalog.git
  onramp join git@git.acme.test:platform/catalog.git --dry-run
")]
pub struct Arguments {
    /// URL or path of the company's catalog repository
    catalog: String,
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
    #[serde(skip)]
    text: String,
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
        let (cache, offline, shown) = (cx.paths.cache.clone(), cx.offline, url.clone());
        let defaults = cx.waiting("fetch the catalog", blocking(move || read(&cache, shown, offline))).await?;
        if !crate::reference::is_registry(&defaults.company.registry) {
            let what = crate::text::neutral_line(&defaults.company.registry, 80);
            return Err(Failure::new(Class::Config, format!("{FILE} of {url}: `{what}` is no registry (host[:port])")));
        }
        defaults.company.state.parse::<RepoUrl>()?;
        let plan = plan(cx, &url, &defaults)?;
        if !cx.proceed(&plan) {
            return Ok(Verdict::Ok);
        }
        files::write(&plan.settings, plan.text.as_bytes())?;
        let cx = &cx.with(Settings::resolve(&cx.paths, |name| std::env::var(name).ok())?);
        let findings = doctor::examine(&cx.machine(), cx.forge_access()).await;
        let well = findings.iter().all(|finding| finding.well);
        cx.report(&Joined { plan, well, findings });
        Ok(Verdict::Ok)
    }
}

/// Reads the company's defaults from the catalog's default branch.
fn read(cache: &Path, url: RepoUrl, offline: bool) -> Result<CompanyDefaults, Failure> {
    let mirror = Mirror::new(cache, url, Wanted::Branches);
    mirror.refresh(offline)?;
    let commit = mirror.head()?;
    let missing = || {
        Failure::new(Class::Config, format!("{} has no {FILE}, so it is no catalog", mirror.url()))
            .hint("a catalog says in catalog.toml where the company's registry and state repository are")
    };
    let bytes = mirror.read(&commit, FILE, document::CAP)?.ok_or_else(missing)?;
    let text = String::from_utf8_lossy(&bytes);
    let name = format!("{FILE} of {} at {}", mirror.url(), commit.short());
    Ok(document::parse(Path::new(&name), &text)?)
}

fn plan(cx: &Context, url: &RepoUrl, defaults: &CompanyDefaults) -> Result<Plan, Failure> {
    let path = cx.paths.settings.clone();
    let before = match files::read_text(&path, document::CAP) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => String::new(),
        Err(error) => return Err(error.into()),
    };
    let text = settings::joined(&before, url.as_str(), defaults).map_err(|error| {
        let wrong: DocumentError =
            document::wrong_at(&path, &before, "", crate::text::neutral_line(&error.to_string(), 200));
        Failure::from(wrong)
    })?;
    let shown = |text: &str| crate::text::neutral_line(text, 200);
    Ok(Plan {
        settings: path,
        catalog: url.to_string(),
        company: shown(&defaults.company.name),
        registry: shown(&defaults.company.registry),
        state: shown(&defaults.company.state),
        forge: match &defaults.forge.api {
            Some(api) => format!("{} at {}", defaults.forge.kind.name(), shown(api)),
            None => defaults.forge.kind.name().to_owned(),
        },
        text,
    })
}

impl Report for Plan {
    fn text(&self) -> String {
        format!(
            "{}\n  catalog  {}\n  company  {}\n  registry {}\n  state    {}\n  forge    {}\n",
            self.settings.display(),
            self.catalog,
            self.company,
            self.registry,
            self.state,
            self.forge
        )
    }
}

impl Report for Joined {
    fn text(&self) -> String {
        let checks = Findings::new(self.findings.clone()).text();
        format!("{checks}Joined {}. Next: onramp catalog list\n", self.plan.company)
    }
}
