//! `onramp contribute`

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::block;
use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::permission::TrustingPython;
use crate::blocks::contribute::propose::{self, Fitted, Proposed, Words, at};
use crate::blocks::contribute::{self, Contribution, Inputs, LeftOut, Taken};
use crate::blocks::update::Follow;
use crate::blocks::{Block, BlockId, Facts, Layer};
use crate::directory::Directory;
use crate::files;
use crate::forge::{self, PullRequest};
use crate::git::{Identity, Mirror, RepoUrl};
use crate::name::Name;
use crate::project::Scaffolded;
use crate::project::lock::LockedBlock;
use crate::settings::{Forge, ForgeKind};
use crate::task::blocking;
use crate::text;
use crate::tree::TreePath;
use crate::trust::{self, Trust};

/// Give improvements of a block's files back to the block, as a pull request.
///
/// What changed in files that came from a block is turned back into the block's templates: answers' values become their
/// questions again. Every change is proved by rendering it again, with this project's answers and with others. A change
/// whose place in the template is not certain is named and left out. A new file is taken only where it is named.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp contribute --dry-run
  onramp contribute Dockerfile -m 'Smaller image'
  onramp contribute --block php-web --patch php-web.patch
")]
pub struct Arguments {
    /// Files and directories [default: every file that came from a block]
    paths: Vec<PathBuf>,
    /// Only what came from this block
    #[arg(long)]
    block: Option<Name>,
    /// Why, for the pull request and the commit; its first line is the title
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Write a patch of the block's repository instead of a pull request
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
    #[command(flatten)]
    trusting: TrustingPython,
}

/// What will be contributed, and after that what was.
#[derive(Serialize)]
struct Contributed {
    contributions: Vec<One>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<PathBuf>,
    done: bool,
}

/// What goes to one block.
#[derive(Serialize)]
struct One {
    block: BlockId,
    branch: String,
    title: String,
    reviewers: Vec<String>,
    taken: Vec<Taken>,
    already: Vec<Taken>,
    left_out: Vec<LeftOut>,
    answer_sets: usize,
    diff: String,
    /// The diff as it is, whatever bytes it holds.
    #[serde(skip)]
    patch: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<PullRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unasked: Vec<String>,
}

/// One block's contribution on its way.
struct Work {
    block: Block,
    mirror: Option<Mirror>,
    contribution: Contribution,
    fitted: Option<Fitted>,
}

impl Arguments {
    /// Turns changes back, shows them, proposes them.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let mut place = cx.scaffolded()?;
        let paths = named(&self.paths, &cx.dir, &place.root)?;
        let facts = block::facts(cx, None, &place.name(), &place.folder())?.at(&place.root);
        let trust = Trust::load(&trust::place(&cx.paths))?;
        let place = {
            let (cache, offline, facts, trust) = (cx.paths.cache.clone(), cx.offline, facts.clone(), trust.clone());
            blocking(move || -> Result<Scaffolded, crate::blocks::Error> {
                let mut lock = place.lock.clone();
                let follow = Follow { cache: &cache, offline, catalog: None, place: &place, facts: &facts, trust };
                follow.take_over(&Directory::open(&place.root)?, &mut lock)?;
                place.lock = lock;
                Ok(place)
            })
            .await?
        };
        let chosen = self.chosen(&place, &paths)?;
        let mut all = Vec::new();
        for (name, locked) in chosen {
            let mut block = {
                let (cache, place, offline) = (cx.paths.cache.clone(), place.clone(), cx.offline);
                let (facts, trust, locked) = (facts.clone(), trust.clone(), locked.clone());
                blocking(move || {
                    Follow { cache: &cache, offline, catalog: None, place: &place, facts: &facts, trust }
                        .base(&name, &locked)
                })
                .await?
            };
            self.trusting.decide(cx, &mut block)?;
            let (contribution, layer) = {
                let (place, facts, paths, block) = (place.clone(), facts.clone(), paths.clone(), block.clone());
                blocking(move || planned(&block, &locked, &facts, &place.root, &paths)).await?
            };
            if contribution.taken.is_empty() && contribution.left_out.is_empty() {
                continue;
            }
            let mirror = self.mirror(cx, &block).await?;
            let mut work = Work { block, mirror, contribution, fitted: None };
            if let Some(mirror) = work.mirror.clone() {
                let (block, contribution) = (work.block.clone(), work.contribution.clone());
                let fitted = blocking(move || propose::fit(&mirror, &block, &layer, contribution)).await?;
                work.contribution = fitted.contribution.clone();
                work.fitted = Some(fitted);
            }
            all.push(work);
        }
        let project = place.name();
        let words = Words { project: &project, message: self.message.as_deref(), named: &paths };
        let contributions = all.iter().map(|work| One::of(work, &words)).collect::<Result<Vec<_>, Failure>>()?;
        let mut report = Contributed { contributions, patch: self.patch.clone(), done: false };
        if !cx.proceed(&report) {
            return Ok(report.verdict());
        }
        for (work, one) in all.iter().zip(&mut report.contributions) {
            if one.taken.is_empty() {
                continue;
            }
            if let Some(file) = &self.patch {
                files::write(&cx.dir.join(file), &one.patch)?;
                continue;
            }
            let Proposed { pull, new, unasked, asked } = propose(cx, work, &words).await?;
            (one.pull, one.new, one.unasked, one.reviewers) = (Some(pull), Some(new), unasked, asked);
        }
        report.done = true;
        cx.report(&report);
        Ok(report.verdict())
    }

    /// The blocks whose files are looked at.
    fn chosen(&self, place: &Scaffolded, paths: &[TreePath]) -> Result<Vec<(Name, LockedBlock)>, Failure> {
        let blocks = &place.lock.blocks;
        if let Some(name) = &self.block {
            let locked = blocks.get(name).ok_or_else(|| {
                let meant = text::did_you_mean(name.as_str(), blocks.keys().map(Name::as_str));
                let failure = Failure::usage(format!("the project has no block `{name}`"));
                match meant {
                    Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                    None => failure,
                }
            })?;
            return Ok(vec![(name.clone(), locked.clone())]);
        }
        let owns = |locked: &LockedBlock, path: &TreePath| {
            locked.files.keys().any(|own| contribute::plan::is_under(own, path))
        };
        let mut chosen: Vec<(Name, LockedBlock)> = blocks
            .iter()
            .filter(|(_, locked)| paths.is_empty() || paths.iter().any(|path| owns(locked, path)))
            .map(|(name, locked)| (name.clone(), locked.clone()))
            .collect();
        if chosen.is_empty() && blocks.len() == 1 {
            // New files go to the only block there is.
            chosen = blocks.iter().map(|(name, locked)| (name.clone(), locked.clone())).collect();
        }
        if blocks.is_empty() {
            return Err(Failure::usage("this project has nothing from a block").next("onramp adopt <template>"));
        }
        if chosen.is_empty() {
            return Err(Failure::usage("those files came from no block; --block says which one they are for"));
        }
        if self.patch.is_some() && chosen.len() > 1 {
            return Err(Failure::usage("a patch is of one repository; --block says which block"));
        }
        Ok(chosen)
    }

    /// The block's repository, brought up to date. None where it is no repository, of which there can be a patch only.
    async fn mirror(&self, cx: &Context, block: &Block) -> Result<Option<Mirror>, Failure> {
        let nowhere = |why: &str| {
            Failure::usage(format!("{} is {why}, where nothing can be proposed", block.id.name))
                .hint("--patch FILE writes the change as a patch")
        };
        let url = match block.id.source.parse::<RepoUrl>() {
            Ok(url) if block.id.source != crate::blocks::builtin::SOURCE && !block.id.commit.is_empty() => url,
            _ if self.patch.is_some() || cx.dry_run => return Ok(None),
            _ => return Err(nowhere("in no repository")),
        };
        let wanted = forge::wanted(setting(cx, &url).map_or(ForgeKind::Github, |setting| setting.kind));
        let mirror = Mirror::new(&cx.paths.cache, url, wanted);
        let (fetched, offline) = (mirror.clone(), cx.offline);
        cx.waiting("fetch the block's repository", blocking(move || fetched.refresh(offline))).await?;
        Ok(Some(mirror))
    }
}

/// The forge of a repository: the company's, or GitHub for what is there.
fn setting(cx: &Context, url: &RepoUrl) -> Result<Forge, Failure> {
    if url.forge_place().is_some_and(|(host, _)| host == "github.com") {
        return Ok(Forge { kind: ForgeKind::Github, api: None });
    }
    Ok(cx.settings.forge()?.clone())
}

async fn propose(cx: &Context, work: &Work, words: &Words<'_>) -> Result<Proposed, Failure> {
    let (Some(mirror), Some(fitted)) = (&work.mirror, &work.fitted) else {
        return Err(Failure::usage(format!("{} is in no repository", work.block.id.name)));
    };
    if cx.offline {
        return Err(Failure::usage("a contribution pushes a branch; --offline forbids it"));
    }
    let me = Identity::find(&cx.dir)?;
    let variable = |name: &str| std::env::var(name).ok();
    let setting = setting(cx, mirror.url())?;
    let forge = forge::connect(&setting, mirror, &me, cx.offline, cx.timeout, &variable).await?;
    Ok(propose::propose(mirror, &*forge, &me, fitted, words).await?)
}

/// What one block's files in the project would contribute.
fn planned(
    block: &Block,
    locked: &LockedBlock,
    facts: &Facts,
    root: &Path,
    paths: &[TreePath],
) -> Result<(Contribution, Layer), crate::blocks::Error> {
    let layer = Layer::again(block, locked, facts)?;
    let project = Directory::open(root)?.read(layer.rendered.tree.paths().chain(paths))?;
    let inputs = Inputs { block, layer: &layer, project: &project, paths, given: &locked.files };
    Ok((contribute::plan(&inputs)?, layer))
}

/// The named paths, from the project's root.
fn named(paths: &[PathBuf], here: &Path, root: &Path) -> Result<Vec<TreePath>, Failure> {
    let mut named = Vec::new();
    for path in paths {
        let shown = text::neutral_line(&path.to_string_lossy(), 200);
        let outside = || Failure::usage(format!("{shown} is not in the project"));
        let parent = here.join(path);
        let (Some(parent), Some(name)) = (parent.parent(), parent.file_name()) else { return Err(outside()) };
        let parent = parent.canonicalize().map_err(|_| outside())?;
        let inside = parent.join(name);
        let inside = inside.strip_prefix(root).map_err(|_| outside())?.to_str().ok_or_else(outside)?;
        named.push(inside.parse().map_err(|_| outside())?);
    }
    Ok(named)
}

impl One {
    fn of(work: &Work, words: &Words<'_>) -> Result<Self, Failure> {
        let contribution = &work.contribution;
        let (branch, title, reviewers, patch) = match &work.fitted {
            Some(fitted) => (fitted.branch(words), fitted.title(words), fitted.reviewers.clone(), fitted.patch()?),
            None => (String::new(), String::new(), Vec::new(), contribution.patch()?),
        };
        Ok(Self {
            block: contribution.block.clone(),
            branch,
            title,
            reviewers,
            taken: contribution.taken.clone(),
            already: contribution.already.clone(),
            left_out: contribution.left_out.clone(),
            answer_sets: contribution.answer_sets,
            diff: String::from_utf8_lossy(&patch).into_owned(),
            patch,
            pull: None,
            new: None,
            unasked: Vec::new(),
        })
    }
}

impl Contributed {
    /// Something was asked for, and nothing of it could be turned back.
    fn verdict(&self) -> Verdict {
        let nothing = self.contributions.iter().all(|one| one.taken.is_empty());
        let left = self.contributions.iter().any(|one| !one.left_out.is_empty());
        if nothing && left { Verdict::Failed } else { Verdict::Ok }
    }
}

impl Report for Contributed {
    fn text(&self) -> String {
        if self.contributions.is_empty() {
            return "nothing differs from what the blocks gave\n".to_owned();
        }
        let mut lines = Vec::new();
        for one in &self.contributions {
            if self.done {
                one.done(&mut lines, self.patch.as_deref());
            } else {
                one.planned(&mut lines);
            }
        }
        lines.join("\n") + "\n"
    }
}

impl One {
    fn planned(&self, lines: &mut Vec<String>) {
        lines.push(format!("{}: {} taken, {} left out", self.block, self.taken.len(), self.left_out.len()));
        for taken in &self.taken {
            lines.push(format!("  take  {} → {}", at(&taken.path, taken.lines), taken.source));
            for possible in &taken.possible {
                lines.push(format!(
                    "        maybe the answer to {}, and stays text: {}",
                    possible.question, possible.text
                ));
            }
        }
        for there in &self.already {
            lines.push(format!(
                "  have  {}, in {} of the block's repository",
                at(&there.path, there.lines),
                there.source
            ));
        }
        for left in &self.left_out {
            lines.push(format!("  leave {}: {}", at(&left.path, left.lines), text::neutral_line(&left.why, 300)));
        }
        if !self.taken.is_empty() {
            lines.push(format!("  proved with this project's answers and {} other sets", self.answer_sets));
            lines.push(text::neutral(self.diff.trim_end()));
        }
    }

    fn done(&self, lines: &mut Vec<String>, patch: Option<&Path>) {
        if self.taken.is_empty() && self.left_out.is_empty() {
            lines.push(format!("{}: the block's repository has all of it already", self.block));
        } else if self.taken.is_empty() {
            lines.push(format!("{}: nothing could be turned back with certainty", self.block));
        } else if let Some(file) = patch {
            lines.push(format!("{}: written to {}", self.block, file.display()));
            lines.push(format!("  next: git apply {}", file.display()));
        } else if let Some(pull) = &self.pull {
            let verb = if self.new == Some(true) { "opened" } else { "up to date" };
            lines.push(format!("{verb}: #{} {}", pull.number, text::neutral_line(&pull.title, 120)));
            lines.push(format!("  on branch {} of {}", self.branch, text::neutral_line(&self.block.source, 200)));
            // The local forge has no pages.
            let page = pull.url.starts_with("http").then(|| text::neutral_line(&pull.url, 200));
            let page = page.unwrap_or_else(|| format!("next: onramp pr show {} --catalog", pull.number));
            lines.push(format!("  {page}"));
            if !self.reviewers.is_empty() {
                lines.push(format!("  asked to review: {}", text::neutral_line(&self.reviewers.join(", "), 200)));
            }
            if !self.unasked.is_empty() {
                let names = text::neutral_line(&self.unasked.join(", "), 300);
                lines.push(format!("  could not be asked: {names}"));
            }
        }
        if !self.left_out.is_empty() {
            lines.push(format!("  {} changes are left out; --dry-run says why", self.left_out.len()));
        }
    }
}
