//! A repository read without running git: a mirror, or what lies in a directory.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use git2::{DescribeFormatOptions, DescribeOptions, ObjectType, Odb, Repository, StatusOptions};

use super::{Commit, Error};
use crate::tree::{Cap, Contents, Entry, Spool, Tree, TreePath, disk};

/// A repository that is only read. No hook, filter or helper that it names is run.
pub struct Reader {
    repository: Repository,
    /// What errors call it.
    url: String,
    head: &'static str,
}

/// What was read of a commit.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Its files and links.
    pub tree: Tree,
    /// Where it names a commit of another repository; those are not followed.
    pub submodules: Vec<String>,
}

impl Reader {
    pub(super) fn new(repository: Repository, url: String, head: &'static str) -> Self {
        Self { repository, url, head }
    }

    /// The repository that this directory is, with or without a work tree. None of a directory that only lies in one.
    pub fn open(directory: &Path) -> Result<Option<Self>, Error> {
        match Repository::open(directory) {
            Ok(repository) => Ok(Some(Self::new(repository, directory.display().to_string(), "HEAD"))),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(cause) => Err(Error::Library { path: directory.to_owned(), cause }),
        }
    }

    /// The commit that it stands on: of a mirror, the remote's default branch.
    pub fn head(&self) -> Result<Commit, Error> {
        self.peel(self.head).ok_or_else(|| self.missing("HEAD"))
    }

    /// The tags that lead to a commit, by name.
    pub fn tags(&self) -> Result<Vec<(String, Commit)>, Error> {
        let mut tags = Vec::new();
        for reference in self.repository.references_glob("refs/tags/*").map_err(|e| self.library(e))? {
            let reference = reference.map_err(|e| self.library(e))?;
            let name = reference.name().ok().and_then(|name| name.strip_prefix("refs/tags/"));
            if let (Some(name), Ok(commit)) = (name, reference.peel_to_commit()) {
                tags.push((name.to_owned(), commit.id().into()));
            }
        }
        tags.sort();
        Ok(tags)
    }

    /// The commit that a tag, a branch, `HEAD` or (the beginning of) a commit id names. Nothing else is looked up: no
    /// searches, no reflogs, no arithmetic.
    pub fn find(&self, name: &str) -> Result<Commit, Error> {
        if name == "HEAD" {
            return self.head();
        }
        let named = ["refs/tags/", "refs/heads/", "refs/remotes/origin/"].map(|prefix| format!("{prefix}{name}"));
        let full = name.starts_with("refs/").then(|| name.to_owned());
        let found = named.iter().chain(&full).filter(|full| git2::Reference::is_valid_name(full));
        if let Some(commit) = found.into_iter().find_map(|full| self.peel(full)) {
            return Ok(commit);
        }
        let is_id = (7..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit());
        let object = is_id.then(|| self.repository.revparse_single(name).ok()).flatten();
        let commit = object.and_then(|object| object.peel_to_commit().ok());
        commit.map(|commit| commit.id().into()).ok_or_else(|| self.missing(name))
    }

    /// Whether it holds a commit.
    pub fn has(&self, commit: &Commit) -> bool {
        self.repository.find_commit(commit.oid()).is_ok()
    }

    /// What `git describe --tags --always` says of a commit: a tag, a tag with what came after it, or a short id.
    pub fn description(&self, commit: &Commit) -> Result<String, Error> {
        let describe = || {
            let object = self.repository.find_object(commit.oid(), Some(ObjectType::Commit))?;
            let mut options = DescribeOptions::new();
            options.describe_tags().show_commit_oid_as_fallback(true);
            object.describe(&options)?.format(Some(DescribeFormatOptions::new().abbreviated_size(7)))
        };
        describe().map_err(|e| self.library(e))
    }

    /// How many commits lead to one, itself too.
    pub fn depth(&self, commit: &Commit) -> Result<usize, Error> {
        let count = || {
            let mut walk = self.repository.revwalk()?;
            walk.push(commit.oid())?;
            Ok(walk.count())
        };
        count().map_err(|e| self.library(e))
    }

    /// What names everything under a directory at a commit: git's own id, which is another one where anything is. None
    /// where there is no such directory.
    pub fn tree_id(&self, commit: &Commit, directory: &str) -> Result<Option<String>, Error> {
        Ok(self.root(commit, directory)?.map(|tree| tree.id().to_string()))
    }

    /// Everything under a directory at a commit; an empty directory is all of it.
    pub fn take(&self, commit: &Commit, directory: &str, cap: Cap) -> Result<Taken, Error> {
        let Some(root) = self.root(commit, directory)? else { return Ok(Taken::default()) };
        let odb = self.repository.odb().map_err(|e| self.library(e))?;
        let used = Cap { files: 0, bytes: 0 };
        let mut pass =
            Pass { reader: self, odb, cap, used, loose: true, spool: Spool::default(), taken: Taken::default() };
        pass.tree(&root, "")?;
        Ok(Taken { tree: pass.taken.tree.compact(), ..pass.taken })
    }

    /// What the work tree holds: the commit that it stands on, with everything that was changed, added or deleted since and
    /// is not ignored. None where nothing was.
    pub fn take_uncommitted(&self, cap: Cap) -> Result<Option<Taken>, Error> {
        let Some(root) = self.repository.workdir() else { return Ok(None) };
        let mut options = StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(false).exclude_submodules(true);
        let statuses = self.repository.statuses(Some(&mut options)).map_err(|e| self.library(e))?;
        if statuses.is_empty() {
            return Ok(None);
        }
        let mut taken = match self.head() {
            Ok(head) => self.take(&head, "", cap)?,
            // Nothing was committed yet.
            Err(_) => Taken::default(),
        };
        let mut bytes: u64 = taken.tree.iter().filter_map(|(_, entry)| entry.contents()).map(|c| c.len() as u64).sum();
        for status in statuses.iter() {
            let path = self.path(status.path_bytes())?;
            match disk::entry(&root.join(path.as_str()), cap.bytes.saturating_sub(bytes))? {
                Some(entry) => {
                    bytes += entry.contents().map_or(0, |contents| contents.len() as u64);
                    taken.tree.insert(path, entry);
                }
                None => {
                    taken.tree.remove(path.as_str());
                }
            }
            if taken.tree.len() > cap.files {
                return Err(Error::TooMuch { url: self.url.clone(), cap });
            }
        }
        Ok(Some(taken))
    }

    /// A directory at a commit, if there is one; an empty name is the top.
    fn root(&self, commit: &Commit, directory: &str) -> Result<Option<git2::Tree<'_>>, Error> {
        let top = self.repository.find_commit(commit.oid()).and_then(|c| c.tree()).map_err(|e| self.library(e))?;
        if directory.is_empty() {
            return Ok(Some(top));
        }
        let id = top.get_path(Path::new(directory)).map(|entry| entry.id());
        Ok(id.and_then(|id| self.repository.find_tree(id)).ok())
    }

    fn peel(&self, name: &str) -> Option<Commit> {
        self.repository.find_reference(name).ok()?.peel_to_commit().ok().map(|commit| commit.id().into())
    }

    fn path(&self, bytes: &[u8]) -> Result<TreePath, Error> {
        let text = String::from_utf8_lossy(bytes);
        // What is not UTF-8 holds replacement characters now, and none of that name is anywhere.
        let why =
            if std::str::from_utf8(bytes).is_err() { Err(crate::tree::BadPath::Unportable) } else { text.parse() };
        why.map_err(|why| Error::BadPath { url: self.url.clone(), path: text.into_owned(), why })
    }

    fn missing(&self, name: &str) -> Error {
        Error::NoCommit { what: format!("{} in {}", crate::text::neutral_line(name, 80), self.url) }
    }

    fn library(&self, cause: git2::Error) -> Error {
        Error::Library { path: self.repository.path().to_owned(), cause }
    }
}

/// One pass over a commit.
struct Pass<'a> {
    reader: &'a Reader,
    odb: Odb<'a>,
    cap: Cap,
    used: Cap,
    /// Whether objects may have files of their own.
    loose: bool,
    spool: Spool,
    taken: Taken,
}

impl Pass<'_> {
    fn tree(&mut self, tree: &git2::Tree<'_>, directory: &str) -> Result<(), Error> {
        for entry in tree {
            let mut path = directory.as_bytes().to_vec();
            path.extend_from_slice(entry.name_bytes());
            let path = self.reader.path(&path)?;
            self.used.files += 1;
            self.check()?;
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    let inner = self.reader.repository.find_tree(entry.id()).map_err(|e| self.reader.library(e))?;
                    self.tree(&inner, &format!("{path}/"))?;
                }
                Some(ObjectType::Blob) => {
                    let contents = self.blob(entry.id())?;
                    let made = match entry.filemode() {
                        0o120_000 => Entry::Link { target: self.target(&path, &contents)? },
                        mode => Entry::File { contents, executable: mode == 0o100_755 },
                    };
                    if self.taken.tree.insert(path, made).is_some() {
                        let cause = git2::Error::from_str("a tree holds one name twice");
                        return Err(self.reader.library(cause));
                    }
                }
                _ => self.taken.submodules.push(path.as_str().to_owned()),
            }
        }
        Ok(())
    }

    /// The size stands before the contents, so that nothing that is too large is unpacked.
    fn blob(&mut self, id: git2::Oid) -> Result<Contents, Error> {
        if self.loose {
            // An object with a file of its own, as in a template that is being written, is opened once.
            if let Ok((stream, size, _)) = self.odb.reader(id) {
                self.used.bytes += size as u64;
                self.check()?;
                let mut contents = Vec::with_capacity(size);
                let read = stream.take(size as u64).read_to_end(&mut contents);
                let whole = read.is_ok() && git2::Oid::hash_object(ObjectType::Blob, &contents).ok() == Some(id);
                let broken = || git2::Error::from_str(&format!("object {id} is damaged"));
                return if whole {
                    Ok(self.spool.keep(Bytes::from(contents)))
                } else {
                    Err(self.reader.library(broken()))
                };
            }
            // Others are in a pack, which is not read as a stream.
            self.loose = false;
        }
        self.used.bytes += self.odb.read_header(id).map_err(|e| self.reader.library(e))?.0 as u64;
        self.check()?;
        let object = self.odb.read(id).map_err(|e| self.reader.library(e))?;
        Ok(self.spool.keep(Bytes::copy_from_slice(object.data())))
    }

    fn target(&self, path: &TreePath, contents: &Contents) -> Result<String, Error> {
        contents.text().map(String::from).ok_or_else(|| Error::BadPath {
            url: self.reader.url.clone(),
            path: path.as_str().to_owned(),
            why: crate::tree::BadPath::Unportable,
        })
    }

    fn check(&self) -> Result<(), Error> {
        if self.used.files > self.cap.files || self.used.bytes > self.cap.bytes {
            return Err(Error::TooMuch { url: self.reader.url.clone(), cap: self.cap });
        }
        Ok(())
    }
}
