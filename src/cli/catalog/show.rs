//! `onramp catalog show`

use serde::Serialize;

use crate::blocks::Block;
use crate::blocks::manifest::Kind;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::task::blocking;
use crate::template::question::{self, Choices, When};
use crate::template::{Question, Value};
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
        let manifest = block.manifest.as_ref();
        Self {
            name: block.id.name.to_string(),
            kind: manifest.map_or(Kind::App, |manifest| manifest.kind),
            version: block.id.version.to_string(),
            versions,
            catalog: block.id.source.clone(),
            commit: block.id.commit.clone(),
            description: manifest.map(|manifest| manifest.description.clone()).unwrap_or_default(),
            owner: manifest.map(|manifest| manifest.owner.clone()).unwrap_or_default(),
            questions: block.template.questions.iter().map(Asked::new).collect(),
            services: manifest.into_iter().flat_map(|manifest| manifest.services.keys().cloned()).collect(),
            readme: block.readme,
        }
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
