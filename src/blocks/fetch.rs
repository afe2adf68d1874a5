//! A template's source brought here: which version is meant, which commit that is, and every file of it.

mod error;
mod release;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::cache::Store;
use super::location::Location;
use crate::files::FileError;
use crate::git::{Commit, Mirror, Reader, Taken, Wanted};
use crate::project::lock::LockedBlock;
use crate::reference::Digest;
use crate::tree::{Cap, Tree, disk};
use crate::version::Version;

pub use error::Error;
pub use release::{Moved, Release, fitting, moved};

/// Which version of a template is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The highest tag that PEP 440 takes for a version. Where there is none, the default branch; of a directory, what its
    /// work tree holds, committed or not, as Copier has it.
    Latest {
        /// Whether releases before the release count.
        prereleases: bool,
    },
    /// The highest version that is what is asked for: a PEP 440 specifier (`>=1,<2`), a semver requirement (`^1.2`), the
    /// beginning of a version (`1.2`), or a tag.
    Requirement(String),
    /// A tag, a branch, `HEAD` or a commit id.
    Reference(String),
    /// A commit.
    Commit(Commit),
    /// What a directory's work tree holds, committed or not; elsewhere `HEAD`.
    Worktree,
}

/// A template's source.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where it is from: what `onramp.lock` says. Never with credentials.
    pub source: String,
    /// Its version: a tag's, or what describes a commit; bare and empty of a directory that is no repository.
    pub version: Version,
    /// The tag or branch that was meant.
    pub reference: Option<String>,
    /// The commit; empty of a directory that is no repository, and of a work tree with changes.
    pub commit: String,
    /// What `git describe --tags --always` says: Copier's `_commit`. Empty where the commit is.
    pub description: String,
    /// Every file of it.
    pub tree: Tree,
    /// The digest of the tree.
    pub content: Digest,
    /// Where it names commits of other repositories, which are not followed.
    pub submodules: Vec<String>,
}

/// Brings a template's source here, and keeps it in the cache.
pub fn fetch(cache: &Path, location: &Location, at: &At, offline: bool) -> Result<Fetched, Error> {
    let store = Store::new(cache);
    let source = location.to_string();
    let Some(opened) = open(cache, location, offline)? else {
        let Location::Directory(path) = location else { unreachable!("what is no directory is a repository") };
        match at {
            At::Latest { .. } | At::Worktree => {}
            At::Reference(head) if head == "HEAD" => {}
            At::Requirement(what) | At::Reference(what) => {
                return Err(Error::NoRepository { path: path.clone(), what: what.clone() });
            }
            At::Commit(commit) => {
                return Err(Error::NoRepository { path: path.clone(), what: commit.to_string() });
            }
        }
        let (content, tree) = kept(&store, disk::read(path, Cap::TEMPLATE)?)?;
        let (version, none) = (Version::Bare(String::new()), String::new);
        let (commit, description) = (none(), none());
        return Ok(Fetched {
            source,
            version,
            reference: None,
            commit,
            description,
            tree,
            content,
            submodules: vec![],
        });
    };
    let reader = &opened.reader;
    let uncommitted = match at {
        At::Worktree => true,
        At::Latest { prereleases } => release::latest(&releases_of(reader)?, *prereleases).is_none(),
        _ => false,
    };
    if uncommitted && let Some(taken) = reader.take_uncommitted(Cap::TEMPLATE)? {
        let description = match reader.head() {
            Ok(head) => format!("{}-dirty", described(reader, &head)?.0),
            Err(_) => "dirty".to_owned(),
        };
        let (content, tree) = kept(&store, taken.tree)?;
        return Ok(Fetched {
            source,
            version: Version::Bare(description),
            reference: None,
            commit: String::new(),
            description: String::new(),
            tree,
            content,
            submodules: taken.submodules,
        });
    }
    let (commit, reference) = match at {
        At::Worktree => (reader.head()?, None),
        At::Commit(commit) => {
            opened.ensure(commit, offline)?;
            (commit.clone(), None)
        }
        At::Reference(name) => (reader.find(name)?, Some(name.clone()).filter(|name| name != "HEAD")),
        At::Latest { prereleases } => match release::latest(&releases_of(reader)?, *prereleases) {
            Some(release) => (release.commit.clone(), Some(release.tag.clone())),
            None => (reader.head()?, None),
        },
        At::Requirement(requirement) => {
            let all = releases_of(reader)?;
            let Some(release) = release::matching(&all, requirement)? else {
                let requirement = requirement.clone();
                let released = all.into_iter().map(|found| found.version).collect();
                return Err(Error::NoVersion { source_of: source, requirement, released });
            };
            (release.commit.clone(), Some(release.tag.clone()))
        }
    };
    let (description, version) = described(reader, &commit)?;
    // A commit may have several tags; the one that was asked for is its version.
    let version = match &reference {
        Some(tag) if Version::of_tag(tag).is_some() => Version::from(tag.clone()),
        _ => version,
    };
    let (content, Taken { tree, submodules }) = committed(&store, reader, &commit, "", Cap::TEMPLATE)?;
    Ok(Fetched { source, version, reference, commit: commit.to_string(), description, tree, content, submodules })
}

/// The released versions of a template, newest first: its tags that PEP 440 takes for versions.
pub fn versions(cache: &Path, location: &Location, offline: bool) -> Result<Vec<Release>, Error> {
    match open(cache, location, offline)? {
        Some(opened) => releases_of(&opened.reader),
        None => Ok(Vec::new()),
    }
}

/// What is under a directory of a repository at a commit (`blocks/php-web` of a catalog), at most so much; kept in the cache.
pub fn take(mirror: &Mirror, commit: &Commit, directory: &str, cap: Cap) -> Result<Tree, Error> {
    Ok(committed(&Store::new(mirror.cache()), &mirror.reader()?, commit, directory, cap)?.1.tree)
}

/// The source that a project's block was rendered from: from the cache, else from the locked commit. Either way it is what
/// the lock says, byte by byte. `directory` is where it lies in a catalog (`blocks/php-web`); a repository that is a template
/// of its own is taken whole. Relative sources are from the project's `root`.
pub fn base(cache: &Path, locked: &LockedBlock, directory: &str, root: &Path, offline: bool) -> Result<Tree, Error> {
    let store = Store::new(cache);
    if let Some(tree) = store.tree(&locked.content) {
        return Ok(tree);
    }
    let gone = |why: String| Error::Gone {
        source_of: crate::git::without_credentials(&locked.source),
        version: locked.version.to_string(),
        commit: locked.commit.clone(),
        why,
    };
    let location = Location::recorded(&locked.source, root).map_err(|error| gone(error.to_string()))?;
    let places = [directory, ""];
    let mut trees: Vec<Tree> = match (&location, locked.commit.parse::<Commit>()) {
        (_, Ok(commit)) => {
            let reader = holding(cache, &location, &commit, offline).map_err(|e| gone(crate::error::chain(&e)))?;
            let take = |place: &&str| reader.take(&commit, place, Cap::TEMPLATE).map(|taken| taken.tree);
            places.iter().map(take).collect::<Result<_, _>>()?
        }
        // A directory may still be what it was; nothing else could say so.
        (Location::Directory(path), Err(_)) => {
            let there = places.iter().map(|place| path.join(place)).filter(|path| path.is_dir());
            let trees: Vec<Tree> = there.map(|path| disk::read(&path, Cap::TEMPLATE)).collect::<Result<_, _>>()?;
            if trees.iter().all(|tree| tree.digest() != locked.content) {
                return Err(gone("the directory was changed since".to_owned()));
            }
            trees
        }
        (Location::Repository(_), Err(_)) => return Err(gone("it was never committed there".to_owned())),
    };
    if let Some(found) = trees.iter().position(|tree| tree.digest() == locked.content) {
        return Ok(store.settled(&locked.content, trees.swap_remove(found))?);
    }
    let found = trees.iter().find(|tree| !tree.is_empty()).unwrap_or(&trees[0]).digest();
    let (source_of, commit, locked) = (location.to_string(), locked.commit.clone(), locked.content.clone());
    Err(Error::Changed { source_of, commit, locked, found })
}

/// The repository at a location, with a commit in it. Nothing is fetched where it is here already.
fn holding(cache: &Path, location: &Location, commit: &Commit, offline: bool) -> Result<Reader, Error> {
    if let Ok(Some(here)) = open(cache, location, true)
        && here.reader.has(commit)
    {
        return Ok(here.reader);
    }
    let Some(opened) = open(cache, location, offline)? else {
        return Err(Error::NoCommit { commit: commit.to_string() });
    };
    opened.ensure(commit, offline)?;
    Ok(opened.reader)
}

/// A repository that can be read.
struct Opened {
    reader: Reader,
    mirror: Option<Mirror>,
}

impl Opened {
    /// Makes sure that a commit is here, where no branch or tag may lead to it any more.
    fn ensure(&self, commit: &Commit, offline: bool) -> Result<(), Error> {
        if self.reader.has(commit) {
            return Ok(());
        }
        match &self.mirror {
            Some(mirror) if !offline => Ok(mirror.fetch_commit(commit)?),
            _ => Err(Error::NoCommit { commit: commit.to_string() }),
        }
    }
}

/// The repository at a location, brought up to date. None of a directory that is no repository.
fn open(cache: &Path, location: &Location, offline: bool) -> Result<Option<Opened>, Error> {
    match location {
        Location::Directory(path) => {
            let reader = match Reader::open(path) {
                // What only git can read is fetched like a repository elsewhere.
                Err(error) if path.join(".git").exists() => match path.to_string_lossy().parse() {
                    Ok(url) => return mirrored(Mirror::new(cache, url, Wanted::Branches), offline).map(Some),
                    Err(_) => return Err(error.into()),
                },
                other => other?,
            };
            Ok(reader.map(|reader| Opened { reader, mirror: None }))
        }
        Location::Repository(url) => mirrored(Mirror::new(cache, url.clone(), Wanted::Branches), offline).map(Some),
    }
}

fn mirrored(mirror: Mirror, offline: bool) -> Result<Opened, Error> {
    mirror.refresh(offline)?;
    Ok(Opened { reader: mirror.reader()?, mirror: Some(mirror) })
}

fn releases_of(reader: &Reader) -> Result<Vec<Release>, Error> {
    Ok(release::sorted(reader.tags()?))
}

/// What git calls a commit, and the version that this makes. Without any tag before it, a version below all that have one,
/// which grows with the history.
fn described(reader: &Reader, commit: &Commit) -> Result<(String, Version), Error> {
    let text = reader.description(commit)?;
    let version = match Version::from(text.clone()) {
        // A short id may happen to look like a version.
        _ if commit.as_str().starts_with(&text) => {
            format!("0.0.0.post{}+g{}", reader.depth(commit)?, commit.short()).into()
        }
        version => version,
    };
    Ok((text, version))
}

/// What is under a directory at a commit, and the digest of its tree. What git's id names is always the same, so it is read
/// out of the repository once: the cache has all of it in one file.
fn committed(
    store: &Store,
    reader: &Reader,
    commit: &Commit,
    directory: &str,
    cap: Cap,
) -> Result<(Digest, Taken), Error> {
    let id = reader.tree_id(commit, directory)?;
    if let Some((content, tree)) = id.as_ref().and_then(|id| store.read_before(id, cap)) {
        return Ok((content, Taken { tree, submodules: Vec::new() }));
    }
    let Taken { tree, submodules } = reader.take(commit, directory, cap)?;
    let (content, tree) = kept(store, tree)?;
    // Where other repositories are named, what is read is more than a tree.
    if let Some(id) = id.filter(|_| submodules.is_empty()) {
        store.keep_read(&id, cap, &content)?;
    }
    Ok((content, Taken { tree, submodules }))
}

fn kept(store: &Store, tree: Tree) -> Result<(Digest, Tree), FileError> {
    let content = tree.digest();
    let tree = store.settled(&content, tree)?;
    Ok((content, tree))
}
