//! Two files that would be one: by path, by case or spelling on some file system, or as file and directory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::Origin;
use crate::text::{folded, neutral_line};
use crate::tree::TreePath;

/// The paths that are taken. Of files, which are many, only the hashes of their folded paths: who meets one of these looks
/// for the file itself among all that were rendered.
#[derive(Default)]
pub struct Clashes {
    files: HashSet<u64>,
    hasher: RandomState,
    /// By folded path.
    directories: HashMap<String, Directory>,
}

struct Directory {
    /// As it was spelled first.
    spelling: String,
    source: TreePath,
}

impl Clashes {
    /// Takes a path for a source; what is in its way. `rendered` are the files that have taken theirs.
    pub fn add(
        &mut self,
        path: &TreePath,
        source: &TreePath,
        rendered: &BTreeMap<TreePath, Origin>,
    ) -> Result<(), String> {
        for (end, _) in path.as_str().match_indices('/') {
            let directory = &path.as_str()[..end];
            let folded = folded(directory);
            match self.directories.get(&*folded) {
                Some(taken) if taken.spelling == directory => continue,
                Some(taken) => return Err(one_path(directory, &taken.spelling, &taken.source)),
                None => {}
            }
            if let Some((file, origin)) = self.file(&folded, rendered) {
                return Err(in_the_way(directory, file, &origin.source));
            }
            let spelling = directory.to_owned();
            self.directories.insert(folded.into_owned(), Directory { spelling, source: source.clone() });
        }
        let folded = folded(path.as_str());
        if let Some(taken) = self.directories.get(&*folded) {
            return Err(in_the_way(path.as_str(), &taken.spelling, &taken.source));
        }
        if let Some((file, origin)) = self.file(&folded, rendered) {
            if file == path.as_str() {
                return Err(format!("{} is rendered from {}, too", shown(file), shown(origin.source.as_str())));
            }
            return Err(one_path(path.as_str(), file, &origin.source));
        }
        self.files.insert(self.hasher.hash_one(&*folded));
        Ok(())
    }

    /// The file that has taken a folded path.
    fn file<'r>(&self, path: &str, rendered: &'r BTreeMap<TreePath, Origin>) -> Option<(&'r str, &'r Origin)> {
        if !self.files.contains(&self.hasher.hash_one(path)) {
            return None;
        }
        let mut all = rendered.iter().map(|(file, origin)| (file.as_str(), origin));
        all.find(|(file, _)| folded(file) == path)
    }
}

fn shown(path: &str) -> String {
    neutral_line(path, 120)
}

fn one_path(path: &str, before: &str, source: &TreePath) -> String {
    let (path, before, source) = (shown(path), shown(before), shown(source.as_str()));
    format!("{path} and {before} (from {source}) are one path on some file systems")
}

fn in_the_way(path: &str, before: &str, source: &TreePath) -> String {
    if before != path {
        return one_path(path, before, source);
    }
    let (path, source) = (shown(path), shown(source.as_str()));
    format!("{path} is rendered to a file and to a directory (see {source})")
}
