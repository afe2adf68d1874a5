//! Which files were moved: between two trees, the ones that are gone and the ones that are new and have most of their
//! lines. Nothing is compared with everything: lines that few files have lead from one to the other.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::shape::is_text;
use crate::tree::{Contents, Entry, FileDigest, TreePath};

/// In how many new files a line may be and still tell something.
const COMMON: usize = 32;
/// Among how many equal files one that kept its name is looked for.
const NEAR: usize = 64;
/// How many candidates of a file are compared closely.
const CANDIDATES: usize = 8;
/// The least part of the larger file that both must have, in percent, as git has it.
const ALIKE: usize = 50;

/// Where files went: from, to. Each source and each target once. Empty files and links tell nothing of where they came
/// from.
pub(super) fn moves<'a>(
    gone: &[(&'a TreePath, &'a Entry)],
    new: &[(&'a TreePath, &'a Entry)],
) -> BTreeMap<&'a TreePath, &'a TreePath> {
    let mut moves = BTreeMap::new();
    let mut by_contents: HashMap<FileDigest, Vec<&'a TreePath>> = HashMap::new();
    let lengths: HashSet<usize> = gone.iter().filter_map(|(_, entry)| contents(entry)).map(Contents::len).collect();
    for (path, entry) in new {
        if let Some(contents) = contents(entry).filter(|contents| lengths.contains(&contents.len())) {
            by_contents.entry(contents.digest()).or_default().push(path);
        }
    }
    let mut left = Vec::new();
    for (path, entry) in gone {
        let Some(contents) = contents(entry) else { continue };
        // Of several equal files, the one that kept its name is the nearest.
        let same = by_contents.get_mut(&contents.digest()).filter(|same| !same.is_empty());
        match same {
            Some(same) => {
                let at = same.iter().take(NEAR).position(|new| new.file_name() == path.file_name());
                moves.insert(*path, same.swap_remove(at.unwrap_or(0)));
            }
            None => left.push((*path, contents)),
        }
    }
    let claimed: HashSet<&TreePath> = moves.values().copied().collect();
    let targets: Vec<_> = new
        .iter()
        .filter(|(path, _)| !claimed.contains(path))
        .filter_map(|(path, e)| Some((*path, contents(e)?)))
        .collect();
    moves.extend(alike(&left, &targets));
    moves
}

fn contents(entry: &Entry) -> Option<&Contents> {
    entry.contents().filter(|contents| !contents.is_empty())
}

/// The lines of a text: how many bytes each of them has in it.
fn weights(text: &[u8]) -> HashMap<&[u8], usize> {
    let mut weights = HashMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if !line.is_empty() {
            *weights.entry(line).or_default() += line.len();
        }
    }
    weights
}

/// Pairs of files that share most of their lines, the most alike first.
fn alike<'a>(
    gone: &[(&'a TreePath, &'a Contents)],
    new: &[(&'a TreePath, &'a Contents)],
) -> BTreeMap<&'a TreePath, &'a TreePath> {
    let mut pairs = BTreeMap::new();
    if gone.is_empty() || new.is_empty() {
        return pairs;
    }
    let new: Vec<_> = new.iter().map(|(path, contents)| (*path, contents.bytes())).collect();
    let texts: Vec<_> =
        new.iter().map(|(_, text)| if is_text(text) { weights(text) } else { HashMap::new() }).collect();
    let sizes: Vec<usize> = texts.iter().map(|text| text.values().sum()).collect();
    let mut having: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (i, text) in texts.iter().enumerate() {
        for line in text.keys() {
            let files = having.entry(line).or_default();
            if files.len() <= COMMON {
                files.push(i);
            }
        }
    }
    let mut found = Vec::new();
    for (from, contents) in gone {
        let text = contents.bytes();
        if !is_text(&text) {
            continue;
        }
        let weights = weights(&text);
        let size: usize = weights.values().sum();
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for (line, weight) in &weights {
            for i in having.get(line).into_iter().flatten().filter(|_| having[line].len() <= COMMON) {
                *shared.entry(*i).or_default() += weight;
            }
        }
        let mut candidates: Vec<_> = shared.into_iter().collect();
        candidates.sort_unstable_by_key(|(i, weight)| (std::cmp::Reverse(*weight), *i));
        candidates.truncate(CANDIDATES);
        for (i, _) in candidates {
            let both: usize = weights.iter().map(|(line, w)| texts[i].get(line).map_or(0, |other| *w.min(other))).sum();
            let likeness = both * 100 / size.max(sizes[i]).max(1);
            if likeness >= ALIKE {
                let renamed = new[i].0.file_name() != from.file_name();
                found.push((std::cmp::Reverse(likeness), renamed, *from, new[i].0));
            }
        }
    }
    found.sort_unstable();
    let mut taken = std::collections::BTreeSet::new();
    for (_, _, from, to) in found {
        if !pairs.contains_key(from) && taken.insert(to) {
            pairs.insert(from, to);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(gone: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<String> {
        let read = |files: &[(&str, &str)]| -> Vec<(TreePath, Entry)> {
            files.iter().map(|(path, text)| (path.parse().unwrap(), Entry::file((*text).to_owned()))).collect()
        };
        let (gone, new) = (read(gone), read(new));
        let gone: Vec<_> = gone.iter().map(|(path, entry)| (path, entry)).collect();
        let new: Vec<_> = new.iter().map(|(path, entry)| (path, entry)).collect();
        moves(&gone, &new).iter().map(|(from, to)| format!("{from} -> {to}")).collect()
    }

    #[test]
    fn equal_files_go_to_their_name() {
        assert_eq!(
            show(&[("a/x", "same"), ("a/y", "same")], &[("b/y", "same"), ("b/x", "same")]),
            ["a/x -> b/x", "a/y -> b/y"]
        );
        assert_eq!(show(&[("a", ""), ("b", "old")], &[("c", ""), ("d", "else")]), [""; 0]);
    }

    #[test]
    fn the_most_alike_are_one_file() {
        let one = "fn one() {\n    first();\n    second();\n    third();\n}\n";
        let changed = "fn one() {\n    first();\n    zweites();\n    third();\n}\n";
        let other = "fn other() {\n    walk();\n    run();\n    first();\n}\n";
        assert_eq!(show(&[("one.rs", one)], &[("eins.rs", changed), ("other.rs", other)]), ["one.rs -> eins.rs"]);
        assert_eq!(show(&[("one.rs", one)], &[("other.rs", other)]), [""; 0]);
        assert_eq!(
            show(
                &[("one.rs", one), ("uno.rs", changed)],
                &[("eins.rs", &changed.replace("first", "erstes")), ("x.rs", one)]
            ),
            ["one.rs -> x.rs", "uno.rs -> eins.rs"]
        );
    }
}
