//! What goes on of a tar, and what is refused.

use super::*;

/// An entry as a tar has it: kind, path, target or contents.
type Told<'a> = (EntryType, &'a str, &'a str);

const DIRECTORY: EntryType = EntryType::Directory;
const FILE: EntryType = EntryType::Regular;

/// A tar with these entries, whatever they are.
fn tar(entries: &[Told<'_>]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, path, rest) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_uid(999);
        header.set_gid(5_000_000_000);
        header.set_mode(0o4751);
        header.set_mtime(1_700_000_000);
        // Written by hand: the builder refuses what an attacker would write.
        let name = header.as_old_mut();
        name.name[..path.len()].copy_from_slice(path.as_bytes());
        let links = matches!(kind, EntryType::Link | EntryType::Symlink);
        if links {
            name.linkname[..rest.len()].copy_from_slice(rest.as_bytes());
        }
        let contents = if links { "" } else { rest };
        header.set_size(contents.len() as u64);
        header.set_cksum();
        tar.append(&header, contents.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn copied(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match copy(bytes, &mut out, 1 << 30, &mut |_| {}) {
        Ok(count) => {
            assert_eq!(count, out.len() as u64);
            Ok(out)
        }
        Err(Broken::Refused(why)) => Err(why),
        Err(Broken::Io(error)) => Err(format!("io: {error}")),
    }
}

#[test]
fn owners_modes_times_links_and_attributes_go_on_and_twice_is_as_once() {
    let mut source = Builder::new(Vec::new());
    let head = |kind: EntryType, size: u64| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_uid(999);
        header.set_gid(5_000_000_000);
        header.set_mode(0o4751);
        header.set_mtime(1_700_000_000);
        header.set_size(size);
        header
    };
    let long = format!("data/{}/{}", "d".repeat(90), "f".repeat(150));
    source.append_data(&mut head(DIRECTORY, 0), "data/", io::empty()).unwrap();
    source.append_data(&mut head(DIRECTORY, 0), format!("data/{}", "d".repeat(90)), io::empty()).unwrap();
    source.append_pax_extensions([("SCHILY.xattr.user.colour", b"r\0d".as_slice()), ("comment", b"x")]).unwrap();
    source.append_data(&mut head(FILE, 3), &long, b"abc".as_slice()).unwrap();
    source.append_link(&mut head(EntryType::Link, 0), "data/hard", &long).unwrap();
    source.append_link(&mut head(EntryType::Symlink, 0), "data/soft", "./hard").unwrap();
    let once = copied(&source.into_inner().unwrap()).unwrap();
    assert_eq!(copied(&once).unwrap(), once, "what is written anew is the same again");
    let mut archive = Archive::new(once.as_slice());
    let mut told = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let (uid, gid) = (entry.header().uid().unwrap(), entry.header().gid().unwrap());
        assert_eq!((uid, gid, entry.header().mode().unwrap()), (999, 5_000_000_000, 0o4751));
        assert_eq!(entry.header().mtime().unwrap(), 1_700_000_000);
        let path = entry.path().unwrap().display().to_string();
        let link = entry.link_name().unwrap().map(|link| link.display().to_string()).unwrap_or_default();
        let attributes = attributes(&mut entry).unwrap().len();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        told.push(format!("{} {} {text}{attributes}", path.replace(&long, "LONG"), link.replace(&long, "LONG")));
    }
    let directory = format!("data/{}  0", "d".repeat(90));
    assert_eq!(told, ["data  0", &directory, "LONG  abc1", "data/hard LONG 0", "data/soft ./hard 0"]);
}

#[test]
fn what_leads_out_or_is_no_data_is_refused() {
    let (symlink, link) = (EntryType::Symlink, EntryType::Link);
    let top = (DIRECTORY, "data/", "");
    let down = (DIRECTORY, "data/d", "");
    let cases: &[(&[Told<'_>], &str)] = &[
        (&[], "it holds nothing"),
        (&[(FILE, "data", "x")], "is no directory"),
        (&[(FILE, "data/a", "x")], "stands where the data's directory should"),
        (&[top, (FILE, "data/../../etc/passwd", "x")], "leads out"),
        (&[top, (FILE, "/data/a", "x")], "leads out"),
        (&[top, (FILE, "../data/a", "x")], "leads out"),
        (&[top, (FILE, "etc/passwd", "x")], "leads out"),
        (&[top, top], "stands where the data's directory should, or again"),
        (&[top, (FILE, "data/a/b", "x")], "is in no directory"),
        (&[top, (symlink, "data/a", "d"), (FILE, "data/a/b", "x")], "is in no directory"),
        (&[top, (FILE, "data/a", "x"), (symlink, "data/./a", "b")], "is there twice"),
        (&[top, down, (symlink, "data/d", "x")], "is there twice"),
        (&[top, (symlink, "data/a", "/etc")], "is a link that leads out"),
        (&[top, (symlink, "data/a", "..")], "is a link that leads out"),
        (&[top, (symlink, "data/a", "./b/../../..")], "is a link that leads out"),
        (&[top, (symlink, "data/a", ".")], ""),
        // `a` is the top itself, so that `a/..` would be above it.
        (&[top, (symlink, "data/a", "."), (symlink, "data/b", "a/..")], "is a link that leads out"),
        (&[top, down, (symlink, "data/d/a", "../b")], ""),
        (&[top, down, (symlink, "data/d/a", "../../b")], "is a link that leads out"),
        (&[top, (link, "data/a", "data/b")], "is a hard link to no file"),
        (&[top, (link, "data/a", "/etc/passwd")], "is a hard link to no file"),
        (&[top, (symlink, "data/s", "x"), (link, "data/a", "data/s")], "is a hard link to no file"),
        (&[top, (EntryType::Char, "data/.wh.a", "")], "is neither a file nor a directory nor a link"),
        (&[top, (EntryType::Block, "data/a", "")], "is neither"),
        (&[top, (EntryType::Fifo, "data/a", "")], "is neither"),
        (&[top, (FILE, "data/\u{1b}[31m", "x"), (FILE, "data/\u{1b}[31m", "x")], "`data/\\u{1b}[31m` is there twice"),
    ];
    for (entries, expected) in cases {
        let told = copied(&tar(entries));
        match told {
            Ok(_) => assert_eq!(*expected, "", "{:?}", entries.last()),
            Err(why) => assert!(!expected.is_empty() && why.contains(expected), "{:?}: {why}", entries.last()),
        }
    }
    let mut trusted = Builder::new(Vec::new());
    trusted
        .append(
            &Archive::new(tar(&[top]).as_slice()).entries().unwrap().next().unwrap().unwrap().header().clone(),
            io::empty(),
        )
        .unwrap();
    trusted.append_pax_extensions([("SCHILY.xattr.trusted.overlay.redirect", b"/etc".as_slice())]).unwrap();
    trusted.append(&Header::new_gnu(), io::empty()).unwrap_or_default();
    let mut bytes = trusted.into_inner().unwrap();
    let more = tar(&[(FILE, "data/a", "x")]);
    let end = bytes.len() - 1024 - 512;
    bytes.splice(end.., more);
    let why = copied(&bytes).unwrap_err();
    assert!(why.contains("the extended attribute `trusted.overlay.redirect`"), "{why}");
}

#[test]
fn what_is_cut_or_larger_than_it_may_be_is_no_tar() {
    let whole = tar(&[(DIRECTORY, "data/", ""), (FILE, "data/a", &"x".repeat(5000))]);
    for cut in [1, 100, 511, 513, 1024 + 100, 1024 + 4999] {
        assert!(copied(&whole[..cut]).is_err(), "cut at {cut}");
    }
    let mut out = Vec::new();
    let Err(Broken::Io(error)) = copy(whole.as_slice(), &mut out, 3000, &mut |_| {}) else { panic!("it is larger") };
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    // A name that is never at its end.
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    let endless = header.as_bytes().as_slice().chain(io::repeat(b'a'));
    let Err(Broken::Io(error)) = copy(endless, io::sink(), 1 << 50, &mut |_| {}) else { panic!("it never ends") };
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2048)) {
        let _ = copied(&bytes);
    }

    #[test]
    fn whatever_links_a_tar_has_none_leads_out(links in proptest::collection::vec(("[ab]", "(\\.\\./|[abd]/|\\./){0,4}[abd.]"), 1..6)) {
        let dir = tempfile::tempdir().unwrap();
        let mut entries = vec![(DIRECTORY, "data".to_owned(), String::new()), (DIRECTORY, "data/d".to_owned(), String::new())];
        for (at, (name, target)) in links.into_iter().enumerate() {
            let path = format!("{}/{name}", if at % 2 == 0 { "data" } else { "data/d" });
            if entries.iter().all(|(_, there, _)| *there != path) {
                entries.push((EntryType::Symlink, path, target));
            }
        }
        let all: Vec<Told<'_>> = entries.iter().map(|(kind, path, rest)| (*kind, path.as_str(), rest.as_str())).collect();
        let Ok(out) = copied(&tar(&all)) else { return Ok(()) };
        let top = dir.path().canonicalize().unwrap();
        for entry in Archive::new(out.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let place = top.join(entry.path().unwrap());
            match entry.link_name().unwrap() {
                None => std::fs::create_dir(place).unwrap(),
                Some(target) => std::os::unix::fs::symlink(target, place).unwrap(),
            }
        }
        for (_, path, _) in &entries {
            if let Ok(end) = top.join(path).canonicalize() {
                proptest::prop_assert!(end.starts_with(top.join("data")), "{} leads to {}", path, end.display());
            }
        }
    }
}
