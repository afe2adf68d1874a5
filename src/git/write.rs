//! Writing in a mirror: commits made in memory, pushed with a lease.

use git2::Signature;

use super::{Commit, Error, Identity, Mirror, program};

/// A new content for one file of a tree; none deletes it.
pub type Change = (String, Option<Vec<u8>>);

/// A ref to move, only if it is still where it was seen.
#[derive(Clone, Debug)]
pub struct RefUpdate {
    /// `refs/heads/deploy/test/shop`.
    pub name: String,
    /// Where it was seen; none: it must not exist.
    pub expected: Option<Commit>,
    /// Where it goes; none deletes it.
    pub target: Option<Commit>,
}

impl Mirror {
    /// Makes a commit in memory: the parent's tree (the first parent's) with these changes. Nothing is pushed.
    pub fn commit(
        &self,
        parents: &[Commit],
        changes: &[Change],
        message: &str,
        author: &Identity,
    ) -> Result<Commit, Error> {
        let repository = self.open()?;
        let make = || -> Result<git2::Oid, git2::Error> {
            let parents =
                parents.iter().map(|p| repository.find_commit(p.oid())).collect::<Result<Vec<_>, git2::Error>>()?;
            let base = match parents.first() {
                Some(parent) => parent.tree()?,
                None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
            };
            let mut update = git2::build::TreeUpdateBuilder::new();
            for (path, contents) in changes {
                match contents {
                    Some(contents) => update.upsert(path.as_str(), repository.blob(contents)?, git2::FileMode::Blob),
                    None => update.remove(path.as_str()),
                };
            }
            let tree = repository.find_tree(update.create_updated(&repository, &base)?)?;
            let signature = Signature::now(&author.name, &author.email)?;
            let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
            repository.commit(None, &signature, &signature, message, &tree, &parents)
        };
        make().map(Commit::from).map_err(|e| self.library(e))
    }

    /// Makes the commit that merges `theirs` into `ours`. Nothing is pushed. Where only they changed something, it is their tree: two of
    /// fifty thousand files are not compared.
    pub fn merge(&self, ours: &Commit, theirs: &Commit, message: &str, author: &Identity) -> Result<Commit, Error> {
        let repository = self.open()?;
        let library = |e| self.library(e);
        let (left, right) = (
            repository.find_commit(ours.oid()).map_err(library)?,
            repository.find_commit(theirs.oid()).map_err(library)?,
        );
        let tree = if repository.merge_base(left.id(), right.id()).ok() == Some(left.id()) {
            right.tree().map_err(library)?
        } else {
            let mut index = repository.merge_commits(&left, &right, None).map_err(library)?;
            if index.has_conflicts() {
                let conflicts = index.conflicts().map_err(library)?.flatten();
                let side = |c: git2::IndexConflict| c.our.or(c.their).or(c.ancestor);
                let paths = conflicts.filter_map(side).map(|e| String::from_utf8_lossy(&e.path).into_owned());
                return Err(Error::MergeConflict { paths: paths.collect() });
            }
            index.write_tree_to(&repository).and_then(|id| repository.find_tree(id)).map_err(library)?
        };
        let signature = Signature::now(&author.name, &author.email).map_err(library)?;
        let made = repository.commit(None, &signature, &signature, message, &tree, &[&left, &right]);
        made.map(Commit::from).map_err(library)
    }

    /// Pushes the updates, all or none, each only if its ref is where it was seen; then follows them here.
    pub fn push(&self, updates: &[RefUpdate]) -> Result<(), Error> {
        let mut arguments = vec!["--quiet".to_owned(), "--atomic".to_owned(), "--no-verify".to_owned()];
        for update in updates {
            let expected = update.expected.as_ref().map_or("", Commit::as_str);
            arguments.push(format!("--force-with-lease={}:{expected}", update.name));
        }
        arguments.push("--".to_owned());
        arguments.push(self.url().as_str().to_owned());
        for update in updates {
            arguments.push(format!("{}:{}", update.target.as_ref().map_or("", Commit::as_str), update.name));
        }
        program::run(self.path(), "push", &arguments, self.url())?;
        // Where the branch moved that HEAD may stand on, only the remote tells where it stands.
        let head = self.head().ok();
        if head.is_none() || updates.iter().any(|update| update.expected == head) {
            return self.fetch();
        }
        self.follow(updates)
    }

    /// Moves the refs here as they were moved there, unless somebody fetched others meanwhile.
    fn follow(&self, updates: &[RefUpdate]) -> Result<(), Error> {
        let _turn = self.take_turn()?;
        let repository = self.open()?;
        for RefUpdate { name, expected, target } in updates {
            let here = repository.find_reference(name).ok();
            if here.as_ref().and_then(git2::Reference::target).map(Commit::from) != *expected {
                continue;
            }
            let moved = match (here, target) {
                (_, Some(target)) => repository.reference(name, target.oid(), true, "push").map(drop),
                (Some(mut here), None) => here.delete(),
                (None, None) => Ok(()),
            };
            moved.map_err(|e| self.library(e))?;
        }
        self.see();
        Ok(())
    }
}
