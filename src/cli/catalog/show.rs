//! `onramp catalog show`

use serde::Serialize;

use crate::blocks::manifest::{Kind, Question, QuestionId, When};
use crate::blocks::{Answer, Block};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::task::blocking;
use crate::text;

/// Show what a building block asks, adds and says of itself.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog show php-web
  onramp catalog show php-web --version 1.0
")]
pub struct Arguments {
    /// The block
    block: String,
    /// The version, or what it must be compatible with [default: the latest]
    #[arg(long, value_name = "REQ", default_value = "*", hide_default_value = true)]
    version: semver::VersionReq,
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
    questions: Vec<Asked>,
    services: Vec<String>,
    readme: Option<String>,
}

#[derive(Serialize)]
struct Asked {
    id: String,
    r#type: &'static str,
    help: String,
    default: Option<toml::Value>,
    choices: Vec<Answer>,
    when: Option<String>,
}

impl Arguments {
    /// Reads one release of the block.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project().ok();
        let catalog = super::open(cx, project.as_ref().map(|project| &project.manifest)).await?;
        let shown = blocking(move || -> Result<Shown, crate::blocks::Error> {
            let block = catalog.block(&self.block, &self.version)?;
            let versions = catalog.versions(&self.block)?;
            Ok(Shown::new(block, versions.iter().map(ToString::to_string).collect()))
        })
        .await?;
        cx.report(&shown);
        Ok(Verdict::Ok)
    }
}

impl Shown {
    fn new(block: Block, versions: Vec<String>) -> Self {
        Self {
            name: block.id.name.to_string(),
            kind: block.manifest.kind,
            version: block.id.version.to_string(),
            versions,
            catalog: block.id.source,
            commit: block.id.commit,
            description: block.manifest.description,
            owner: block.manifest.owner,
            questions: block.manifest.questions.into_iter().map(Asked::new).collect(),
            services: block.manifest.services.into_iter().map(|(name, _)| name).collect(),
            readme: block.readme,
        }
    }
}

impl Asked {
    fn new((id, question): (QuestionId, Question)) -> Self {
        let when = question.when.as_ref().map(|when| match when {
            When::Fixed(yes) => yes.to_string(),
            When::Template(template) => template.clone(),
        });
        let choices = question.choices();
        Self {
            id: id.to_string(),
            r#type: question.r#type.name(),
            help: question.help,
            default: question.default,
            choices,
            when,
        }
    }

    fn row(&self) -> Vec<String> {
        let mut notes = vec![text::neutral_line(&self.help, 100)];
        if !self.choices.is_empty() {
            let choices: Vec<String> = self.choices.iter().map(ToString::to_string).collect();
            notes.push(format!("[{}]", text::neutral_line(&choices.join(", "), 100)));
        }
        match &self.default {
            None => notes.push("(must be answered)".to_owned()),
            Some(toml::Value::String(default)) => notes.push(format!("(default {})", text::neutral_line(default, 60))),
            Some(default) => notes.push(format!("(default {default})")),
        }
        if let Some(when) = &self.when {
            notes.push(format!("(when {})", text::neutral_line(when, 60)));
        }
        vec![format!("  {}", self.id), self.r#type.to_owned(), notes.join(" ")]
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let line = |text: &str| text::neutral_line(text, 200);
        let (kind, how) = match self.kind {
            Kind::App => ("app", format!("onramp new {} <dir>", self.name)),
            Kind::Part => ("part", format!("onramp add {}", self.name)),
        };
        let mut out = format!("{} {}: {}\n\n", self.name, self.version, line(&self.description));
        let mut facts = vec![("kind", kind.to_owned()), ("owner", line(&self.owner))];
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
