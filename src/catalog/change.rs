//! What changed between two versions of a block, as far as its projects must know: what decides the next version's number.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::blocks::Block;
use crate::merge::{self, Options};
use crate::template::question::{Choices, Question, When};
use crate::tree::{Entry, Tree, TreePath};

/// What a change asks of the version's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bump {
    /// Corrections.
    Patch,
    /// Something new.
    Minor,
    /// Something that projects had is gone, or asked of them.
    Major,
}

/// The differences of two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Questions that are asked no more.
    pub removed_questions: Vec<String>,
    /// New questions.
    pub added_questions: Vec<String>,
    /// Questions that may refuse the answers that projects gave, and why.
    pub narrowed_questions: Vec<(String, String)>,
    /// Files of the template that are gone.
    pub removed_files: Vec<String>,
    /// New files.
    pub added_files: Vec<String>,
    /// Files that are elsewhere now: from, to. Updates follow them.
    pub moved_files: Vec<(String, String)>,
    /// Blocks that it requires newly, or in another version than before.
    pub requires: Vec<String>,
    /// Whether anything at all differs, tests and changelog apart.
    pub any: bool,
}

impl Changes {
    /// What changed from one version of a block to another.
    pub fn between(old: &Block, new: &Block) -> Self {
        let questions = |block: &Block| -> BTreeMap<String, Question> {
            let asked = block.template.questions.iter().filter(|question| question.when != When::Fixed(false));
            asked.map(|question| (question.id.to_string(), question.clone())).collect()
        };
        let (before, after) = (questions(old), questions(new));
        let mut changes = Self::default();
        for (id, question) in &before {
            match after.get(id) {
                None => changes.removed_questions.push(id.clone()),
                Some(now) => changes.narrowed_questions.extend(narrowed(question, now).map(|why| (id.clone(), why))),
            }
        }
        changes.added_questions = after.keys().filter(|id| !before.contains_key(*id)).cloned().collect();
        changes.files(&rendered_part(old), &rendered_part(new));
        let requires =
            |block: &Block| block.manifest.as_ref().map(|manifest| manifest.requires.clone()).unwrap_or_default();
        let had = requires(old);
        for (name, requirement) in requires(new) {
            if had.get(&name) != Some(&requirement) {
                changes.requires.push(format!("{name} {requirement}"));
            }
        }
        changes.any = shared_part(old).digest() != shared_part(new).digest();
        changes
    }

    fn files(&mut self, old: &Tree, new: &Tree) {
        // As an update would: what it follows is a move, and the same files decide.
        let moved: BTreeMap<TreePath, TreePath> =
            merge::merge(old, new, old, &Options::default()).moved.into_iter().collect();
        for path in old.paths().filter(|path| new.get(path.as_str()).is_none()) {
            match moved.get(path) {
                Some(to) => self.moved_files.push((path.to_string(), to.to_string())),
                None => self.removed_files.push(path.to_string()),
            }
        }
        let targets: Vec<&TreePath> = moved.values().collect();
        let added = new.paths().filter(|path| old.get(path.as_str()).is_none() && !targets.contains(path));
        self.added_files = added.map(ToString::to_string).collect();
    }

    /// The least that the version's number must be raised by.
    pub fn bump(&self) -> Bump {
        let gone = [self.removed_questions.is_empty(), self.removed_files.is_empty(), self.requires.is_empty()];
        if gone.contains(&false) || !self.narrowed_questions.is_empty() {
            Bump::Major
        } else if self.added_questions.is_empty() && self.added_files.is_empty() && self.moved_files.is_empty() {
            Bump::Patch
        } else {
            Bump::Minor
        }
    }

    /// Why that much, a line each.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let mut tell = |what: &str, names: &[String]| {
            if !names.is_empty() {
                reasons.push(format!("{what} {}", crate::text::neutral_line(&names.join(", "), 200)));
            }
        };
        tell("no longer asks", &self.removed_questions);
        for (id, why) in &self.narrowed_questions {
            tell("asks otherwise:", &[format!("{id} ({why})")]);
        }
        tell("no longer has", &self.removed_files);
        tell("requires", &self.requires);
        tell("newly asks", &self.added_questions);
        tell("newly has", &self.added_files);
        let moved: Vec<String> = self.moved_files.iter().map(|(from, to)| format!("{from} → {to}")).collect();
        tell("moves", &moved);
        reasons
    }
}

impl Bump {
    /// The version that follows another.
    pub fn after(self, version: &semver::Version) -> semver::Version {
        // Before 1.0 the minor number says what the major one says later.
        let (major, minor, patch) = (version.major, version.minor, version.patch);
        // A pre-release comes before the release of its own number.
        if !version.pre.is_empty() {
            return semver::Version::new(major, minor, patch);
        }
        match (self, major) {
            (Self::Major, 1..) => semver::Version::new(major + 1, 0, 0),
            (Self::Minor, 1..) | (Self::Major, 0) => semver::Version::new(major, minor + 1, 0),
            (Self::Patch, _) | (Self::Minor, 0) => semver::Version::new(major, minor, patch + 1),
        }
    }

    /// `major`
    pub fn name(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }
}

/// Why a question may refuse what it took before.
fn narrowed(old: &Question, new: &Question) -> Option<String> {
    if old.kind != new.kind {
        return Some(format!("{} was {}", new.kind.name(), old.kind.name()));
    }
    if old.multiselect != new.multiselect {
        return Some(if new.multiselect { "several answers now" } else { "one answer now" }.to_owned());
    }
    match (&old.choices, &new.choices) {
        (Choices::Listed(before), Choices::Listed(now)) => {
            let open = |value: &serde_json::Value| {
                now.iter()
                    .any(|choice| choice.value == *value && choice.disabled.as_deref().unwrap_or_default().is_empty())
            };
            let gone: Vec<String> = before
                .iter()
                .filter(|choice| choice.disabled.is_none() && !open(&choice.value))
                .map(|choice| choice.value.as_str().map_or_else(|| choice.value.to_string(), str::to_owned))
                .collect();
            (!gone.is_empty()).then(|| format!("without {}", gone.join(", ")))
        }
        (Choices::Any, Choices::Listed(_)) => Some("only given choices now".to_owned()),
        _ => None,
    }
}

/// The files that are rendered, by their paths below the directory that is.
pub fn rendered_part(block: &Block) -> Tree {
    let tree = block.template.source.under(block.template.rules.subdirectory.trim_end_matches('/'));
    let suffix = match &block.template.rules.suffix {
        crate::template::Suffix::Only(suffix) => suffix.as_str(),
        crate::template::Suffix::Every => "",
    };
    // A file that becomes a template, or stops being one, is the same file to a project.
    let plain = |path: TreePath| match path.as_str().strip_suffix(suffix).and_then(|plain| plain.parse().ok()) {
        Some(plain) => plain,
        None => path,
    };
    tree.into_iter().map(|(path, entry)| (plain(path), entry)).collect()
}

/// What a project gets of a block or is told of it: not its tests, not its changelog, and not its version.
fn shared_part(block: &Block) -> Tree {
    let own = |path: &TreePath| {
        let path = path.as_str();
        path.starts_with("tests/") || path == super::changelog::FILE
    };
    let is_block = block.manifest.is_some();
    let source = block.template.source.clone().into_iter().filter(|(path, _)| !is_block || !own(path));
    let mut tree: Tree = source.collect();
    if let Some(text) = tree.get("block.toml").and_then(Entry::text) {
        let without: String =
            text.lines().filter(|line| !line.starts_with("version")).map(|l| format!("{l}\n")).collect();
        if let Ok(path) = "block.toml".parse() {
            tree.insert(path, crate::tree::Entry::file(without));
        }
    }
    tree
}

/// A name without an ending that it has.
pub fn without<'n>(name: &'n str, ending: &str) -> &'n str {
    name.strip_suffix(ending).filter(|rest| !rest.is_empty()).unwrap_or(name)
}
