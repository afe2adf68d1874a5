//! What tests leave behind, copied out of their containers: files, and links between them. Nothing in it is trusted.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use tar::EntryType;
use tempfile::SpooledTempFile;

use crate::engine::Engine;
use crate::files::{self, FileError};
use crate::project::{ARTIFACTS, HOME};
use crate::sandbox::Error;
use crate::sandbox::fetch::fetch;
use crate::task::blocking;
use crate::tree::{BadPath, Cap, Entry, Spool, Tree, TreePath, disk};

/// What one test may leave behind.
const CAP: Cap = Cap { files: 50_000, bytes: 512 * 1024 * 1024 };
/// What a tar takes for an entry beside its contents, in bytes: headers, a long name, and what fills the last block.
const OVERHEAD: u64 = 4096;
/// What git is told of a directory of artifacts, beside the list.
const GITIGNORE: &str = ".gitignore";
/// The longest list of what was written to a directory, in bytes.
const LIST_CAP: u64 = 64 * 1024 * 1024;

/// The directory in a project for what its tests leave behind. git ignores it, and so does whoever asks whether the code is
/// the same.
pub fn home(root: &Path) -> Result<PathBuf, FileError> {
    let (home, inside) = (Path::new(HOME), Path::new(HOME).join("artifacts"));
    for relative in [home, &inside] {
        let place = root.join(relative);
        match std::fs::create_dir(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(FileError::io("create", &place)(error));
            }
            // A link that stands there leads nowhere else.
            _ => drop(files::confined(root, relative)?),
        }
    }
    let ignore = root.join(home).join(".gitignore");
    if !ignore.exists() {
        files::write(&ignore, b"*\n")?;
    }
    files::confined(root, &inside)
}

/// Copies what is at these paths of a container into a directory, in place of what is there from an earlier run. What cannot
/// be had, and why.
pub async fn copy_out(engine: &Engine, container: &str, paths: &[String], into: &Path) -> Result<Vec<String>, Error> {
    let largest = CAP.bytes + CAP.files as u64 * OVERHEAD;
    let (mut tars, mut missing) = (Vec::new(), Vec::new());
    for path in paths {
        match fetch(engine, container, path, largest).await? {
            Ok(tar) => tars.push((path.clone(), tar)),
            Err(why) => missing.push(format!("{path} {why}")),
        }
    }
    let into = into.to_owned();
    missing.extend(blocking(move || unpack(tars, &into)).await?);
    Ok(missing)
}

/// Whether what is in this place may be replaced: nothing, or what an earlier run left there.
pub fn replaceable(place: &Path) -> Result<(), Error> {
    match somebodys(place)? {
        None => Ok(()),
        Some(path) => Err(Error::Somebodys { path, place: place.to_owned() }),
    }
}

/// The first thing in this place that no earlier run wrote.
fn somebodys(place: &Path) -> Result<Option<PathBuf>, FileError> {
    match std::fs::symlink_metadata(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::io("read", place)(error)),
        Ok(found) if !found.is_dir() => return Ok(Some(place.to_owned())),
        Ok(_) => {}
    }
    let list = match files::read_text(&place.join(ARTIFACTS), LIST_CAP) {
        Err(error) if error.is_not_found() => String::new(),
        list => list?,
    };
    let ours: BTreeSet<&Path> = list.lines().map(Path::new).collect();
    let mut open = vec![place.to_owned()];
    while let Some(directory) = open.pop() {
        for found in std::fs::read_dir(&directory).map_err(FileError::io("read", &directory))? {
            let found = found.map_err(FileError::io("read", &directory))?;
            let path = found.path();
            if found.file_type().map_err(FileError::io("read", &path))?.is_dir() {
                open.push(path);
            } else if !ours.contains(path.strip_prefix(place).expect("it is in there")) {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// Puts what is in these tars, all of them together, in place of a directory. What was left out, and why.
fn unpack(tars: Vec<(String, SpooledTempFile)>, into: &Path) -> Result<Vec<String>, Error> {
    let (mut found, mut missing) = (Found::default(), Vec::new());
    for (path, tar) in tars {
        let before = (found.tree.clone(), found.entries, found.bytes);
        match found.add(tar) {
            Ok(0) => {}
            Ok(left) => missing.push(format!("{path}: {left} of it are no files, or lead out of it")),
            Err(why) => {
                (found.tree, found.entries, found.bytes) = before;
                missing.push(format!("{path} {why}"));
            }
        }
    }
    replace(found.tree, into)?;
    Ok(missing)
}

/// Writes a tree in place of a directory: whole or not at all. What somebody else put there stays, and nothing is written.
fn replace(mut tree: Tree, into: &Path) -> Result<(), Error> {
    let parent = into.parent().unwrap_or(into);
    std::fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
    let staged = tempfile::Builder::new().prefix(".onramp-").tempdir_in(parent);
    let staged = staged.map_err(FileError::io("create", parent))?;
    let (new, old) = (staged.path().join("new"), staged.path().join("old"));
    std::fs::create_dir(&new).map_err(FileError::io("create", &new))?;
    let own = [ARTIFACTS, GITIGNORE].map(|name| name.parse::<TreePath>().expect("it is a path"));
    let list: BTreeSet<&TreePath> = tree.paths().chain(&own).collect();
    let list: String = list.iter().map(|path| format!("{path}\n")).collect();
    for (path, text) in own.into_iter().zip([list.as_str(), "*\n"]) {
        tree.insert(path, Entry::file(text.as_bytes().to_vec()));
    }
    disk::write(&tree, &new)?;
    replaceable(into)?;
    match std::fs::rename(into, old) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(FileError::io("replace", into)(error).into()),
        _ => Ok(std::fs::rename(new, into).map_err(FileError::io("write", into))?),
    }
}

/// What was read of a test's tars.
#[derive(Default)]
struct Found {
    tree: Tree,
    spool: Spool,
    entries: usize,
    bytes: u64,
}

impl Found {
    /// Adds what is in a tar; how many things in it were left out.
    fn add(&mut self, tar: impl Read) -> Result<usize, String> {
        let broken = |error: std::io::Error| format!("cannot be read: {error}");
        let (mut left, mut links) = (0, Vec::new());
        for entry in tar::Archive::new(tar).entries().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            self.entries += 1;
            if self.entries > CAP.files {
                return Err(format!("holds more than {CAP}"));
            }
            let kind = entry.header().entry_type();
            if kind.is_dir() {
                continue;
            }
            let text = |path: std::borrow::Cow<'_, Path>| path.to_str().map(str::to_owned);
            let path = text(entry.path().map_err(broken)?).and_then(|path| path.parse::<TreePath>().ok());
            let path = path.filter(|path| path.check() != Err(BadPath::Git));
            let target = entry.link_name().map_err(broken)?.and_then(text);
            match (kind, path, target) {
                (EntryType::Symlink, Some(path), Some(target)) => links.push((path, target)),
                // A second name of a file that came before.
                (EntryType::Link, Some(path), Some(target)) => match self.tree.get(&target).cloned() {
                    Some(file) => drop(self.tree.insert(path, file)),
                    None => left += 1,
                },
                (kind, Some(path), _) if kind.is_file() || kind == EntryType::GNUSparse => {
                    let file = self.file(entry).map_err(broken)?.ok_or_else(|| format!("holds more than {CAP}"))?;
                    self.tree.insert(path, file);
                }
                _ => left += 1,
            }
        }
        for (path, target) in &links {
            self.tree.insert(path.clone(), Entry::Link { target: target.clone() });
        }
        if let Some(path) = self.tree.file_and_directory() {
            return Err(format!("has {path} twice, as a file and as a directory"));
        }
        for (path, target) in links {
            if !self.stays_inside(&path, &target) {
                self.tree.remove(path.as_str());
                left += 1;
            }
        }
        Ok(left)
    }

    /// Reads a file; none where it is more than a test may leave behind.
    fn file(&mut self, entry: tar::Entry<'_, impl Read>) -> std::io::Result<Option<Entry>> {
        let executable = entry.header().mode()? & 0o100 != 0;
        let room = CAP.bytes - self.bytes;
        let mut contents = Vec::new();
        entry.take(room + 1).read_to_end(&mut contents)?;
        if contents.len() as u64 > room {
            return Ok(None);
        }
        self.bytes += contents.len() as u64;
        Ok(Some(Entry::File { contents: contents.into(), executable }.kept(&mut self.spool)))
    }

    /// Whether a link leads to something in the tree. It may go up only at its beginning: up from a directory that is a link
    /// itself, it could lead anywhere.
    fn stays_inside(&self, link: &TreePath, target: &str) -> bool {
        let mut place: Vec<&str> = link.names().collect();
        place.pop();
        let mut rest = target;
        while let Some(above) = rest.strip_prefix("../") {
            if place.pop().is_none() {
                return false;
            }
            rest = above;
        }
        place.push(rest);
        let Ok(place) = place.join("/").parse::<TreePath>() else { return false };
        self.tree.get(place.as_str()).is_some() || self.tree.inside(place.as_str()).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar of entries as they are: kind, path, and what is in it or where it leads.
    fn tar(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (kind, path, rest) in entries {
            let mut header = tar::Header::new_gnu();
            let name = &mut header.as_gnu_mut().unwrap().name;
            name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o6755);
            let linked = matches!(kind, EntryType::Symlink | EntryType::Link);
            if linked {
                header.set_link_name_literal(rest).unwrap();
            }
            let contents = if linked { "" } else { *rest };
            header.set_size(contents.len() as u64);
            header.set_cksum();
            tar.append(&header, contents.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn read(entries: &[(EntryType, &str, &str)]) -> (Vec<String>, Result<usize, String>) {
        let mut found = Found::default();
        let left = found.add(tar(entries).as_slice());
        (found.tree.paths().map(ToString::to_string).collect(), left)
    }

    #[test]
    fn files_and_the_links_between_them_are_taken() {
        let (paths, left) = read(&[
            (EntryType::Directory, "coverage/", ""),
            (EntryType::Regular, "coverage/a/index.html", "a"),
            (EntryType::Link, "coverage/b", "coverage/a/index.html"),
            (EntryType::Symlink, "coverage/a/up", "../b"),
            (EntryType::Symlink, "coverage/latest", "a"),
        ]);
        assert_eq!(paths, ["coverage/a/index.html", "coverage/a/up", "coverage/b", "coverage/latest"]);
        assert_eq!(left, Ok(0));
    }

    #[test]
    fn whatever_leads_out_stays_where_it_is() {
        let (paths, left) = read(&[
            (EntryType::Regular, "c/a/b/file", ""),
            (EntryType::Regular, "../c/x", ""),
            (EntryType::Regular, "/etc/x", ""),
            (EntryType::Regular, "c/../../x", ""),
            (EntryType::Regular, "c/.git/config", ""),
            (EntryType::Symlink, "c/absolute", "/etc/passwd"),
            (EntryType::Symlink, "c/up", "../../etc"),
            // To a directory above, and from what is there up again.
            (EntryType::Symlink, "c/a/b/above", "../../a"),
            (EntryType::Symlink, "c/fooled", "a/b/above/../../../.."),
            (EntryType::Symlink, "c/all", ".."),
            (EntryType::Symlink, "c/gone", "nothing"),
            (EntryType::Link, "c/hard", "/etc/passwd"),
            (EntryType::Fifo, "c/pipe", ""),
            (EntryType::Char, "c/null", ""),
        ]);
        assert_eq!(paths, ["c/a/b/above", "c/a/b/file"]);
        assert_eq!(left, Ok(12));
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (_, said) = read(&[
            (EntryType::Regular, "c/a/file", ""),
            (EntryType::Symlink, "c/link", "a"),
            (EntryType::Regular, "c/link/x", ""),
        ]);
        assert_eq!(said, Err("has c/link twice, as a file and as a directory".to_owned()));
    }

    #[test]
    fn what_is_too_much_is_not_taken() {
        let names: Vec<String> = (0..=CAP.files).map(|number| format!("c/{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| (EntryType::Regular, name.as_str(), "")).collect();
        assert!(read(&many).1.unwrap_err().starts_with("holds more than 50000 files"));
    }

    /// A tar as it comes from a container.
    fn fetched(entries: &[(EntryType, &str, &str)]) -> SpooledTempFile {
        let mut file = SpooledTempFile::new(0);
        std::io::Write::write_all(&mut file, &tar(entries)).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        file
    }

    #[test]
    fn what_is_too_much_takes_no_room_from_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("unit");
        let names: Vec<String> = (0..=CAP.files).map(|number| format!("many/{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| (EntryType::Regular, name.as_str(), "x")).collect();
        let tars = vec![
            ("/many".to_owned(), fetched(&many)),
            ("/few".to_owned(), fetched(&[(EntryType::Regular, "few/a", "a")])),
        ];
        let missing = unpack(tars, &into).unwrap();
        assert!(matches!(&missing[..], [one] if one.starts_with("/many holds more than 50000 files")), "{missing:?}");
        assert_eq!(std::fs::read_to_string(into.join("few/a")).unwrap(), "a");
        assert!(!into.join("many").exists());
    }

    #[test]
    fn what_an_earlier_run_left_is_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("unit");
        for name in ["one", "two"] {
            let file = fetched(&[(EntryType::Regular, name, "x")]);
            assert_eq!(unpack(vec![(name.to_owned(), file)], &into).unwrap(), Vec::<String>::new());
        }
        assert!(!into.join("one").exists());
        assert_eq!(std::fs::read_to_string(into.join(ARTIFACTS)).unwrap(), ".gitignore\n.onramp-artifacts\ntwo\n");
        let mode = std::fs::metadata(into.join("two")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7000, 0, "nothing runs as somebody else");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_somebody_put_there_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let left = |into: &Path| unpack(vec![("a".to_owned(), fetched(&[(EntryType::Regular, "a", "new")]))], into);
        let refused = |into: &Path, path: &str| {
            let before = std::fs::read_dir(dir.path()).unwrap().count();
            match (replaceable(into), left(into)) {
                (Err(Error::Somebodys { path: first, .. }), Err(Error::Somebodys { path: second, .. })) => {
                    assert_eq!([first, second], [dir.path().join(path), dir.path().join(path)]);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), before, "nothing half-written stays");
        };
        let unit = dir.path().join("unit");
        std::fs::create_dir_all(unit.join("empty")).unwrap();
        left(&unit).unwrap();
        std::fs::create_dir(unit.join("deep")).unwrap();
        std::fs::write(unit.join("deep/mine"), "mine").unwrap();
        refused(&unit, "unit/deep/mine");
        assert_eq!(std::fs::read_to_string(unit.join("deep/mine")).unwrap(), "mine");

        // A test that is called like a directory of the code, or like a file, or like a link to somewhere else.
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("src/a"), "code").unwrap();
        refused(&dir.path().join("src"), "src/a");
        assert_eq!(std::fs::read_to_string(dir.path().join("src/a")).unwrap(), "code");
        std::fs::write(dir.path().join("file"), "").unwrap();
        refused(&dir.path().join("file"), "file");
        std::os::unix::fs::symlink("src", dir.path().join("link")).unwrap();
        refused(&dir.path().join("link"), "link");
    }

    #[test]
    fn artifacts_anywhere_in_the_project_are_no_part_of_its_code() {
        let dir = tempfile::tempdir().unwrap();
        let code = || crate::sandbox::source::fingerprint(dir.path()).unwrap();
        let before = code();
        unpack(vec![("a".to_owned(), fetched(&[(EntryType::Regular, "a", "new")]))], &dir.path().join("out/unit"))
            .unwrap();
        assert_eq!(code(), before);
    }

    #[test]
    fn the_home_of_artifacts_is_in_the_project_and_no_part_of_its_code() {
        let dir = tempfile::tempdir().unwrap();
        let before = crate::sandbox::source::fingerprint(dir.path()).unwrap();
        std::fs::write(home(dir.path()).unwrap().join("x"), "").unwrap();
        assert_eq!(crate::sandbox::source::fingerprint(dir.path()).unwrap(), before);

        let (other, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(away.path(), other.path().join(HOME)).unwrap();
        assert!(matches!(home(other.path()), Err(FileError::Outside { .. })));
        assert_eq!(std::fs::read_dir(away.path()).unwrap().count(), 0);
    }
}
