//! The files of a branch of somebody's source, in the cache: each commit once.

use std::path::{Path, PathBuf};

use super::Error;
use crate::files;
use crate::git::{Commit, Mirror, RepoUrl, Wanted};
use crate::reference::Digest;
use crate::text::did_you_mean;
use crate::tree::{Cap, disk};

/// Where they are in the cache.
pub const SOURCES: &str = "sources";
/// What a source may hold.
const MOST: Cap = Cap { files: 100_000, bytes: 512 * 1024 * 1024 };

/// Fetches a branch and lays its files out in the cache. Blocking: runs git.
pub fn branch(cache: &Path, url: RepoUrl, branch: &str, offline: bool) -> Result<(PathBuf, Commit), Error> {
    let mirror = Mirror::new(cache, url, Wanted::Branches);
    mirror.refresh(offline)?;
    // Looked up, never handed to git: a name is no expression.
    let mut branches = mirror.refs("refs/heads/")?;
    let commit = branches.remove(&format!("refs/heads/{branch}")).ok_or_else(|| {
        let known = branches.keys().filter_map(|name| name.strip_prefix("refs/heads/"));
        let meant = did_you_mean(branch, known).map(|meant| crate::text::neutral_line(meant, 80));
        Error::NoBranch { url: mirror.url().to_string(), branch: branch.to_owned(), meant }
    })?;
    let place = lay_out(cache, &mirror, &commit)?;
    Ok((place, commit))
}

/// The files of a commit.
fn lay_out(cache: &Path, mirror: &Mirror, commit: &Commit) -> Result<PathBuf, Error> {
    let key = Digest::of(format!("{}\n{commit}", mirror.url()).as_bytes());
    let place = cache.join(SOURCES).join(key.short());
    files::directory_once(&place, |aside| {
        let tree = mirror.reader()?.take(commit, "", MOST)?.tree;
        Ok::<_, Error>(disk::write(&tree, aside)?)
    })?;
    Ok(place)
}
