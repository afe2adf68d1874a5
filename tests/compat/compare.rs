//! Two directories side by side.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What stands at a path.
#[derive(PartialEq, Eq)]
pub enum Thing {
    /// A file: its mode and its bytes.
    File(u32, Vec<u8>),
    /// A symbolic link: where it leads.
    Link(String),
}

/// Everything under a directory that a project would commit, by path. `.git` and `onramp.lock` are not the template's;
/// directories with nothing in them are none that git keeps.
pub fn tree(root: &Path) -> BTreeMap<String, Thing> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().expect("a path in UTF-8").to_owned();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_symlink() {
                found.insert(name, Thing::Link(fs::read_link(&path).unwrap().to_str().unwrap().to_owned()));
            } else if metadata.is_file() && name != onramp::project::lock::FILE {
                found.insert(name, Thing::File(metadata.permissions().mode() & 0o777, fs::read(&path).unwrap()));
            } else if metadata.is_dir() && name != ".git" {
                directories.push(path);
            }
        }
    }
    found
}

/// What is different, for people; empty where nothing is.
pub fn differences(oracle: &BTreeMap<String, Thing>, onramp: &BTreeMap<String, Thing>) -> String {
    let mut said = String::new();
    for (path, theirs) in oracle {
        match (theirs, onramp.get(path)) {
            (_, None) => said += &format!("  only the oracle has {path}\n"),
            (theirs, Some(ours)) if theirs == ours => {}
            (Thing::File(mode, contents), Some(Thing::File(our_mode, our_contents))) => {
                if mode != our_mode {
                    said += &format!("  {path}: mode {mode:o} of the oracle, {our_mode:o} of onramp\n");
                }
                if contents != our_contents {
                    said += &format!("  {path}: - oracle, + onramp\n{}", text_difference(contents, our_contents));
                }
            }
            (Thing::Link(target), Some(Thing::Link(our_target))) => {
                said += &format!("  {path}: leads to {target} of the oracle, {our_target} of onramp\n");
            }
            _ => said += &format!("  {path}: a link of the one, a file of the other\n"),
        }
    }
    for path in onramp.keys().filter(|path| !oracle.contains_key(*path)) {
        said += &format!("  only onramp has {path}\n");
    }
    said
}

fn text_difference(theirs: &[u8], ours: &[u8]) -> String {
    let (theirs, ours) = (String::from_utf8_lossy(theirs), String::from_utf8_lossy(ours));
    let difference = similar::TextDiff::from_lines(&*theirs, &*ours);
    let mut said = String::new();
    for change in difference.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal).take(20) {
        said += &format!("    {}{:?}\n", change.tag(), change.value());
    }
    said
}
