//! What holds for all trees: nothing is lost, who changed nothing decides nothing, and lines merge as git merges them.

use proptest::prelude::*;

use super::*;

/// Lines that are told apart, and what two people made of them; some of it the same.
fn edited() -> impl Strategy<Value = [String; 3]> {
    let edit =
        prop::sample::select(vec!["keep", "keep", "keep", "delete", "x", "y", "insert x", "insert y", "insert both"]);
    prop::collection::vec((edit.clone(), edit), 0..14).prop_map(|edits| {
        let side = |edit_of: &dyn Fn(&(&'static str, &'static str)) -> &'static str| -> String {
            let line = |(at, edits)| match edit_of(edits) {
                "keep" => format!("line {at}\n"),
                "delete" => String::new(),
                "insert both" => format!("x{at}\ny{at}\nline {at}\n"),
                edit => match edit.strip_prefix("insert ") {
                    Some(new) => format!("{new}{at}\nline {at}\n"),
                    None => format!("{edit}{at}\n"),
                },
            };
            edits.iter().enumerate().map(line).collect()
        };
        [side(&|_| "keep"), side(&|edits| edits.0), side(&|edits| edits.1)]
    })
}

/// Names that meet each other as files and directories, and contents that are alike, clash, or are no text.
fn trees() -> impl Strategy<Value = Tree> {
    let name =
        prop::sample::select(vec!["a", "b", "a/b", "a/c", "b/c", "a.rej", "once", "x.json", "x.yml", "x.toml", ".env"]);
    let line = prop::sample::select(vec!["one", "two", "three", "four", "five", "{\"a\": 1}", "a: 1", "b = 2"]);
    let text = prop::collection::vec(line, 0..7).prop_map(|lines| lines.join("\n"));
    let entry = prop_oneof![
        8 => (text, any::<bool>()).prop_map(|(text, executable)| Entry::File { contents: text.into(), executable }),
        1 => "[xy]".prop_map(|target| Entry::Link { target }),
        1 => "[xy]".prop_map(|text| Entry::file(format!("\0{text}"))),
    ];
    prop::collection::vec((name, entry), 0..7).prop_map(|entries| {
        let mut tree = Tree::default();
        for (name, entry) in entries {
            let whole = tree.clone();
            tree.insert(path(name), entry);
            if tree.file_and_directory().is_some() {
                tree = whole;
            }
        }
        tree
    })
}

/// Pieces of a tree that nobody may lose: lines of text, whole other things, and where links lead.
fn pieces(tree: &Tree) -> BTreeSet<Vec<u8>> {
    tree.iter()
        .flat_map(|(_, entry)| match entry {
            Entry::File { contents, .. } if contents.bytes().contains(&0) => vec![contents.bytes().to_vec()],
            Entry::File { contents, .. } => contents.bytes().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect(),
            Entry::Link { target } => vec![format!("-> {target}").into_bytes()],
        })
        .collect()
}

proptest! {
    #[test]
    fn nothing_that_a_person_wrote_is_lost(base in trees(), theirs in trees(), mine in trees(), inline in any::<bool>()) {
        let options = options(if inline { Style::Inline } else { Style::Rej });
        let merged = merge(&base, &theirs, &mine, &options);
        let after = apply(&mine, &merged);
        prop_assert_eq!(after.file_and_directory(), None);
        let all = pieces(&after);
        for (at, entry) in mine.iter() {
            let own = pieces(&Tree::from_iter([(at.clone(), entry.clone())]));
            // A file that the base does not have may be one that the project moved.
            let old = match base.get(at.as_str()) {
                Some(old) => pieces(&Tree::from_iter([(at.clone(), old.clone())])),
                None => pieces(&base),
            };
            for piece in own.difference(&old) {
                prop_assert!(all.contains(piece), "{}: {:?} is lost in {:?}", at, piece, after);
            }
        }
        prop_assert_eq!(&merge(&base, &theirs, &mine, &options), &merged, "not the same twice");
    }

    #[test]
    fn lines_merge_as_git_merges_them(texts in edited()) {
        let [base, theirs, mine] = texts;
        // Git labels no side that is empty.
        prop_assume!(![&base, &theirs, &mine].iter().any(|text| text.is_empty()));
        let [mut old, mut new, mut own] = std::array::from_fn(|_| git2::MergeFileInput::new());
        old.content(base.as_bytes());
        new.content(theirs.as_bytes());
        own.content(mine.as_bytes());
        let options = options(Style::Inline);
        let mut git = git2::MergeFileOptions::new();
        git.style_zdiff3(true).our_label(&options.mine[..]).ancestor_label(&options.base[..]).their_label(&options.theirs[..]);
        // Merging alone does not start the library.
        git2::Config::new().unwrap();
        let wanted = git2::merge_file(&old, &own, &new, Some(&mut git)).unwrap();
        let mine = tree(&[("a", &mine)]);
        let merged = merge(&tree(&[("a", &base)]), &tree(&[("a", &theirs)]), &mine, &options);
        let after = apply(&mine, &merged);
        prop_assert_eq!(&*after.get("a").unwrap().text().unwrap(), std::str::from_utf8(wanted.content()).unwrap());
        prop_assert_eq!(merged.conflicts.is_empty(), wanted.is_automergeable());
    }

    #[test]
    fn who_changed_nothing_gets_the_other_side(base in trees(), other in trees()) {
        let options = Options::default();
        prop_assert_eq!(merge(&base, &base, &other, &options), Merged::default());
        prop_assert_eq!(merge(&base, &other, &other, &options), Merged::default());
        let merged = merge(&base, &other, &base, &options);
        prop_assert_eq!(apply(&base, &merged), other);
        prop_assert!(merged.conflicts.is_empty());
    }
}
