//! `onramp add`

use serde::Serialize;

use super::catalog;
use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::prompt::Terminal;
use crate::blocks::render::Renderer;
use crate::blocks::{Addition, Ask, BlockId, questions};
use crate::project::{Lock, lock, manifest};
use crate::task::blocking;
use crate::{document, files};

/// Add a part from the catalog to this project.
///
/// Writes the part's files, its tables in onramp.toml and its version in onramp.lock. It overwrites nothing and commits
/// nothing: `git diff` shows what it did.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp add cache
  onramp add mail --dry-run
")]
pub struct Arguments {
    /// The block, of kind part
    part: String,
    /// Answer a question of the block
    #[arg(long, value_name = "QUESTION=ANSWER", value_parser = catalog::key_value)]
    data: Vec<(String, String)>,
    /// Take the default of every question that --data does not answer
    #[arg(long)]
    defaults: bool,
    /// The version, or what it must be compatible with [default: the latest]
    #[arg(long, value_name = "REQ", default_value = "*", hide_default_value = true)]
    version: semver::VersionReq,
}

/// What will be added, and after that what was added.
#[derive(Serialize)]
struct Added {
    project: String,
    block: BlockId,
    answers: serde_json::Map<String, serde_json::Value>,
    services: Vec<String>,
    files: Vec<String>,
    changed: [&'static str; 2],
    done: bool,
    next: Vec<String>,
}

impl Arguments {
    /// Renders the part, shows what it changes, changes it.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project()?;
        if cx.locked {
            return Err(Failure::usage("a part changes onramp.lock, which --locked forbids"));
        }
        let before = files::read_text(&project.root.join(manifest::FILE), document::CAP)?;
        let lock = Lock::load(&project.root)?;
        let catalog = catalog::open(cx, Some(&project.manifest)).await?;
        let given = catalog::given(&self.data)?;
        let facts = catalog::facts(cx, &catalog, project.manifest.name.as_str())?;
        let ask = cx.interactive && !self.defaults;
        let root = project.root.clone();
        let addition = blocking(move || -> Result<Addition, crate::blocks::Error> {
            let block = catalog.block(&self.part, &self.version)?;
            let mut renderer = Renderer::new(&block.id, &facts);
            let mut terminal = Terminal;
            let person = ask.then_some(&mut terminal as &mut dyn Ask);
            let answers = questions::resolve(&block, &given, person, &mut renderer)?;
            let addition = Addition::plan(&block, &before, lock, answers, &renderer)?;
            addition.check(&root)?;
            Ok(addition)
        })
        .await?;
        catalog::note_unused(cx, &addition.answers);
        let mut added = Added::plan(&addition, project.manifest.name.as_str());
        if !cx.proceed(&added) {
            return Ok(Verdict::Ok);
        }
        addition.apply(&project.root)?;
        added.done = true;
        cx.report(&added);
        Ok(Verdict::Ok)
    }
}

impl Added {
    fn plan(addition: &Addition, project: &str) -> Self {
        Self {
            project: project.to_owned(),
            block: addition.block.clone(),
            answers: catalog::answers_json(&addition.answers),
            services: addition.services.clone(),
            files: addition.files.iter().map(|file| file.path.clone()).collect(),
            changed: [manifest::FILE, lock::FILE],
            done: false,
            next: vec!["git diff".to_owned(), "onramp up".to_owned()],
        }
    }
}

impl Report for Added {
    fn text(&self) -> String {
        if !self.done {
            let mut lines = vec![format!("{} to {}", self.block, self.project)];
            lines.extend(self.services.iter().map(|service| format!("  service {service}")));
            lines.extend(catalog::file_lines(&self.files));
            lines.extend(self.changed.map(|file| format!("  change  {file}")));
            return lines.join("\n") + "\n";
        }
        let mut lines = vec![format!("{} is added to {}; nothing is committed yet", self.block, self.project)];
        let needs = |service| format!("  a service that uses it says so: needs = [\"{service}\"]");
        lines.extend(self.services.iter().map(needs));
        lines.extend(self.next.iter().map(|next| format!("  next: {next}")));
        lines.join("\n") + "\n"
    }
}
