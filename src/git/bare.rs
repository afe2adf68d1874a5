//! A bare repository on this machine, made and added to without a work tree: what the playground serves.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{FileMode, Repository, Signature};

use super::{Commit, Error, Identity};
use crate::files::FileError;

/// Makes the repository hold exactly these files on `main`, in a new commit if that changes anything. A repository that
/// is not there is made aside and moved into place whole.
pub fn publish(
    path: &Path,
    files: &BTreeMap<String, Vec<u8>>,
    message: &str,
    author: &Identity,
) -> Result<Commit, Error> {
    if path.exists() {
        let repository = Repository::open_bare(path).map_err(library(path))?;
        return commit(&repository, files, message, author).map_err(library(path));
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
    let aside =
        tempfile::Builder::new().prefix(".onramp-").tempdir_in(parent).map_err(FileError::io("create", parent))?;
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).initial_head("main");
    let repository = Repository::init_opts(aside.path(), &options).map_err(library(path))?;
    let made = commit(&repository, files, message, author).map_err(library(path))?;
    std::fs::rename(aside.path(), path).map_err(FileError::io("create", path))?;
    // It is not there any more under its old name.
    let _ = aside.keep();
    Ok(made)
}

/// Gives a commit a tag, unless the tag is there already: a released version never moves.
pub fn tag(path: &Path, name: &str, target: &Commit) -> Result<(), Error> {
    let repository = Repository::open_bare(path).map_err(library(path))?;
    let full = format!("refs/tags/{name}");
    if repository.find_reference(&full).is_ok() {
        return Ok(());
    }
    repository.reference(&full, target.oid(), false, "release").map(|_| ()).map_err(library(path))
}

fn commit(
    repository: &Repository,
    files: &BTreeMap<String, Vec<u8>>,
    message: &str,
    author: &Identity,
) -> Result<Commit, git2::Error> {
    let empty = repository.find_tree(repository.treebuilder(None)?.write()?)?;
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, contents) in files {
        update.upsert(path.as_str(), repository.blob(contents)?, FileMode::Blob);
    }
    let tree = repository.find_tree(update.create_updated(repository, &empty)?)?;
    let head = repository.find_reference("refs/heads/main").ok().and_then(|main| main.peel_to_commit().ok());
    if let Some(head) = &head
        && head.tree_id() == tree.id()
    {
        return Ok(head.id().into());
    }
    let signature = Signature::now(&author.name, &author.email)?;
    let parents: Vec<&git2::Commit<'_>> = head.iter().collect();
    repository.commit(Some("refs/heads/main"), &signature, &signature, message, &tree, &parents).map(Commit::from)
}

fn library(path: &Path) -> impl Fn(git2::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Library { path: path.clone(), cause: source }
}
