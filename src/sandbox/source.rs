//! The project's own files: the build context that is sent to the engine, and the fingerprint that says "the same code".

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use sha2::{Digest as _, Sha256};

use super::copied::Copied;
use crate::files::{self, FileError};
use crate::project::{ARTIFACTS, HOME};
use crate::reference::Digest;

/// The largest build context, in bytes.
const CAP: u64 = 512 * 1024 * 1024;

/// A file of a build context.
struct Entry {
    /// Path from the context's top.
    path: PathBuf,
    /// Whole path.
    place: PathBuf,
    executable: bool,
    link: Option<PathBuf>,
}

/// A build context: the files under a directory that `.dockerignore` leaves, sorted.
pub struct Context {
    entries: Vec<Entry>,
}

impl Context {
    /// Reads the directory's listing. Nothing outside the project is followed.
    pub fn read(directory: &Path) -> Result<Self, FileError> {
        let ignored = dockerignore(directory)?;
        let mut entries = Vec::new();
        let mut walk = WalkBuilder::new(directory);
        // What tests left behind changes with every run of them.
        walk.standard_filters(false).follow_links(false).filter_entry(|entry| !entry.path().join(ARTIFACTS).exists());
        for found in walk.build() {
            let found = found.map_err(|error| walk_error(directory, error))?;
            let place = found.path();
            let path = place.strip_prefix(directory).expect("a walk stays under its top").to_owned();
            let kind = found.file_type();
            let is_dir = kind.is_some_and(|kind| kind.is_dir());
            let not_code = [".git", HOME].iter().any(|name| path.starts_with(name));
            if path.as_os_str().is_empty() || not_code || is_dir {
                continue;
            }
            // The engine needs the Dockerfile whatever the ignore file says.
            if path != Path::new("Dockerfile") && ignored.matched_path_or_any_parents(&path, false).is_ignore() {
                continue;
            }
            let link = match kind {
                Some(kind) if kind.is_symlink() => {
                    Some(std::fs::read_link(place).map_err(FileError::io("read", place))?)
                }
                Some(kind) if kind.is_file() => None,
                // Sockets and devices are no source code.
                _ => continue,
            };
            let mode = found.metadata().map_or(0, |meta| meta.permissions().mode());
            entries.push(Entry { path, place: place.to_owned(), executable: mode & 0o100 != 0, link });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { entries })
    }

    /// The digest of paths, modes and contents, without what lies under `except`.
    pub fn digest(&self, except: &[PathBuf]) -> Result<Digest, FileError> {
        let mut hash = Sha256::new();
        for entry in self.entries.iter().filter(|entry| !except.iter().any(|prefix| entry.path.starts_with(prefix))) {
            let contents = entry.contents()?;
            let mut field = |bytes: &[u8]| {
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            };
            field(entry.path.as_os_str().as_encoded_bytes());
            field(&[u8::from(entry.executable), u8::from(entry.link.is_some())]);
            field(&contents);
        }
        Ok(Digest::from_hash(&hash.finalize()))
    }

    /// The context as a tar. Owners and times are left out, so that equal files are an equal context.
    pub fn tar(&self) -> Result<Vec<u8>, FileError> {
        let mut tar = tar::Builder::new(Vec::new());
        self.put(&mut tar, Path::new(""))?;
        tar.into_inner().map_err(FileError::io("read", Path::new(".")))
    }

    /// Puts it into a tar, below a directory.
    fn put(&self, tar: &mut tar::Builder<Vec<u8>>, below: &Path) -> Result<(), FileError> {
        let mut total = 0;
        for entry in &self.entries {
            let contents = entry.contents()?;
            total += contents.len() as u64;
            if total > CAP {
                return Err(FileError::TooLarge { path: entry.place.clone(), cap: CAP });
            }
            let mut header = tar::Header::new_gnu();
            header.set_mtime(0);
            header.set_mode(if entry.executable { 0o755 } else { 0o644 });
            let written = if let Some(link) = &entry.link {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, below.join(&entry.path), link)
            } else {
                header.set_size(contents.len() as u64);
                tar.append_data(&mut header, below.join(&entry.path), contents.as_slice())
            };
            written.map_err(FileError::io("read", &entry.place))?;
        }
        Ok(())
    }
}

/// The context of an image that has these directories laid over the files of another one, as they are now. Blocking.
pub fn over(image: &str, copies: &[Copied]) -> Result<Vec<u8>, FileError> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut dockerfile = format!("FROM {image}\n");
    for (number, copied) in copies.iter().enumerate() {
        let directory = number.to_string();
        Context::read(&copied.from)?.put(&mut tar, Path::new(&directory))?;
        // As JSON a path may have spaces.
        let words = serde_json::json!([format!("{directory}/"), format!("{}/", copied.target.trim_end_matches('/'))]);
        dockerfile.push_str(&format!("COPY {words}\n"));
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(dockerfile.len() as u64);
    let written = tar.append_data(&mut header, "Dockerfile", dockerfile.as_bytes());
    written.and_then(|()| tar.into_inner()).map_err(FileError::io("read", Path::new("Dockerfile")))
}

impl Entry {
    fn contents(&self) -> Result<Vec<u8>, FileError> {
        if let Some(link) = &self.link {
            return Ok(link.as_os_str().as_encoded_bytes().to_vec());
        }
        let size = std::fs::metadata(&self.place).map_err(FileError::io("read", &self.place))?.size();
        if size > CAP {
            return Err(FileError::TooLarge { path: self.place.clone(), cap: CAP });
        }
        std::fs::read(&self.place).map_err(FileError::io("read", &self.place))
    }
}

/// The fingerprint of a project's code: everything that git does not ignore, committed or not.
pub fn fingerprint(root: &Path) -> Result<Digest, FileError> {
    let mut hash = Sha256::new();
    let mut walk = WalkBuilder::new(root);
    walk.hidden(false).parents(false).ignore(false).git_global(false).require_git(false).follow_links(false);
    walk.sort_by_file_path(Path::cmp).filter_entry(|entry| entry.file_name() != ".git");
    for found in walk.build() {
        let found = found.map_err(|error| walk_error(root, error))?;
        let place = found.path();
        let path = place.strip_prefix(root).expect("a walk stays under its top");
        let contents = match found.file_type() {
            Some(kind) if kind.is_file() => std::fs::read(place).map_err(FileError::io("read", place))?,
            Some(kind) if kind.is_symlink() => {
                let link = std::fs::read_link(place).map_err(FileError::io("read", place))?;
                link.as_os_str().as_encoded_bytes().to_vec()
            }
            _ => continue,
        };
        let mode = found.metadata().map_or(0, |meta| meta.permissions().mode());
        for bytes in [path.as_os_str().as_encoded_bytes(), &[u8::from(mode & 0o100 != 0)], &contents] {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    }
    Ok(Digest::from_hash(&hash.finalize()))
}

/// The tar of a commit's files without what its own `.dockerignore` leaves out.
pub fn without_ignored(archive: &[u8]) -> Result<Vec<u8>, FileError> {
    let broken = || FileError::io("read", Path::new("the commit's archive"));
    let mut patterns = String::new();
    for entry in tar::Archive::new(archive).entries().map_err(broken())? {
        let mut entry = entry.map_err(broken())?;
        if entry.path().map_err(broken())? == Path::new(".dockerignore") {
            std::io::Read::read_to_string(&mut entry, &mut patterns).map_err(broken())?;
        }
    }
    let ignored = rooted_patterns(Path::new(".dockerignore"), &patterns)?;
    let mut kept = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(archive).entries().map_err(broken())? {
        let entry = entry.map_err(broken())?;
        let path = entry.path().map_err(broken())?.into_owned();
        let kind = entry.header().entry_type();
        // git's own header and directories, which the files bring with them.
        if kind.is_pax_global_extensions() || kind.is_dir() {
            continue;
        }
        if path != Path::new("Dockerfile") && ignored.matched_path_or_any_parents(&path, false).is_ignore() {
            continue;
        }
        let mut header = entry.header().clone();
        let added = match entry.link_name().map_err(broken())? {
            Some(link) if kind.is_symlink() => kept.append_link(&mut header, &path, &link),
            _ => kept.append_data(&mut header, &path, entry),
        };
        added.map_err(broken())?;
    }
    kept.into_inner().map_err(broken())
}

/// `.dockerignore` patterns are rooted where git's are not; otherwise the two say the same.
fn dockerignore(directory: &Path) -> Result<Gitignore, FileError> {
    let path = directory.join(".dockerignore");
    let text = match files::read_text(&path, crate::document::CAP) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => String::new(),
        Err(error) => return Err(error),
    };
    rooted_patterns(&path, &text)
}

fn rooted_patterns(path: &Path, text: &str) -> Result<Gitignore, FileError> {
    let mut builder = GitignoreBuilder::new("");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (not, pattern) = line.strip_prefix('!').map_or(("", line), |pattern| ("!", pattern));
        let rooted = format!("{not}/{}", pattern.trim_start_matches("./").trim_start_matches('/'));
        builder.add_line(None, &rooted).map_err(|error| walk_error(path, error))?;
    }
    builder.build().map_err(|error| walk_error(path, error))
}

fn walk_error(path: &Path, error: ignore::Error) -> FileError {
    let text = error.to_string();
    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other(text));
    FileError::Io { verb: "read", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            let place = dir.path().join(path);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, contents).unwrap();
        }
        dir
    }

    fn paths(context: &Context) -> Vec<&str> {
        context.entries.iter().map(|entry| entry.path.to_str().unwrap()).collect()
    }

    #[test]
    fn the_context_is_what_dockerignore_leaves() {
        let dir = tree(&[
            (".dockerignore", "# comment\ntests\n*.md\n!README.md\nDockerfile\n"),
            ("Dockerfile", ""),
            ("README.md", ""),
            ("NOTES.md", ""),
            ("src/NOTES.md", ""),
            ("tests/a.php", ""),
            (".git/config", ""),
            (".onramp/artifacts/unit/x", ""),
            ("out/unit/.onramp-artifacts", "x\n"),
            ("out/unit/x", ""),
        ]);
        let context = Context::read(dir.path()).unwrap();
        assert_eq!(paths(&context), [".dockerignore", "Dockerfile", "README.md", "src/NOTES.md"]);
    }

    #[test]
    fn a_context_changes_with_its_files_and_not_with_synced_ones() {
        let dir = tree(&[("Dockerfile", "FROM x"), ("src/index.php", "1")]);
        let digest = |except: &[PathBuf]| Context::read(dir.path()).unwrap().digest(except).unwrap();
        let (whole, part) = (digest(&[]), digest(&["src".into()]));
        std::fs::write(dir.path().join("src/index.php"), "2").unwrap();
        assert_ne!(digest(&[]), whole);
        assert_eq!(digest(&["src".into()]), part);
    }

    #[test]
    fn a_commits_archive_loses_what_its_dockerignore_names() {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, contents) in
            [(".dockerignore", "tests\n*.md\n"), ("Dockerfile", ""), ("src/a", "1"), ("tests/b", ""), ("x.md", "")]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            tar.append_data(&mut header, path, contents.as_bytes()).unwrap();
        }
        let kept = without_ignored(&tar.into_inner().unwrap()).unwrap();
        let mut archive = tar::Archive::new(kept.as_slice());
        let paths: Vec<PathBuf> = archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(paths, [".dockerignore", "Dockerfile", "src/a"].map(PathBuf::from));
    }

    #[test]
    fn equal_files_make_an_equal_tar() {
        let files = [("Dockerfile", "FROM x"), ("src/a", "1")];
        let tar = |dir: &tempfile::TempDir| Context::read(dir.path()).unwrap().tar().unwrap();
        assert_eq!(tar(&tree(&files)), tar(&tree(&files)));
    }

    #[test]
    fn the_fingerprint_leaves_out_what_git_ignores() {
        let dir = tree(&[(".gitignore", "*.log\n"), ("a", "1")]);
        let before = fingerprint(dir.path()).unwrap();
        std::fs::write(dir.path().join("x.log"), "noise").unwrap();
        assert_eq!(fingerprint(dir.path()).unwrap(), before);
        std::fs::write(dir.path().join("a"), "2").unwrap();
        assert_ne!(fingerprint(dir.path()).unwrap(), before);
    }
}
