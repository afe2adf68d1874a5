//! A release of a block: the version that its changes ask for, its section in the changelog, one commit and one tag.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use semver::Version;
use serde::Serialize;
use toml_edit::DocumentMut;

use super::change::{Bump, Changes};
use super::{Checkout, Error, changelog};
use crate::blocks::manifest;
use crate::document::{self, DocumentError};
use crate::files::{self, FileError};
use crate::git::{Commit, Identity};
use crate::name::Name;
use crate::text::neutral_line;

/// The most commits that a changelog's section lists.
const MOST_COMMITS: usize = 200;

/// Which version is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This one.
    Version(Version),
    /// Raised by this much.
    Bump(Bump),
    /// What `block.toml` says, where that is no release yet; else raised by what the changes ask for.
    Least,
}

/// What a release will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The block.
    pub block: Name,
    /// The release before it.
    pub from: Option<Version>,
    /// The version that is released.
    pub version: Version,
    /// The tag.
    pub tag: String,
    /// What its changes ask of the version's number; none of a first release.
    pub least: Option<Bump>,
    /// Why that much.
    pub reasons: Vec<String>,
    /// The new section of the changelog.
    pub section: String,
    /// The files that are committed, from the top of the repository.
    pub files: Vec<String>,
    #[serde(skip)]
    contents: Vec<(String, String)>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Released {
    /// The plan.
    #[serde(flatten)]
    pub plan: Plan,
    /// The commit that the tag is on.
    pub commit: Commit,
}

/// Plans a release. Nothing is written.
pub fn plan(checkout: &Checkout, name: &Name, wanted: &Wanted, now: Timestamp) -> Result<Plan, Error> {
    let no = |why: String, hint: Option<&str>, next: Vec<String>| Error::NoRelease {
        block: name.clone(),
        why,
        hint: hint.map(str::to_owned),
        next,
    };
    if checkout.is_single() {
        let next = vec!["git tag v1.0.0".to_owned()];
        return Err(no("its repository is one template, not a catalog of blocks".to_owned(), None, next));
    }
    let place = checkout.place(name);
    let dirty = checkout.worktree.changed(&checkout.root().join(&place))?;
    if !dirty.is_empty() {
        let why = format!("it has changes that are not committed: {}", dirty.join(", "));
        return Err(no(why, None, vec![format!("git add {place} && git commit")]));
    }
    let block = checkout.working(name)?;
    let Some(described) = &block.manifest else {
        return Err(no("it has no block.toml to write a version into".to_owned(), None, Vec::new()));
    };
    let releases = checkout.releases(name)?;
    let previous = Checkout::latest(&releases);
    let from = previous.and_then(|release| release.version.semantic().cloned());
    let changes = match previous {
        Some(release) => Some(Changes::between(&checkout.released(name, release)?, &block)),
        None => None,
    };
    if let (Some(from), Some(false)) = (&from, changes.as_ref().map(|changes| changes.any)) {
        return Err(no(format!("nothing of it changed since {from}"), None, Vec::new()));
    }
    let least = changes.as_ref().map(Changes::bump);
    let reasons = changes.as_ref().map(Changes::reasons).unwrap_or_default();
    let version = match (wanted, &from, least) {
        (Wanted::Version(version), _, _) => version.clone(),
        (Wanted::Bump(bump), Some(from), _) => bump.after(from),
        (Wanted::Bump(_) | Wanted::Least, None, _) => described.version.clone(),
        (Wanted::Least, Some(from), _) if described.version > *from => described.version.clone(),
        (Wanted::Least, Some(from), least) => least.unwrap_or(Bump::Patch).after(from),
    };
    if let (Some(from), Some(least)) = (&from, least) {
        let needed = least.after(from);
        if version <= *from {
            let why = format!("{version} does not follow {from}");
            return Err(no(why, None, vec![format!("onramp catalog release {name} --version {needed}")]));
        }
        if (version.major, version.minor, version.patch) < (needed.major, needed.minor, needed.patch) {
            let why = format!("{version} is too small a step from {from}: the changes ask for {needed}");
            let hint = reasons.join("; ");
            return Err(no(why, Some(&hint), vec![format!("onramp catalog release {name} --version {needed}")]));
        }
    }
    let tag = format!("{name}/v{version}");
    if releases.iter().any(|release| release.tag == tag) {
        return Err(no(format!("the tag {tag} is there already"), None, vec![format!("git show {tag}")]));
    }
    let commits = checkout.worktree.log(&place, previous.map(|release| &release.commit), MOST_COMMITS)?;
    let own = format!("Release {name} ");
    let commits: Vec<String> =
        commits.into_iter().rev().map(|entry| entry.summary).filter(|summary| !summary.starts_with(&own)).collect();
    let old = read(&checkout.path(name, changelog::FILE), changelog::CAP)?;
    let written = changelog::unreleased(old.as_deref().unwrap_or_default());
    let section = changelog::section(&version, now.to_zoned(TimeZone::UTC).date(), &written, &commits);
    let mut contents = vec![(changelog::FILE.to_owned(), changelog::with_section(old.as_deref(), &section))];
    if described.version != version {
        contents.push((manifest::FILE.to_owned(), with_version(checkout, name, &version)?));
    }
    let files = contents.iter().map(|(file, _)| checkout.shown(name, file)).collect();
    Ok(Plan { block: name.clone(), from, version, tag, least, reasons, section, files, contents })
}

/// Releases: writes the files, commits them and nothing else, tags the commit. Nothing is pushed.
pub fn apply(checkout: &Checkout, plan: Plan) -> Result<Released, Error> {
    let author = Identity::find(checkout.root())?;
    checkout.worktree.commit()?;
    for (file, contents) in &plan.contents {
        files::write(&checkout.path(&plan.block, file), contents.as_bytes())?;
    }
    let title = format!("{} {}", plan.block, plan.version);
    let message = format!("Release {title}\n");
    let commit = checkout.worktree.record(&plan.files, &message, &author)?;
    let body = plan.section.lines().skip(1).map(|line| line.trim_start_matches("### ")).collect::<Vec<_>>().join("\n");
    checkout.worktree.tag(&plan.tag, &commit, &format!("{title}\n\n{}\n", body.trim()), &author)?;
    Ok(Released { plan, commit })
}

/// The block's manifest with another version, all else as it is written.
fn with_version(checkout: &Checkout, name: &Name, version: &Version) -> Result<String, Error> {
    let path = checkout.path(name, manifest::FILE);
    let text = files::read_text(&path, document::CAP)?;
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let offset = error.span().map_or(0, |span| span.start);
        document::wrong(&path, &text, offset, neutral_line(error.message(), 200))
    })?;
    let Some(value) = document.get_mut("version").and_then(toml_edit::Item::as_value_mut) else {
        return Err(document::wrong(&path, &text, 0, "version is missing".to_owned()).into());
    };
    let decor = value.decor().clone();
    *value = version.to_string().into();
    *value.decor_mut() = decor;
    Ok(document.to_string())
}

fn read(path: &Path, cap: u64) -> Result<Option<String>, Error> {
    match files::read_text(path, cap) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error @ FileError::NotText { .. }) => Err(DocumentError::from(error).into()),
        Err(error) => Err(error.into()),
    }
}
