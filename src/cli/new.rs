//! `onramp new`

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::block::{self, Answering, Chosen};
use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::permission::{self, Running, Trusting};
use super::prompt::Terminal;
use crate::blocks::facts::Operation;
use crate::blocks::{Block, BlockId, Creation, Layer, scaffold};
use crate::git::Identity;
use crate::images;
use crate::project::Lock;
use crate::task::aside;
use crate::template::run::Shown;
use crate::text;
use crate::tree::TreePath;
use crate::trust::Capability;

/// Start a project from a building block, or from any Copier or Cookiecutter template.
///
/// The template is a block of the catalog, a directory, a git URL, gh:owner/repository or gl:owner/repository. The
/// directory must be new or empty. It gets the template's files, onramp.lock and a git repository with a first commit:
/// all of it, or nothing.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp new php-web shop
  onramp new php-web shop --defaults --data database=false
  onramp new php-web shop --version 1.0 --dry-run
  onramp new gh:acme/service-template billing --data-file answers.yml
")]
pub struct Arguments {
    /// The block, directory or URL
    template: String,
    /// The project's directory [default: the template's name]
    #[arg(value_name = "DIR")]
    target: Option<PathBuf>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    answering: Answering,
    #[command(flatten)]
    trusting: Trusting,
}

/// What will be made, and after that what was made.
#[derive(Serialize)]
struct Made {
    project: String,
    directory: PathBuf,
    block: BlockId,
    /// The blocks that it requires, which come with it.
    requires: Vec<BlockId>,
    answers: serde_json::Map<String, serde_json::Value>,
    files: Vec<TreePath>,
    /// What the template runs.
    runs: Vec<Shown>,
    /// What that reads outside and sends, as its authors say.
    declares: Vec<Capability>,
    /// The first commit; none in a plan, and none where the template's own commands made the repository.
    commit: Option<String>,
    #[serde(skip)]
    done: bool,
    next: Vec<String>,
}

impl Arguments {
    /// Renders the block, shows what will be made, makes it.
    pub async fn run(mut self, cx: &Context) -> Result<Verdict, Failure> {
        let given = self.target.as_ref().map(|target| cx.dir.join(target).components().collect::<PathBuf>());
        // What would refuse at the end refuses before anything is fetched or anybody is asked.
        given.as_deref().map_or(Ok(()), scaffold::vacant)?;
        let author = Identity::find(&cx.dir)?;
        let found = self.chosen.find(cx, &self.template, None).await?;
        let mut found = found.choose(cx, &mut self.answering).await?;
        let target = given.unwrap_or_else(|| cx.dir.join(found.block.id.name.as_str()));
        scaffold::vacant(&target)?;
        let permission = found.prepare(cx, self.trusting, &Lock::default())?;
        found.block = permission::prompted(cx, found.block, permission).await?;
        let folder = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let facts = block::facts(cx, found.catalog.as_ref(), &text::slug(&folder, 40), &folder)?;
        let sources = self.answering.sources(cx, &found.block.template)?;
        let ask = self.answering.ask(cx);
        let (layer, mut creation, running, [first, last]) =
            block::rendering(move || -> Result<_, crate::blocks::Error> {
                let mut terminal = Terminal;
                let person = ask.then_some(&mut terminal);
                let (layer, parts) =
                    block::layers(&found, &facts, Operation::Copy, &sources, person, &Lock::default())?;
                let creation = Creation::plan(&found.block, &layer, &parts)?;
                let runs = Runs::of(&found.block, &layer, &parts)?;
                let messages = layer.messages(&found.block, Operation::Copy)?;
                Ok((layer, creation, runs, messages))
            })
            .await?;
        block::note_unused(cx, &layer.answers);
        lock_images(cx, &mut creation).await;
        if let Some(message) = first {
            cx.observer.note(&message);
        }
        let mut made = Made::plan(&creation, &layer, &running, &target, &cx.dir);
        if !cx.proceed(&made) {
            return Ok(Verdict::Ok);
        }
        let staged = creation.stage(&target)?;
        for command in &running.before {
            command.run(cx, &staged.directory()).await?;
        }
        let images = creation.lock.images.iter().map(|(image, locked)| image.at(locked.digest.clone()));
        cx.remember(&target, &images.collect())?;
        staged.write(&creation)?;
        // From here the directory is what counts. Paths that are left would keep the memory of the whole tree.
        made.files.iter_mut().for_each(|path| *path = path.detached());
        drop((creation, layer));
        for command in &running.after {
            command.run(cx, &staged.directory()).await?;
        }
        // Short, and not interrupted: a signal waits until the project is there or the directory is as it was.
        made.commit = aside(|| staged.publish(&author))?.map(|commit| commit.to_string());
        made.done = true;
        if let Some(message) = last {
            cx.observer.note(&message);
        }
        cx.report(&made);
        Ok(Verdict::Ok)
    }
}

/// What the blocks of a new project run: before its files are there, and after.
struct Runs {
    before: Vec<Running>,
    after: Vec<Running>,
}

impl Runs {
    fn of(block: &Block, layer: &Layer, parts: &[(Block, Layer)]) -> Result<Self, crate::blocks::Error> {
        let mut runs = Self { before: Vec::new(), after: Vec::new() };
        for (block, layer) in parts.iter().map(|(block, layer)| (block, layer)).chain([(block, layer)]) {
            runs.before.push(Running::new(block, layer.before(block, Operation::Copy)?));
            runs.after.push(Running::new(block, layer.after(block, Operation::Copy)?));
        }
        Ok(runs)
    }

    fn all(&self) -> impl Iterator<Item = &Running> {
        self.before.iter().chain(&self.after)
    }
}

/// Locks the images that the project names, so that its first commit is complete. A registry that does not answer is no
/// reason to have no project: `onramp image pull` locks later.
async fn lock_images(cx: &Context, creation: &mut Creation) {
    let Some(manifest) = &creation.manifest else { return };
    let needed = manifest.tagged_images();
    match images::lock::complete(&creation.lock, &needed, cx.lock_forbidden(), &cx.registries).await {
        Ok(complete) => creation.lock = complete.lock,
        Err(error) => cx.observer.note(&format!("images are not locked yet ({error}); `onramp image pull` locks them")),
    }
}

impl Made {
    fn plan(creation: &Creation, layer: &Layer, running: &Runs, target: &Path, here: &Path) -> Self {
        let shown = match target.strip_prefix(here) {
            // The directory was replaced; a shell that stands in it must enter the new one.
            Ok(inside) if inside.as_os_str().is_empty() => "\"$PWD\"".to_owned(),
            Ok(inside) => inside.display().to_string(),
            Err(_) => target.display().to_string(),
        };
        let mut files: Vec<TreePath> = creation.files.paths().cloned().collect();
        files.push(crate::project::lock::FILE.parse().expect("a plain name"));
        files.sort();
        Self {
            project: creation.project.clone(),
            directory: target.to_owned(),
            block: creation.block.clone(),
            requires: creation.requires.clone(),
            answers: layer.answers.kept.clone(),
            files,
            runs: running.all().flat_map(Running::shown).cloned().collect(),
            declares: permission::declared(running.all()),
            commit: None,
            done: false,
            next: match &creation.manifest {
                Some(_) => vec![format!("cd {shown} && onramp up")],
                None => vec![format!("cd {shown}")],
            },
        }
    }
}

impl Report for Made {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        if self.done {
            let committed = self.commit.as_ref().map(|commit| format!(", committed as {}", &commit[..7]));
            let (count, block) = (self.files.len(), &self.block);
            let committed = committed.unwrap_or_default();
            lines.push(format!("{} is ready: {count} files from {block}{committed}", self.project));
            lines.extend(self.next.iter().map(|next| format!("  next: {}", text::neutral_line(next, 500))));
        } else {
            let directory = text::neutral_line(&self.directory.display().to_string(), 500);
            lines.push(format!("{} from {}, in {directory}", self.project, self.block));
            lines.extend(self.requires.iter().map(|block| format!("  with    {block}")));
            lines.extend(block::file_lines("create", self.files.iter().map(TreePath::as_str)));
            lines.extend(permission::run_lines(self.runs.iter()));
            lines.extend(permission::declared_lines(&self.declares));
        }
        lines.join("\n") + "\n"
    }
}
