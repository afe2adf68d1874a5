//! A contribution as a pull request on the block's repository: its commit, its branch, its words, its reviewers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::plan::{Contribution, LeftOut, Taken};
use super::together;
use crate::blocks::{Block, Error, Layer, manifest};
use crate::catalog::backstage;
use crate::forge::asking::{self, Asked};
use crate::forge::{self, Forge, PullRequest};
use crate::git::{self, Commit, Identity, Mirror, RefUpdate};
use crate::task::blocking;
use crate::text::{neutral_line, shorten, slug};
use crate::tree::{Cap, Entry, Tree, TreePath};

/// GitHub takes 65,536 characters.
const BODY_MAX: usize = 60_000;
const TITLE_MAX: usize = 120;
const MESSAGE_MAX: usize = 4_000;
/// Said in every commit of a contribution: a branch whose tip does not say it is somebody's own.
const TRAILER: &str = "Contributed-from";

/// A contribution, fitted onto what its repository holds now.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The contribution; what clashes with the repository is left out.
    pub contribution: Contribution,
    /// The repository's commit that it is fitted onto.
    pub head: Commit,
    /// What is placed, by path in the repository.
    pub changes: BTreeMap<TreePath, Entry>,
    /// What is there at those paths.
    pub before: Tree,
    /// The files that the repository changed itself since the block's version.
    pub merged: Vec<TreePath>,
    /// Who answers for the block.
    pub reviewers: Vec<String>,
}

/// What a contribution says of itself.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    /// The project.
    pub project: &'a str,
    /// Why, in the author's words.
    pub message: Option<&'a str>,
    /// The paths that somebody named.
    pub named: &'a [TreePath],
}

/// Fits a contribution onto the default branch of the block's repository. What is merged there with the repository's own
/// changes is rendered again; `layer` is the block's part of the project.
pub fn fit(mirror: &Mirror, block: &Block, layer: &Layer, mut contribution: Contribution) -> Result<Fitted, Error> {
    let head = mirror.head()?;
    let directory = format!("blocks/{}", block.id.name);
    let reader = mirror.reader()?;
    let taken = reader.take(&head, &directory, Cap::TEMPLATE)?;
    let (directory, tree) = match taken.tree.get(manifest::FILE) {
        Some(_) => (directory, taken.tree),
        // One of several templates lies in a directory of its own.
        None => (block.directory.clone(), reader.take(&head, &block.directory, Cap::TEMPLATE)?.tree),
    };
    let released = &block.template.source;
    let mut placed = contribution.onto(released, &tree);
    while tree != *released
        && !placed.is_empty()
        && let Err(clash) = together::prove(block, &tree, &contribution, &placed, layer)
    {
        contribution.leave_out(&clash.sources, &clash.why);
        placed = contribution.onto(released, &tree);
    }
    let place = |path: &TreePath| -> Option<TreePath> {
        if directory.is_empty() { Some(path.clone()) } else { format!("{directory}/{path}").parse().ok() }
    };
    let mut before = Tree::default();
    let (mut changes, mut merged) = (BTreeMap::new(), Vec::new());
    for (path, entry) in placed {
        let Some(there) = place(&path) else { continue };
        if tree.get(path.as_str()) != block.template.source.get(path.as_str()) {
            merged.push(there.clone());
        }
        if let Some(old) = tree.get(path.as_str()) {
            before.insert(there.clone(), old.clone());
        }
        changes.insert(there, entry);
    }
    // The owners of today; who answered for the released version may have left.
    let today = tree.get(manifest::FILE).and_then(Entry::text);
    let today = today.and_then(|text| manifest::parse(Path::new(manifest::FILE), &text).ok());
    let reviewers = reviewers(today.as_ref().or(block.manifest.as_ref()), &tree);
    Ok(Fitted { contribution, head, changes, before, merged, reviewers })
}

/// Who answers for a block and who reviews contributions to it: as its manifest says, and where that is silent or there is
/// none, the `catalog-info.yaml` beside it.
fn reviewers(manifest: Option<&manifest::Manifest>, tree: &Tree) -> Vec<String> {
    let (owner, committers) =
        manifest.map(|manifest| (manifest.owner.clone(), manifest.trusted_committers.clone())).unwrap_or_default();
    let beside = backstage::beside(tree).unwrap_or_default();
    let owner = if owner.trim().is_empty() { beside.manifest_owner() } else { owner };
    let committers = if committers.is_empty() { beside.committers } else { committers };
    std::iter::once(owner).filter(|owner| !owner.is_empty()).chain(committers).collect()
}

impl Fitted {
    /// The change as a patch of the repository.
    pub fn patch(&self) -> Result<Vec<u8>, Error> {
        patch(&self.before, &self.changes)
    }

    /// The branch that proposes it: the same for the same project and paths, so that a later run brings it up to date.
    pub fn branch(&self, words: &Words<'_>) -> String {
        let mut name = slug(words.project, 40);
        if !words.named.is_empty() {
            let mut named: Vec<&str> = words.named.iter().map(TreePath::as_str).collect();
            named.sort_unstable();
            let digest = crate::reference::Digest::of(named.join("\n").as_bytes());
            name.push_str(&format!("-{}", &digest.short()[..7.min(digest.short().len())]));
        }
        format!("contribute/{}/{name}", self.contribution.block.name)
    }

    /// The pull request's title, which is the commit's subject.
    pub fn title(&self, words: &Words<'_>) -> String {
        let said =
            words.message.and_then(|message| message.lines().next()).map(str::trim).filter(|line| !line.is_empty());
        let what = said.map_or_else(
            || {
                let files: Vec<&str> = self.changes.keys().map(TreePath::file_name).collect();
                match files.as_slice() {
                    [one] => format!("improve {one}"),
                    [one, other] => format!("improve {one} and {other}"),
                    many => format!("improve {} files", many.len()),
                }
            },
            str::to_owned,
        );
        shorten(&neutral_line(&format!("{}: {what}", self.contribution.block.name), 300), TITLE_MAX)
    }

    fn commit_message(&self, words: &Words<'_>) -> String {
        let mut message = format!("{}\n\n", self.title(words));
        if let Some(rest) = words.message.and_then(|message| message.split_once('\n')).map(|(_, rest)| rest.trim()) {
            let _ = writeln!(message, "{}\n", shorten(rest, MESSAGE_MAX));
        }
        let block = &self.contribution.block;
        let _ = writeln!(message, "{TRAILER}: {}\nBlock: {block}", neutral_line(words.project, 80));
        message
    }

    /// The pull request's body, in Markdown.
    pub fn body(&self, words: &Words<'_>) -> String {
        let Contribution { block, taken, left_out, answer_sets, .. } = &self.contribution;
        let mut body = String::new();
        if let Some(message) = words.message {
            let _ = writeln!(body, "{}\n", quiet(&shorten(message.trim(), MESSAGE_MAX)));
        }
        let project = quiet(&neutral_line(words.project, 80));
        let _ = writeln!(
            body,
            "Improvements that {project} made to what it got from `{block}`, as changes of the block.\n"
        );
        for Taken { path, lines, source, possible } in taken {
            let _ = writeln!(body, "- {} → {}", code(&at(path, *lines)), code(source.as_str()));
            for possible in possible {
                let (question, text) = (code(&possible.question), code(&possible.text));
                let _ = writeln!(body, "  - may be the answer to {question}, and was left as text: {text}");
            }
        }
        body.push_str("\n### Why it is safe\n\n");
        let _ =
            writeln!(body, "- Rendered with {project}'s answers, the changed templates give its files, byte for byte.");
        let _ = match answer_sets {
            0 => writeln!(body, "- No other answer set than the project's could be tried."),
            sets => writeln!(
                body,
                "- Rendered with {sets} other answer sets (every pair of two questions' answers), they differ from {} by \
                 exactly this change.",
                code(&block.version.to_string())
            ),
        };
        for path in &self.merged {
            let _ = writeln!(
                body,
                "- {} was changed here since {}: both changes are merged. Rendered with all these answers, they give what \
                 each of them gives, and nothing else.",
                code(path.as_str()),
                code(&block.version.to_string())
            );
        }
        if !left_out.is_empty() {
            body.push_str("\n### Left out\n\nChanges of the project whose place in the block is not certain:\n\n");
            for LeftOut { path, lines, why } in left_out {
                let _ = writeln!(body, "- {}: {}", code(&at(path, *lines)), quiet(&neutral_line(why, 300)));
            }
        }
        shorten(&body, BODY_MAX)
    }
}

/// A place in a project's file: `src/a.php:3-4`.
pub fn at(path: &TreePath, lines: Option<(usize, usize)>) -> String {
    match lines {
        None => path.to_string(),
        Some((first, last)) if first == last => format!("{path}:{first}"),
        Some((first, last)) => format!("{path}:{first}-{last}"),
    }
}

/// The patch that places these entries.
pub fn patch(before: &Tree, changes: &BTreeMap<TreePath, Entry>) -> Result<Vec<u8>, Error> {
    let mut after = before.clone();
    for (path, entry) in changes {
        after.insert(path.clone(), entry.clone());
    }
    git::patch(before, &after).map_err(|cause| git::Error::Library { path: "a patch".into(), cause }.into())
}

/// Text in Markdown that is shown as it is.
fn code(text: &str) -> String {
    format!("`{}`", neutral_line(text, 200).replace('`', "'"))
}

/// Somebody's words, unable to call other people: a mention needs its `@` right before the name.
fn quiet(words: &str) -> String {
    words.replace('@', "@\u{200b}")
}

/// What came of proposing.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// The pull request.
    pub pull: PullRequest,
    /// Whether it is new; otherwise the open one was brought up to date.
    pub new: bool,
    /// Whose review was asked for.
    pub asked: Vec<String>,
    /// Who should look at it and could not be asked, with the reason.
    pub unasked: Vec<String>,
}

/// Why a contribution could not be proposed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Git, or the block.
    #[error(transparent)]
    Block(#[from] Error),
    /// The forge.
    #[error(transparent)]
    Forge(#[from] forge::Error),
    /// The branch is there, and not ours.
    #[error("branch {branch} of {repository} holds somebody's own commits")]
    Taken {
        /// The branch.
        branch: String,
        /// The repository.
        repository: String,
    },
}

impl From<git::Error> for Refused {
    fn from(error: git::Error) -> Self {
        Self::Block(error.into())
    }
}

impl crate::error::Fault for Refused {
    fn class(&self) -> crate::error::Class {
        match self {
            Self::Block(error) => error.class(),
            Self::Forge(error) => error.class(),
            Self::Taken { .. } => crate::error::Class::Conflict,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Block(error) => error.hint(),
            Self::Forge(error) => error.hint(),
            Self::Taken { .. } => Some("nothing was pushed; --patch FILE writes the change as a patch".to_owned()),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Block(error) => error.next(),
            Self::Forge(error) => error.next(),
            Self::Taken { .. } => Vec::new(),
        }
    }
}

/// Pushes the branch, if it is where it was seen, and opens the pull request or brings the open one up to date.
pub async fn propose(
    mirror: &Mirror,
    forge: &dyn Forge,
    me: &Identity,
    fitted: &Fitted,
    words: &Words<'_>,
) -> Result<Proposed, Refused> {
    let branch = fitted.branch(words);
    let (title, body, message) = (fitted.title(words), fitted.body(words), fitted.commit_message(words));
    let base_branch = {
        let (mirror, me, fitted, branch) = (mirror.clone(), me.clone(), fitted.clone(), branch.clone());
        blocking(move || push(&mirror, &me, &fitted, &branch, &message)).await?
    };
    let (pull, new) = match forge.find_open(&branch).await? {
        Some(open) if open.title == title && open.body == body => (open, false),
        Some(open) => (forge.update(open.number, forge::Words { title, body, draft: open.draft }).await?, false),
        None => {
            let proposal = forge::Proposal { title, body, draft: false, head_branch: branch, base_branch };
            (forge.create(proposal).await?, true)
        }
    };
    let Asked { asked, unasked } = asking::ask(forge, &pull, &fitted.reviewers).await;
    Ok(Proposed { pull, new, asked, unasked })
}

/// The base branch, once the branch is right.
fn push(mirror: &Mirror, me: &Identity, fitted: &Fitted, branch: &str, message: &str) -> Result<String, Refused> {
    let base_branch = mirror.default_branch()?;
    let changes: Vec<git::Placed> =
        fitted.changes.iter().map(|(path, entry)| (path.clone(), Some(entry.clone()))).collect();
    let commit = mirror.commit_entries(&fitted.head, &changes, message, me)?;
    let name = format!("refs/heads/{branch}");
    let there = mirror.refs(&name)?.remove(&name);
    if let Some(there) = &there {
        let (said, _) = mirror.describe(there)?;
        if !said.lines().any(|line| line.starts_with(TRAILER)) {
            return Err(Refused::Taken { branch: branch.to_owned(), repository: mirror.url().to_string() });
        }
        // The same words on the same head with the same files: the branch is right as it is, and approvals of it stay.
        let same = said == message
            && mirror.parents(there)? == [fitted.head.clone()]
            && mirror.tree_of(there)? == mirror.tree_of(&commit)?;
        if same {
            return Ok(base_branch);
        }
    }
    mirror.push(&[RefUpdate { name, expected: there, target: Some(commit) }])?;
    Ok(base_branch)
}
