//! Layers put over each other, and the same done the slow way.

use std::collections::BTreeMap;

use super::*;
use crate::images::contents::input::Input;
use crate::images::contents::scan::scan;
use crate::reference::Digest;

/// A layer from names: `a/` a directory, `a>b` a symbolic link, `a=b` a hard link, all others files whose contents are the
/// layer's number.
fn layer(number: usize, names: &[&str], cache: &std::path::Path) -> Facts {
    let mut builder = tar::Builder::new(Vec::new());
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        if let Some((path, target)) = name.split_once('>') {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, path, target).unwrap();
        } else if let Some((path, target)) = name.split_once('=') {
            header.set_entry_type(tar::EntryType::Link);
            builder.append_link(&mut header, path, target).unwrap();
        } else if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            builder.append_data(&mut header, name, std::io::empty()).unwrap();
        } else {
            let text = number.to_string();
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
    }
    let bytes = builder.into_inner().unwrap();
    let (size, digest) = (bytes.len() as u64, Digest::of(format!("{number}{names:?}").as_bytes()));
    let mut rest = Some(bytes::Bytes::from(bytes));
    let (head, entries) = scan(&mut Input::new(size, move || Ok(rest.take())), size).unwrap().facts();
    Facts::save(cache, &digest, head, entries).unwrap()
}

fn tree(layers: &[&[&str]]) -> Vec<String> {
    let cache = tempfile::tempdir().unwrap();
    let facts: Vec<Facts> = layers.iter().enumerate().map(|(i, names)| layer(i, names, cache.path())).collect();
    Tree::of(&facts)
        .unwrap()
        .map(|file| {
            let (layer, entry) = file.unwrap();
            let path = String::from_utf8(entry.path).unwrap();
            let mark = if matches!(entry.kind, Kind::Directory | Kind::Implied) { "/" } else { "" };
            format!("{path}{mark} {layer}")
        })
        .collect()
}

#[test]
fn upper_layers_cover_lower_ones() {
    let cases: [(&[&[&str]], &[&str]); 11] = [
        (&[&["a/", "a/x", "b"], &["a/", "a/y"]], &["a/ 1", "a/x 0", "a/y 1", "b 0"]),
        (&[&["a/", "a/x", "b"], &["a/.wh.x", ".wh.b"]], &["a/ 0"]),
        (&[&["a/", "a/x", "a/y/", "a/y/z"], &[".wh.a"]], &[]),
        (&[&["a/", "a/x", "a-b"], &["a/", "a/.wh..wh..opq", "a/n"]], &["a/ 1", "a/n 1", "a-b 0"]),
        // A whiteout is about lower layers only, wherever it stands in its own.
        (&[&["a/", "a/x"], &["a/", "a/x", ".wh.a", "a/.wh.x"]], &["a/ 1", "a/x 1"]),
        (&[&["a/", "a/x"], &["a"]], &["a 1"]),
        (&[&["a/", "a/x"], &["a>b"], &["a/"]], &["a/ 2"]),
        // No directory of its own: it is there all the same, and hides what is none.
        (&[&["lib>usr/lib"], &["lib/x"]], &["lib/ 1", "lib/x 1"]),
        (&[&["a/"], &["a/x"]], &["a/ 0", "a/x 1"]),
        (&[&["a"], &[".wh.a"], &["a"]], &["a 2"]),
        (&[&["x/a", "x/.wh..wh.plnk"], &[], &["x/a"]], &["x/ 0", "x/a 2"]),
    ];
    for (layers, expected) in cases {
        assert_eq!(tree(layers), expected, "{layers:?}");
    }
}

#[test]
fn hard_links_are_the_files_that_they_name() {
    let cache = tempfile::tempdir().unwrap();
    let facts = layer(7, &["a", "b=a", "c=b", "d=elsewhere"], cache.path());
    let found: Vec<Entry> = facts.entries().unwrap().map(Result::unwrap).collect();
    assert_eq!((found[1].kind, found[1].hash), (Kind::File, found[0].hash));
    assert_eq!((found[2].kind, found[2].hash), (Kind::File, found[0].hash));
    assert_eq!((found[3].kind, found[3].link.as_slice()), (Kind::HardLink, b"elsewhere".as_slice()));
}

#[test]
fn the_last_of_one_path_counts() {
    let cache = tempfile::tempdir().unwrap();
    let facts = layer(1, &["a", "./a/", "./a/x"], cache.path());
    let found: Vec<(Kind, Vec<u8>)> =
        facts.entries().unwrap().map(Result::unwrap).map(|entry| (entry.kind, entry.path)).collect();
    assert_eq!(found, [(Kind::Directory, b"a".to_vec()), (Kind::File, b"a/x".to_vec())]);
}

/// The same with a map of all files, as the specification tells it.
fn slowly(layers: &[Vec<String>]) -> Vec<String> {
    let mut files: BTreeMap<String, (bool, usize)> = BTreeMap::new();
    let inside = |path: &str, directory: &str| path.starts_with(&format!("{directory}/"));
    for (number, names) in layers.iter().enumerate() {
        for name in names {
            let (directory, base) = name.rsplit_once('/').map_or(("", name.as_str()), |(d, b)| (d, b));
            let full = |base: &str| if directory.is_empty() { base.to_owned() } else { format!("{directory}/{base}") };
            match base.strip_prefix(".wh.") {
                Some(".wh..opq") => files.retain(|path, _| !directory.is_empty() && !inside(path, directory)),
                Some(gone) => files.retain(|path, _| *path != full(gone) && !inside(path, &full(gone))),
                None => {}
            }
        }
        for name in names {
            let whiteout = name.rsplit('/').next().unwrap().strip_prefix(".wh.");
            if whiteout.is_some_and(|taken| taken != ".wh..opq") {
                continue;
            }
            let mut at = 0;
            while let Some(end) = name[at..].find('/').map(|end| at + end) {
                let directory = name[..end].to_owned();
                if !files.get(&directory).is_some_and(|(is_directory, _)| *is_directory) {
                    files.insert(directory, (true, number));
                }
                at = end + 1;
            }
            if whiteout.is_none() {
                files.retain(|path, _| !inside(path, name));
                files.insert(name.clone(), (false, number));
            }
        }
    }
    let mut found: Vec<_> = files.into_iter().collect();
    found.sort_by(|a, b| path::order(a.0.as_bytes(), b.0.as_bytes()));
    let mark = |is_directory: bool| if is_directory { "/" } else { "" };
    found.into_iter().map(|(path, (is_directory, layer))| format!("{path}{} {layer}", mark(is_directory))).collect()
}

/// Names of one layer of which none is both a file and a directory.
fn names() -> impl proptest::strategy::Strategy<Value = Vec<String>> {
    use proptest::strategy::Strategy;
    proptest::collection::btree_set(
        "[ab](/[ab-]){0,2}|([ab]/){0,2}\\.wh\\.[ab]|([ab]/){1,2}\\.wh\\.\\.wh\\.\\.opq",
        0..6,
    )
    .prop_map(|names| {
        let clash = |name: &String| names.iter().any(|other| other.starts_with(&format!("{name}/")));
        names.iter().filter(|name| !clash(name)).cloned().collect()
    })
}

proptest::proptest! {
    #[test]
    fn streams_merge_as_maps_do(layers in proptest::collection::vec(names(), 1..5)) {
        let borrowed: Vec<Vec<&str>> = layers.iter().map(|names| names.iter().map(String::as_str).collect()).collect();
        let slices: Vec<&[&str]> = borrowed.iter().map(Vec::as_slice).collect();
        proptest::prop_assert_eq!(tree(&slices), slowly(&layers));
    }
}
