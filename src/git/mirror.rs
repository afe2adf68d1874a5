//! A bare copy of a remote repository in the cache, fetched and read at any commit. What is written there: [`super::write`].

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use git2::{ObjectType, Repository};
use jiff::Timestamp;

use super::{Commit, Error, Identity, Reader, RepoUrl, program};
use crate::files::FileError;
use crate::reference::Digest;
use crate::turn::Lock;

/// Which refs a mirror follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Branches and tags.
    Branches,
    /// Also `refs/pull/*`, where the `local` forge keeps its pull requests.
    BranchesAndPulls,
}

/// What this process fetched or pushed so long ago is what the remote has: an answer of a server is no younger once it is read.
const RECENT: Duration = Duration::from_secs(1);

/// How often a remote is fetched that changes while it is.
const TRIES: u32 = 10;

/// The mirror of one remote repository.
#[derive(Clone, Debug)]
pub struct Mirror {
    path: PathBuf,
    url: RepoUrl,
    wanted: Wanted,
    /// When this process last knew what the remote has.
    seen: Arc<Mutex<Option<Instant>>>,
}

impl Mirror {
    /// The mirror of `url` under the cache directory. Nothing is fetched yet.
    pub fn new(cache: &Path, url: RepoUrl, wanted: Wanted) -> Self {
        let key = Digest::of(url.as_str().as_bytes());
        Self {
            path: cache.join("repositories").join(format!("{}.git", key.short())),
            url,
            wanted,
            seen: Arc::default(),
        }
    }

    /// A repository on this machine, to be read as it stands; none where the directory is no work tree and no repository.
    pub fn in_place(directory: &Path) -> Result<Option<Self>, Error> {
        let repository = match Repository::open(directory) {
            Ok(repository) => repository,
            Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
            Err(cause) => return Err(Error::Library { path: directory.to_owned(), cause }),
        };
        let url = RepoUrl::from_argument(".", directory)?;
        let (path, wanted) = (repository.path().to_owned(), Wanted::Branches);
        Ok(Some(Self { path, url, wanted, seen: Arc::default() }))
    }

    /// The cache directory that it lies in.
    pub fn cache(&self) -> &Path {
        self.path.ancestors().nth(2).expect("a mirror lies two levels below the cache")
    }

    /// Where the repository lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A file beside the mirror, for what is known of it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.path.with_extension(name)
    }

    /// The remote's address.
    pub fn url(&self) -> &RepoUrl {
        &self.url
    }

    /// Brings the mirror up to date with the remote.
    pub fn fetch(&self) -> Result<(), Error> {
        let _turn = self.take_turn()?;
        if Repository::open_bare(&self.path).is_err() {
            Repository::init_bare(&self.path).map_err(|source| self.library(source))?;
        }
        self.clear_stale_locks();
        let mut refs = vec!["+HEAD:refs/onramp/head", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        if self.wanted == Wanted::BranchesAndPulls {
            refs.push("+refs/pull/*:refs/pull/*");
        }
        let mut arguments =
            ["--quiet", "--force", "--prune", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--"]
                .map(str::to_owned)
                .to_vec();
        arguments.push(self.url.as_str().to_owned());
        arguments.extend(refs.into_iter().map(str::to_owned));
        let mut tries = 1;
        loop {
            match program::run(&self.path, "fetch", &arguments, &self.url) {
                // A branch went, or moved, between what the remote said it has and what was asked for.
                Err(Error::Program { detail, .. }) if detail.contains("not our ref") && tries < TRIES => tries += 1,
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        self.see();
        Ok(())
    }

    /// What the remote has is known at this moment.
    pub(super) fn see(&self) {
        *self.seen.lock().expect("nobody panics with it") = Some(Instant::now());
    }

    /// [`Self::refresh`], unless this process fetched or pushed a moment ago.
    pub fn refresh_if_old(&self, offline: bool) -> Result<(), Error> {
        let seen = *self.seen.lock().expect("nobody panics with it");
        match seen {
            Some(seen) if seen.elapsed() < RECENT => Ok(()),
            _ => self.refresh(offline),
        }
    }

    /// Fetches, or with `offline` makes sure that something was fetched before.
    pub fn refresh(&self, offline: bool) -> Result<(), Error> {
        if !offline {
            return self.fetch();
        }
        // A fetch that failed may have made the mirror, and left it empty.
        match self.head() {
            Err(Error::NoCommit { .. }) => Err(Error::NeverFetched { url: self.url.to_string() }),
            found => found.map(|_| ()),
        }
    }

    /// The mirror, to be read. What a commit holds is read there in one pass.
    pub fn reader(&self) -> Result<Reader, Error> {
        Ok(Reader::new(self.open()?, self.url.to_string(), "refs/onramp/head"))
    }

    /// Fetches one commit that no branch or tag leads to any more, where the server still has it. It is kept from then on.
    pub fn fetch_commit(&self, commit: &Commit) -> Result<(), Error> {
        let _turn = self.take_turn()?;
        let mut arguments =
            ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--"].map(str::to_owned).to_vec();
        arguments.push(self.url.as_str().to_owned());
        arguments.push(format!("{commit}:refs/onramp/kept/{commit}"));
        program::run(&self.path, "fetch", &arguments, &self.url)
    }

    /// The commit of the remote's default branch.
    pub fn head(&self) -> Result<Commit, Error> {
        self.resolve("refs/onramp/head")
    }

    /// The name of the remote's default branch: the one that its HEAD stands on, `main` before others.
    pub fn default_branch(&self) -> Result<String, Error> {
        let head = self.head()?;
        let mut names: Vec<String> = self
            .refs("refs/heads/")?
            .into_iter()
            .filter(|(_, commit)| *commit == head)
            .map(|(name, _)| name["refs/heads/".len()..].to_owned())
            .collect();
        // A branch that proposes a deployment may stand on the same commit.
        names.sort_by_key(|name| (name.starts_with("deploy/"), name != "main", name != "master", name.clone()));
        names.into_iter().next().ok_or_else(|| Error::NoCommit { what: "HEAD".to_owned() })
    }

    /// The commit that a ref, tag, branch or full id names.
    pub fn resolve(&self, name: &str) -> Result<Commit, Error> {
        let missing = || Error::NoCommit { what: format!("{} in {}", crate::text::neutral_line(name, 80), self.url) };
        let repository = self.open()?;
        let object = repository.revparse_single(name).map_err(|_| missing())?;
        let commit = object.peel_to_commit().map_err(|_| missing())?;
        Ok(commit.id().into())
    }

    /// The refs that begin with `prefix`, by name, with the commits they lead to.
    pub fn refs(&self, prefix: &str) -> Result<BTreeMap<String, Commit>, Error> {
        let repository = self.open()?;
        let found = repository.references_glob(&format!("{prefix}*")).map_err(|e| self.library(e))?;
        let mut refs = BTreeMap::new();
        for reference in found {
            let reference = reference.map_err(|e| self.library(e))?;
            if let (Ok(name), Ok(commit)) = (reference.name(), reference.peel_to_commit()) {
                refs.insert(name.to_owned(), commit.id().into());
            }
        }
        Ok(refs)
    }

    /// The contents of a file at a commit, at most `cap` bytes; none where there is no such file.
    pub fn read(&self, commit: &Commit, path: &str, cap: u64) -> Result<Option<Vec<u8>>, Error> {
        let repository = self.open()?;
        let tree = repository.find_commit(commit.oid()).and_then(|c| c.tree()).map_err(|e| self.library(e))?;
        let Ok(entry) = tree.get_path(Path::new(path)) else { return Ok(None) };
        if entry.kind() != Some(ObjectType::Blob) {
            return Ok(None);
        }
        let odb = repository.odb().map_err(|e| self.library(e))?;
        let (size, _) = odb.read_header(entry.id()).map_err(|e| self.library(e))?;
        if size as u64 > cap {
            return Err(Error::TooLarge { url: self.url.to_string(), path: path.to_owned(), cap });
        }
        let blob = repository.find_blob(entry.id()).map_err(|e| self.library(e))?;
        Ok(Some(blob.content().to_vec()))
    }

    /// A commit's message and author time.
    pub fn describe(&self, commit: &Commit) -> Result<(String, Timestamp), Error> {
        let repository = self.open()?;
        let commit = repository.find_commit(commit.oid()).map_err(|e| self.library(e))?;
        let time = Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok((String::from_utf8_lossy(commit.message_bytes()).into_owned(), time))
    }

    /// Who a commit is by.
    pub fn author(&self, commit: &Commit) -> Result<Identity, Error> {
        let repository = self.open()?;
        let commit = repository.find_commit(commit.oid()).map_err(|e| self.library(e))?;
        let author = commit.author();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Identity { name: text(author.name_bytes()), email: text(author.email_bytes()) })
    }

    /// The parents of a commit, the one it was merged into first.
    pub fn parents(&self, commit: &Commit) -> Result<Vec<Commit>, Error> {
        let repository = self.open()?;
        let commit = repository.find_commit(commit.oid()).map_err(|e| self.library(e))?;
        Ok(commit.parent_ids().map(Commit::from).collect())
    }

    /// The newest commit that both histories hold.
    pub fn merge_base(&self, one: &Commit, other: &Commit) -> Result<Commit, Error> {
        let repository = self.open()?;
        repository.merge_base(one.oid(), other.oid()).map(Commit::from).map_err(|e| self.library(e))
    }

    /// The files that differ between two commits, by path.
    pub fn changed(&self, from: &Commit, to: &Commit) -> Result<Vec<String>, Error> {
        let repository = self.open()?;
        let tree = |commit: &Commit| repository.find_commit(commit.oid()).and_then(|c| c.tree());
        let paths = || -> Result<Vec<String>, git2::Error> {
            let diff = repository.diff_tree_to_tree(Some(&tree(from)?), Some(&tree(to)?), None)?;
            Ok(changed_paths(&diff))
        };
        paths().map_err(|e| self.library(e))
    }

    /// Whether a commit is `head` or one of those before it, following first parents, `most` of them.
    pub fn is_before(&self, commit: &Commit, head: &Commit, most: usize) -> Result<bool, Error> {
        let repository = self.open()?;
        let wanted = commit.oid();
        let walk = || -> Result<bool, git2::Error> {
            let mut current = head.oid();
            for _ in 0..most {
                if current == wanted {
                    return Ok(true);
                }
                match repository.find_commit(current)?.parent_id(0) {
                    Ok(parent) => current = parent,
                    Err(_) => break,
                }
            }
            Ok(false)
        };
        walk().map_err(|e| self.library(e))
    }

    /// Removes the lock files that a killed git left: while the turn is ours, no other git writes here.
    fn clear_stale_locks(&self) {
        // Beside the objects, of which there may be many and which have no locks.
        let top = ignore::WalkBuilder::new(&self.path).standard_filters(false).max_depth(Some(1)).build();
        let refs = ignore::WalkBuilder::new(self.path.join("refs")).standard_filters(false).build();
        let all = top.chain(refs).flatten();
        let stale = all.filter(|entry| entry.path().extension().is_some_and(|end| end == "lock"));
        for entry in stale {
            let _ = std::fs::remove_file(entry.path());
        }
    }

    pub(super) fn open(&self) -> Result<Repository, Error> {
        Repository::open_bare(&self.path).map_err(|_| Error::NeverFetched { url: self.url.to_string() })
    }

    /// One process at a time writes a mirror's refs; the kernel ends the turn of one that dies.
    pub(super) fn take_turn(&self) -> Result<Lock, Error> {
        let directory = self.path.parent().expect("a mirror lies in the cache");
        std::fs::create_dir_all(directory).map_err(FileError::io("create", directory))?;
        let path = self.path.with_extension("lock");
        let file = File::create(&path).map_err(FileError::io("create", &path))?;
        Ok(Lock::wait(file).map_err(FileError::io("lock", &path))?)
    }

    pub(super) fn library(&self, source: git2::Error) -> Error {
        Error::Library { path: self.path.clone(), cause: source }
    }
}

/// The paths of a diff's both sides, each once, in order.
fn changed_paths(diff: &git2::Diff<'_>) -> Vec<String> {
    let sides = diff.deltas().flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()]);
    let paths: std::collections::BTreeSet<String> =
        sides.flatten().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    paths.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_outlives_a_git_that_was_killed() {
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("origin.git");
        let author = Identity { name: "Ada".to_owned(), email: "ada@acme.test".to_owned() };
        let files = BTreeMap::from([("a".to_owned(), b"1".to_vec())]);
        super::super::bare::publish(&origin, &files, "first", &author).unwrap();
        let mirror =
            Mirror::new(&dir.path().join("cache"), origin.to_str().unwrap().parse().unwrap(), Wanted::Branches);
        mirror.fetch().unwrap();
        for left in ["packed-refs.lock", "refs/heads/main.lock", "refs/onramp/head.lock"] {
            std::fs::write(mirror.path.join(left), "").unwrap();
        }
        let files = BTreeMap::from([("a".to_owned(), b"2".to_vec())]);
        let second = super::super::bare::publish(&origin, &files, "second", &author).unwrap();
        mirror.fetch().unwrap();
        assert_eq!(mirror.head().unwrap(), second);
    }
}
