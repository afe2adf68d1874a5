//! `onramp catalog show`

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::blocks::Block;
use crate::blocks::manifest::{Kind, Support};
use crate::campaign::target;
use crate::catalog::Error;
use crate::catalog::adopters::{self, Adopter};
use crate::catalog::overview::{self, About, Activity, Overview};
use crate::catalog::similarity::Near;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::task::blocking;
use crate::template::question::{self, Choices, When};
use crate::template::{Question, Value};
use crate::text;

/// Show what a building block asks, adds and says of itself; who answers for it, who uses it, how lively it is.
///
/// The activity score is the `InnerSource` Commons formula over the block's commits (merges count once), and over stars,
/// forks and issues where a repos.json tells them.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog show php-web
  onramp catalog show php-web --version 1.0
  onramp catalog show php-web --repos ~/src
")]
pub struct Arguments {
    /// The block
    block: String,
    /// The version, or what it must be compatible with [default: the latest]
    #[arg(long, value_name = "REQ", default_value = "*", hide_default_value = true)]
    version: semver::VersionReq,
    /// Look for adopters in these repositories instead of the catalog's adopters.toml: a file with a path or URL a line, or
    /// a directory of repositories
    #[arg(long, value_name = "FILE|DIR")]
    repos: Option<PathBuf>,
    /// What a portal knows of the catalog's repositories, instead of its own repos.json
    #[arg(long, value_name = "FILE")]
    portal: Option<PathBuf>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    kind: Kind,
    version: String,
    versions: Vec<String>,
    catalog: String,
    commit: String,
    description: String,
    owner: String,
    trusted_committers: Vec<String>,
    support: Support,
    activity: Option<Activity>,
    adopters: Option<Vec<Adopter>>,
    near_duplicates: Vec<Near>,
    questions: Vec<Asked>,
    services: Vec<String>,
    readme: Option<String>,
}

#[derive(Serialize)]
struct Asked {
    id: String,
    r#type: question::Kind,
    help: String,
    default: Option<Value>,
    choices: Vec<Value>,
    when: Option<String>,
}

impl Arguments {
    /// Reads one release of the block.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project().ok();
        let catalog = super::open(cx, project.as_ref().map(|project| &project.manifest)).await?;
        let portal = self.portal.as_deref().map(super::portal).transpose()?;
        let repos = self.repos.as_ref().map(|repos| target::of(&cx.dir.join(repos))).transpose()?;
        let (cache, offline, observer) = (cx.paths.cache.clone(), cx.offline, cx.observer.clone());
        let shown = blocking(move || -> Result<Shown, Error> {
            let block = catalog.block(&self.block, &self.version)?;
            let versions = catalog.versions(&self.block)?.iter().map(ToString::to_string).collect();
            let overview = Overview::of(&catalog, portal, Timestamp::now())?;
            let about = About::of(&block);
            let adopters = match repos {
                Some(targets) => {
                    let (found, unread) = adopters::look(&targets, &[catalog.source().to_owned()], &cache, offline);
                    for (name, why) in unread {
                        observer.note(&format!("{name} was passed over: {why}"));
                    }
                    Some(found)
                }
                None => overview.adopters()?,
            };
            Ok(Shown {
                activity: overview.activity(&block, &about)?,
                adopters: adopters.map(|adopters| adopters.of(block.id.name.as_str())),
                near_duplicates: overview::near(&block, &overview.blocks()?),
                ..Shown::new(block, about, versions)
            })
        })
        .await?;
        cx.report(&shown);
        Ok(Verdict::Ok)
    }
}

impl Shown {
    fn new(block: Block, about: About, versions: Vec<String>) -> Self {
        let manifest = block.manifest.as_ref();
        Self {
            name: block.id.name.to_string(),
            kind: about.kind,
            version: block.id.version.to_string(),
            versions,
            catalog: block.id.source.clone(),
            commit: block.id.commit.clone(),
            description: about.description,
            owner: about.owner,
            trusted_committers: about.trusted_committers,
            support: about.support,
            activity: None,
            adopters: None,
            near_duplicates: Vec::new(),
            questions: block.template.questions.iter().map(Asked::new).collect(),
            services: manifest.into_iter().flat_map(|manifest| manifest.services.keys().cloned()).collect(),
            readme: block.readme,
        }
    }

    /// Who answers for it, how lively it is, who uses it, what is like it.
    fn people(&self) -> Vec<(&'static str, String)> {
        let line = |text: &str| text::neutral_line(text, 200);
        let mut facts = vec![("owner", line(&self.owner))];
        if !self.trusted_committers.is_empty() {
            facts.push(("trusted", line(&self.trusted_committers.join(", "))));
        }
        facts.push(("support", self.support.name().to_owned()));
        if let Some(activity) = &self.activity {
            let recent: u64 = activity.weekly.iter().rev().take(13).sum();
            let commits = if recent == 1 { "commit" } else { "commits" };
            let age = match text::age(activity.updated, Timestamp::now()) {
                now if now == "just now" => now,
                age => format!("{age} ago"),
            };
            let forge = if activity.forge { "" } else { "; stars and forks not known" };
            let (score, level) = (activity.score, activity.level.words());
            facts
                .push(("activity", format!("{score}, {level}: {recent} {commits} in 13 weeks, the last {age}{forge}")));
        }
        if let Some(adopters) = &self.adopters {
            let told = adopters.iter().take(20).map(|one| format!("{} {}", line(&one.repository), one.version));
            let told: Vec<String> = told.collect();
            let more = adopters.len().saturating_sub(told.len());
            facts.push((
                "adopters",
                match (told.is_empty(), more) {
                    (true, _) => "none".to_owned(),
                    (false, 0) => told.join(", "),
                    (false, more) => format!("{} and {more} more", told.join(", ")),
                },
            ));
        }
        if !self.near_duplicates.is_empty() {
            let told = self.near_duplicates.iter().map(|near| format!("{} ({} %)", near.name, near.percent));
            facts.push(("much like", told.collect::<Vec<_>>().join(", ")));
        }
        facts
    }
}

impl Asked {
    fn new(question: &Question) -> Self {
        let when = match &question.when {
            When::Fixed(true) => None,
            When::Fixed(false) => Some("false".to_owned()),
            When::Template(template) => Some(template.clone()),
        };
        let choices = match &question.choices {
            Choices::Listed(choices) => choices.iter().map(|choice| choice.value.clone()).collect(),
            Choices::Any | Choices::Computed(_) => Vec::new(),
        };
        Self {
            id: question.id.to_string(),
            r#type: question.kind,
            help: question.help.clone(),
            default: question.default.clone(),
            choices,
            when,
        }
    }

    fn row(&self) -> Vec<String> {
        let mut notes = vec![text::neutral_line(&self.help, 100)];
        if !self.choices.is_empty() {
            let choices: Vec<String> = self.choices.iter().map(plain).collect();
            notes.push(format!("[{}]", text::neutral_line(&choices.join(", "), 100)));
        }
        match &self.default {
            None => notes.push("(must be answered)".to_owned()),
            Some(default) => notes.push(format!("(default {})", text::neutral_line(&plain(default), 60))),
        }
        if let Some(when) = &self.when {
            notes.push(format!("(when {})", text::neutral_line(when, 60)));
        }
        vec![format!("  {}", self.id), self.r#type.name().to_owned(), notes.join(" ")]
    }
}

/// A value as a person writes it: text without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Report for Shown {
    fn text(&self) -> String {
        let line = |text: &str| text::neutral_line(text, 200);
        let (kind, how) = match self.kind {
            Kind::App => ("app", format!("onramp new {} <dir>", self.name)),
            Kind::Part => ("part", format!("onramp add {}", self.name)),
        };
        let mut out = format!("{} {}: {}\n\n", self.name, self.version, line(&self.description));
        let mut facts = vec![("kind", kind.to_owned())];
        facts.extend(self.people());
        facts.push(("catalog", line(&self.catalog)));
        facts.push(("versions", line(&self.versions.join(", "))));
        if !self.services.is_empty() {
            facts.push(("services", line(&self.services.join(", "))));
        }
        facts.push(("use it", how));
        let rows: Vec<Vec<String>> = facts.into_iter().map(|(key, value)| vec![format!("  {key}"), value]).collect();
        out.push_str(&text::table(&rows));
        if !self.questions.is_empty() {
            out.push_str("\nquestions, each answered by --data question=answer\n");
            out.push_str(&text::table(&self.questions.iter().map(Asked::row).collect::<Vec<_>>()));
        }
        if let Some(readme) = &self.readme {
            out.push('\n');
            out.push_str(text::neutral(readme).trim_end());
            out.push('\n');
        }
        out
    }
}
