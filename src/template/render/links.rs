//! Where symbolic links lead, looked up in a tree and nowhere else.

use std::collections::VecDeque;

use crate::tree::{Entry, Tree};

/// The most links on the way to one file.
const MOST_LINKS: usize = 40;

/// Where a path ends when every link on the way is followed.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// At this path: a file, or a directory of the tree.
    At(String),
    /// Outside of the tree.
    Outside,
    /// Nowhere: links lead to links without end.
    Loop,
}

/// Follows the links of a tree from `from` (a directory, empty at the top) along `target`. `readable` says where a link
/// leads.
pub fn follow(tree: &Tree, from: &str, target: &str) -> End {
    if target.starts_with('/') || target.contains(['\\', '\0']) || has_drive(target) {
        return End::Outside;
    }
    let mut at: Vec<String> = from.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let mut rest: VecDeque<String> = target.split('/').map(str::to_owned).collect();
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                if at.pop().is_none() {
                    return End::Outside;
                }
                continue;
            }
            _ => at.push(name),
        }
        if let Some(Entry::Link { target }) = tree.get(&at.join("/")) {
            links += 1;
            if links > MOST_LINKS {
                return End::Loop;
            }
            if target.starts_with('/') || target.contains(['\\', '\0']) || has_drive(target) {
                return End::Outside;
            }
            at.pop();
            for name in target.split('/').rev() {
                rest.push_front(name.to_owned());
            }
        }
    }
    End::At(at.join("/"))
}

fn has_drive(target: &str) -> bool {
    let bytes = target.as_bytes();
    bytes.len() >= 2 && bytes[1] == b':' && bytes[0].is_ascii_alphabetic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_tree_only() {
        let link = |target: &str| Entry::Link { target: target.to_owned() };
        let tree: Tree = [
            ("deep/down/file", Entry::file("")),
            ("short", link("deep/down")),
            ("a/up", link("../short/file")),
            ("a/twice", link("up")),
            ("round", link("round")),
            ("out", link("short/../../..")),
            ("sly/d", link("../z")),
            ("z/f", Entry::file("")),
            ("absolute", link("/etc")),
            ("drive", link("C:/x")),
        ]
        .into_iter()
        .map(|(path, entry)| (path.parse().unwrap(), entry))
        .collect();
        for (from, target, end) in [
            ("", "a/up", End::At("deep/down/file".into())),
            ("a", "twice", End::At("deep/down/file".into())),
            ("a", "../short", End::At("deep/down".into())),
            ("", "short/..", End::At("deep".into())),
            ("", "round", End::Loop),
            ("", "out", End::Outside),
            // As written, two steps up from `sly/d` are inside; as it is, `sly/d` is `z`.
            ("", "sly/d/../..", End::Outside),
            ("", "absolute/passwd", End::Outside),
            ("", "drive", End::Outside),
            ("a", "../../x", End::Outside),
            ("a/b", "../x", End::At("a/x".into())),
        ] {
            assert_eq!(follow(&tree, from, target), end, "{from} {target}");
        }
    }
}
