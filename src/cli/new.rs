//! `onramp new`

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::catalog;
use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::prompt::Terminal;
use crate::blocks::render::Renderer;
use crate::blocks::{Ask, BlockId, Creation, questions, scaffold};
use crate::git::Identity;
use crate::images;
use crate::task::blocking;
use crate::text;

/// Start a project from a building block.
///
/// The directory must be new or empty. It gets the block's files, onramp.lock and a git repository with a first commit:
/// all of it, or nothing.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp new php-web shop
  onramp new php-web shop --defaults --data database=false
  onramp new php-web shop --version 1.0 --dry-run
")]
pub struct Arguments {
    /// The block, of kind app
    block: String,
    /// The project's directory [default: the block's name]
    #[arg(value_name = "DIR")]
    target: Option<PathBuf>,
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

/// What will be made, and after that what was made.
#[derive(Serialize)]
struct Made {
    project: String,
    directory: PathBuf,
    block: BlockId,
    answers: serde_json::Map<String, serde_json::Value>,
    files: Vec<String>,
    /// The first commit; none in a plan.
    commit: Option<String>,
    next: Vec<String>,
}

impl Arguments {
    /// Renders the block, shows what will be made, makes it.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let target = self.target.clone().unwrap_or_else(|| PathBuf::from(&self.block));
        let target: PathBuf = cx.dir.join(target).components().collect();
        // What would refuse at the end refuses before anybody is asked anything.
        scaffold::vacant(&target)?;
        let author = Identity::find(&cx.dir)?;
        let catalog = catalog::open(cx, None).await?;
        let given = catalog::given(&self.data)?;
        let name = target.file_name().map(|name| text::slug(&name.to_string_lossy(), 40)).unwrap_or_default();
        let facts = catalog::facts(cx, &catalog, &name)?;
        let ask = cx.interactive && !self.defaults;
        let mut creation = blocking(move || -> Result<Creation, crate::blocks::Error> {
            let block = catalog.block(&self.block, &self.version)?;
            let mut renderer = Renderer::new(&block.id, &facts);
            let mut terminal = Terminal;
            let person = ask.then_some(&mut terminal as &mut dyn Ask);
            let answers = questions::resolve(&block, &given, person, &mut renderer)?;
            Creation::plan(&block, answers, &renderer)
        })
        .await?;
        catalog::note_unused(cx, &creation.answers);
        lock_images(cx, &mut creation).await;
        let mut made = Made::plan(&creation, &target, &cx.dir);
        if !cx.proceed(&made) {
            return Ok(Verdict::Ok);
        }
        // Short, and not interrupted: a signal waits until the project is there or the directory is as it was.
        made.commit = Some(creation.apply(&target, &author)?.to_string());
        cx.report(&made);
        Ok(Verdict::Ok)
    }
}

/// Locks the images that the project names, so that its first commit is complete. A registry that does not answer is no
/// reason to have no project: `onramp image pull` locks later.
async fn lock_images(cx: &Context, creation: &mut Creation) {
    let needed = creation.manifest.tagged_images();
    match images::lock::complete(&creation.lock, &needed, cx.lock_forbidden(), cx.timeout).await {
        Ok(lock) => creation.lock = lock,
        Err(error) => cx.observer.note(&format!("images are not locked yet ({error}); `onramp image pull` locks them")),
    }
}

impl Made {
    fn plan(creation: &Creation, target: &Path, here: &Path) -> Self {
        let shown = match target.strip_prefix(here) {
            // The directory was replaced; a shell that stands in it must enter the new one.
            Ok(inside) if inside.as_os_str().is_empty() => "\"$PWD\"".to_owned(),
            Ok(inside) => inside.display().to_string(),
            Err(_) => target.display().to_string(),
        };
        let mut files: Vec<String> = creation.files.iter().map(|file| file.path.clone()).collect();
        files.push(crate::project::lock::FILE.to_owned());
        files.sort();
        Self {
            project: creation.project.to_string(),
            directory: target.to_owned(),
            block: creation.block.clone(),
            answers: catalog::answers_json(&creation.answers),
            files,
            commit: None,
            next: vec![format!("cd {shown} && onramp up")],
        }
    }
}

impl Report for Made {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        if let Some(commit) = &self.commit {
            let (count, block, commit) = (self.files.len(), &self.block, &commit[..7]);
            lines.push(format!("{} is ready: {count} files from {block}, committed as {commit}", self.project));
            lines.extend(self.next.iter().map(|next| format!("  next: {}", text::neutral_line(next, 500))));
        } else {
            let directory = text::neutral_line(&self.directory.display().to_string(), 500);
            lines.push(format!("{} from {}, in {directory}", self.project, self.block));
            lines.extend(catalog::file_lines(&self.files));
        }
        lines.join("\n") + "\n"
    }
}
