//! A patch that `git apply` takes, made in memory.

use git2::{DiffFormat, DiffOptions, Odb, Repository};

use super::entries;
use crate::tree::{Tree, TreePath};

/// The patch from one tree to another. Files that are not text are in it whole.
pub fn patch(before: &Tree, after: &Tree) -> Result<Vec<u8>, git2::Error> {
    let odb = Odb::new()?;
    odb.add_new_mempack_backend(1)?;
    let repository = Repository::from_odb(odb)?;
    let empty = repository.find_tree(repository.treebuilder(None)?.write()?)?;
    let write = |tree: &Tree| {
        let placed = |(path, entry): (&TreePath, &crate::tree::Entry)| (path.clone(), Some(entry.clone()));
        let placed: Vec<entries::Placed> = tree.iter().map(placed).collect();
        entries::tree(&repository, &empty, &placed)
    };
    let (before, after) = (repository.find_tree(write(before)?)?, repository.find_tree(write(after)?)?);
    let mut options = DiffOptions::new();
    options.show_binary(true).patience(true);
    let diff = repository.diff_tree_to_tree(Some(&before), Some(&after), Some(&mut options))?;
    let mut text = Vec::new();
    diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.push(line.origin() as u8);
        }
        text.extend_from_slice(line.content());
        true
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    #[test]
    fn git_applies_it() {
        let tree = |entries: &[(&str, Entry)]| -> Tree {
            entries.iter().map(|(path, entry)| (path.parse().unwrap(), entry.clone())).collect()
        };
        let run = |contents: &'static [u8]| Entry::File { contents: contents.into(), executable: true };
        let before =
            tree(&[("a/x.txt", Entry::file("1\n2\n")), ("bin", Entry::file(&b"\0\x01"[..])), ("s", run(b"s"))]);
        let after = tree(&[
            ("a/x.txt", Entry::file("1\n2\nno end")),
            ("bin", Entry::file(&b"\0\x02\xff"[..])),
            ("s", Entry::file("s")),
            ("new", run(b"n\n")),
            ("l", Entry::Link { target: "a/x.txt".into() }),
        ]);
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        for (path, entry) in before.iter() {
            let place = dir.path().join(path.as_str());
            std::fs::write(&place, entry.bytes()).unwrap();
            let mode = if entry.executable() { 0o755 } else { 0o644 };
            std::fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
        let file = dir.path().join("change.patch");
        std::fs::write(&file, patch(&before, &after).unwrap()).unwrap();
        let apply = std::process::Command::new("git").current_dir(dir.path()).args(["apply", "change.patch"]).status();
        assert!(apply.unwrap().success());
        std::fs::remove_file(file).unwrap();
        assert_eq!(crate::tree::disk::read(dir.path(), crate::tree::Cap::TEMPLATE).unwrap(), after);
        assert!(patch(&after, &after).unwrap().is_empty());
    }
}
