//! Archives as they are made, and as nobody honest makes them.

use tar::{Builder, EntryType, Header};

use super::*;

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(1);
    header.set_gid(2);
    header
}

/// A header with this name, whatever the name is.
fn raw(name: &[u8], kind: EntryType, size: u64) -> Vec<u8> {
    let mut header = header(kind, size);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn all(bytes: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let mut archive = Archive::new(bytes);
    let mut found = Vec::new();
    while let Some(entry) = archive.next()? {
        let mut contents = String::new();
        let read = archive.contents().read_to_string(&mut contents).map_err(Fault::unpack);
        read?;
        found.push((String::from_utf8(entry.path).unwrap(), contents));
    }
    Ok(found)
}

fn padded(mut bytes: Vec<u8>, contents: &[u8]) -> Vec<u8> {
    bytes.extend(contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[test]
fn what_gnu_tar_writes_is_read_in_each_of_its_forms() {
    let dir = tempfile::tempdir().unwrap();
    let long = "d".repeat(90) + "/" + &"e".repeat(90) + "/" + &"f".repeat(90);
    for (path, text) in [("etc/a", "one"), ("etc/empty", ""), (long.as_str(), "deep")] {
        let path = dir.path().join("root").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("../etc/a", dir.path().join("root/link")).unwrap();
    std::fs::hard_link(dir.path().join("root/etc/a"), dir.path().join("root/z")).unwrap();
    for form in ["gnu", "pax", "posix", "oldgnu"] {
        let made = std::process::Command::new("tar")
            .args(["--sort=name", "--format", form, "-C"])
            .arg(dir.path().join("root"))
            .args(["-c", "."])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut archive = Archive::new(made.stdout.as_slice());
        let mut found = Vec::new();
        while let Some(entry) = archive.next().unwrap() {
            if entry.made != Made::Directory {
                let mut contents = String::new();
                archive.contents().read_to_string(&mut contents).unwrap();
                found.push((String::from_utf8(entry.path).unwrap(), entry.made, contents, entry.link));
            }
        }
        let file = |path: &str, text: &str| (path.to_owned(), Made::File, text.to_owned(), Vec::new());
        let expected = [
            file(&long, "deep"),
            file("etc/a", "one"),
            file("etc/empty", ""),
            ("link".to_owned(), Made::Symlink, String::new(), b"../etc/a".to_vec()),
            ("z".to_owned(), Made::HardLink, String::new(), b"etc/a".to_vec()),
        ];
        assert_eq!(found, expected, "{form}");
    }
}

/// Whether it is refused as it should be.
type Refused = fn(&Fault) -> bool;

#[test]
fn what_leads_out_or_lies_is_refused() {
    let end = vec![0; 1024];
    let after = |mut bytes: Vec<u8>, more: &[u8]| {
        bytes.extend(more);
        bytes
    };
    let pax = |records: &str| padded(raw(b"p", EntryType::XHeader, records.len() as u64), records.as_bytes());
    let mut wrong_sum = raw(b"a", EntryType::Regular, 0);
    wrong_sum[0] = b'b';
    let cases: Vec<(&str, Vec<u8>, Refused)> = vec![
        ("..", raw(b"../etc/passwd", EntryType::Regular, 0), |f| matches!(f, Fault::Escapes(_))),
        ("/..", raw(b"/../x", EntryType::Directory, 0), |f| matches!(f, Fault::Escapes(_))),
        ("pax path", after(pax("18 path=a/../../b\n"), &raw(b"a", EntryType::Regular, 0)), |f| {
            matches!(f, Fault::Escapes(_))
        }),
        (
            "hard link",
            {
                let mut header = header(EntryType::Link, 0);
                header.set_path("a").unwrap();
                header.as_old_mut().linkname[..7].copy_from_slice(b"../../b");
                header.set_cksum();
                header.as_bytes().to_vec()
            },
            |f| matches!(f, Fault::Escapes(_)),
        ),
        ("checksum", wrong_sum, |f| matches!(f, Fault::Malformed(_))),
        ("no tar", vec![7; 2048], |f| matches!(f, Fault::Malformed(_))),
        ("half a header", vec![7; 100], |f| matches!(f, Fault::Malformed(_))),
        ("half a file", raw(b"a", EntryType::Regular, 9), |f| matches!(f, Fault::Malformed(_))),
        ("a directory with contents", raw(b"a", EntryType::Directory, 512), |f| matches!(f, Fault::Malformed(_))),
        ("sparse", raw(b"a", EntryType::GNUSparse, 0), |f| matches!(f, Fault::Form(_))),
        ("unknown type", raw(b"a", EntryType::new(b'V'), 0), |f| matches!(f, Fault::Form(_))),
        ("huge pax", raw(b"p", EntryType::XHeader, PAX_CAP + 1), |f| matches!(f, Fault::TooMuch(_))),
        ("huge name", raw(b"l", EntryType::GNULongName, 1 << 33), |f| matches!(f, Fault::TooMuch(_))),
        ("bad pax", pax("99 path=a\n"), |f| matches!(f, Fault::Malformed(_))),
        ("zero pax", pax("0 path=a\n"), |f| matches!(f, Fault::Malformed(_))),
        ("pax sparse", after(pax("22 GNU.sparse.major=1\n"), &raw(b"a", EntryType::Regular, 0)), |f| {
            matches!(f, Fault::Form(_))
        }),
        ("after the end", after(end.clone(), b"\0\0more"), |f| matches!(f, Fault::Trailing)),
        ("one zero block", after(vec![0; 512], &raw(b"a", EntryType::Regular, 0)), |f| matches!(f, Fault::Trailing)),
    ];
    for (what, bytes, expected) in cases {
        let fault = all(&bytes).expect_err(what);
        assert!(expected(&fault), "{what}: {fault}");
    }
    assert_eq!(all(&after(end, &[0; 9000])).unwrap(), []);
    assert_eq!(all(b"").unwrap(), [], "an empty layer is one");
}

#[test]
fn binary_attributes_do_not_confuse_the_reader() {
    let value = "21 SCHILY.xattr.a=\n9\n\n";
    let records = format!("{value}9 path=b\n");
    let mut bytes = padded(raw(b"p", EntryType::XHeader, records.len() as u64), records.as_bytes());
    bytes.extend(raw(b"a", EntryType::Regular, 0));
    assert_eq!(value.len(), 21 + 1, "the length counts its record");
    let bytes = String::from_utf8(bytes).unwrap().replace("21 SCHILY", "22 SCHILY").into_bytes();
    assert_eq!(all(&bytes).unwrap(), [("b".to_owned(), String::new())]);
}

proptest::proptest! {
    #[test]
    fn what_is_packed_is_found(files in proptest::collection::vec(("[a-z]{1,8}(/[a-z]{1,120}){0,3}", "[a-z]{0,1500}"), 0..8)) {
        let mut builder = Builder::new(Vec::new());
        for (path, text) in &files {
            builder.append_data(&mut header(EntryType::Regular, text.len() as u64), path, text.as_bytes()).unwrap();
        }
        proptest::prop_assert_eq!(all(&builder.into_inner().unwrap()).unwrap(), files);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000), kind: u8, size: u64) {
        let _ = all(&bytes);
        let mut named = raw(b"a", EntryType::new(kind), size % (1 << 33));
        named.extend(&bytes);
        let _ = all(&named);
    }
}
