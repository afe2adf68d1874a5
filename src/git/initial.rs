//! A directory becomes a repository, with a first commit that holds all of it.

use std::io::{BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use git2::{
    Index, IndexAddOption, IndexEntry, IndexTime, Mempack, ObjectType, Odb, Oid, Repository, RepositoryInitOptions,
    Signature, TreeWalkMode, TreeWalkResult,
};
use ignore::WalkBuilder;

use super::{Commit, Error, Identity};
use crate::task;

/// The priority of what is asked for objects before all else.
const FIRST: i32 = 999;

/// Makes a directory a repository whose first commit holds what `git add --all` would take. Its objects are a pack from
/// the beginning, of a large project a few: a file each would cost more than everything else together.
pub fn initialise(directory: &Path, message: &str, author: &Identity) -> Result<Commit, Error> {
    let library = |source| Error::Library { path: directory.to_owned(), cause: source };
    let branch = git2::Config::open_default().ok().and_then(|c| c.get_string("init.defaultBranch").ok());
    let mut options = RepositoryInitOptions::new();
    options.initial_head(branch.as_deref().unwrap_or("main")).no_reinit(true);
    let repository = Repository::init_opts(directory, &options).map_err(library)?;
    let commit = in_memory(repository.path(), |packs| {
        let mut index = match plain(&repository, directory) {
            Some(files) => {
                // One that belongs to no repository, which would be asked for each object.
                let mut index = Index::open(&repository.path().join("index"))?;
                fill(&mut index, packs, directory, &files)?;
                index
            }
            None => added(&repository, packs)?,
        };
        if packs.begun {
            packs.close()?;
            // Trees are made only of what can be found.
            let closed = packs.home.join("objects");
            let closed = closed.to_str().ok_or_else(|| git2::Error::from_str("its path is not UTF-8"))?;
            packs.odb.add_disk_alternate(closed)?;
        }
        let tree = packs.objects.find_tree(index.write_tree_to(packs.objects)?)?;
        index.write()?;
        let signature = Signature::now(&author.name, &author.email)?;
        let commit = packs.objects.commit(None, &signature, &signature, message, &tree, &[])?;
        packs.take_trees(&tree)?;
        packs.take(commit, "");
        packs.close()?;
        // HEAD leads to a branch that is not there yet.
        let head = repository.find_reference("HEAD")?;
        let branch = head.symbolic_target()?.unwrap_or("refs/heads/main").to_owned();
        repository.reference(&branch, commit, false, "commit (initial)")?;
        Ok(commit)
    });
    commit.map(Commit::from).map_err(library)
}

/// How many bytes of contents are in memory before they are written as a pack of their own.
const PACK: usize = 6 * 1024 * 1024;

/// How many bytes of a pack are written at once.
const PIECE: usize = 256 * 1024;

/// Objects that become packs of a repository.
struct Packs<'a> {
    /// The repository's own directory.
    home: &'a Path,
    /// Where they are until then.
    objects: &'a Repository,
    odb: &'a Odb<'a>,
    memory: Mempack<'a>,
    /// What goes into the next pack, with the name that tells what resembles it.
    taken: Vec<(Oid, String)>,
    bytes: usize,
    /// Whether there is a pack already.
    begun: bool,
}

/// Lets somebody make packs of the repository in this directory, out of objects that only memory holds.
fn in_memory<T>(home: &Path, make: impl FnOnce(&mut Packs<'_>) -> Result<T, git2::Error>) -> Result<T, git2::Error> {
    let objects = Repository::from_odb(Odb::new()?)?;
    let odb = objects.odb()?;
    let memory = odb.add_new_mempack_backend(FIRST)?;
    make(&mut Packs { home, objects: &objects, odb: &odb, memory, taken: Vec::new(), bytes: 0, begun: false })
}

impl Packs<'_> {
    /// Keeps contents.
    fn blob(&mut self, name: &[u8], contents: &[u8]) -> Result<Oid, git2::Error> {
        let id = self.odb.write(ObjectType::Blob, contents)?;
        self.take(id, &String::from_utf8_lossy(name));
        self.bytes += contents.len();
        if self.bytes >= PACK {
            self.close()?;
        }
        Ok(id)
    }

    fn take(&mut self, id: Oid, name: &str) {
        self.taken.push((id, name.replace('\0', "")));
    }

    /// A tree with all below it.
    fn take_trees(&mut self, tree: &git2::Tree<'_>) -> Result<(), git2::Error> {
        self.take(tree.id(), "");
        tree.walk(TreeWalkMode::PreOrder, |_, entry| {
            if entry.kind() == Some(ObjectType::Tree) {
                self.take(entry.id(), "");
            }
            TreeWalkResult::Ok
        })
    }

    /// Writes what is in memory as a pack, with its index, and forgets it.
    fn close(&mut self) -> Result<(), git2::Error> {
        let taken = std::mem::take(&mut self.taken);
        self.bytes = 0;
        if taken.is_empty() {
            return Ok(());
        }
        self.begun = true;
        let mut pack = self.objects.packbuilder()?;
        for (id, name) in taken {
            pack.insert_object(id, Some(&name))?;
        }
        // Git's packs cannot be written to.
        let indexer = git2::Indexer::new(None, &self.home.join("objects/pack"), 0o444, false)?;
        // It maps its file anew for every piece that it is given, and there are two an object.
        let mut indexer = BufWriter::with_capacity(PIECE, indexer);
        let mut failed = None;
        let written = pack.foreach(|piece| indexer.write_all(piece).map_err(|error| failed = Some(error)).is_ok());
        match failed {
            Some(error) => return Err(git2::Error::from_str(&error.to_string())),
            None => written?,
        }
        let indexer = indexer.into_inner().map_err(|error| git2::Error::from_str(&error.to_string()))?;
        indexer.commit()?;
        drop(pack);
        self.memory.reset()
    }
}

/// Keeps the contents of files, of many on several threads, and adds their lines to the index.
fn fill(index: &mut Index, packs: &mut Packs<'_>, directory: &Path, files: &[PathBuf]) -> Result<(), git2::Error> {
    let threads = task::threads(files.len());
    if threads == 1 {
        return files.iter().try_for_each(|name| index.add(&entry(packs, directory, name)?));
    }
    packs.begun = true;
    let home = packs.home;
    let share = |files: &[PathBuf], lines: mpsc::Sender<IndexEntry>| {
        in_memory(home, |packs| {
            for name in files {
                let line = entry(packs, directory, name)?;
                lines.send(line).map_err(|_| git2::Error::from_str("nobody takes its line of the index"))?;
            }
            // The index is whole before the last pack is.
            drop(lines);
            packs.close()
        })
    };
    // The first share is this thread's own, and goes straight into the index; it has memory already that is free again.
    let (first, others) = files.split_at(files.len().div_ceil(threads));
    std::thread::scope(|scope| {
        let mut shares = Vec::new();
        for files in others.chunks(first.len()) {
            let (sender, lines) = mpsc::channel();
            shares.push((scope.spawn(move || share(files, sender)), lines));
        }
        first.iter().try_for_each(|name| index.add(&entry(packs, directory, name)?))?;
        for (share, lines) in shares {
            // In order: a line in the middle of a long index is slow to add.
            lines.iter().try_for_each(|line| index.add(&line))?;
            share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(())
    })
}

/// The files and links that git takes as they are, sorted by their names. None where something changes what is taken, which
/// only git's library knows: attributes, line endings by the user's settings, a repository in the repository.
fn plain(repository: &Repository, directory: &Path) -> Option<Vec<PathBuf>> {
    let config = repository.config().ok()?;
    let changes_contents = config.get_string("core.autocrlf").is_ok_and(|set| set != "false")
        || attributes(&config).any(|path| path.exists())
        || !config.get_bool("core.fileMode").unwrap_or(true);
    if changes_contents {
        return None;
    }
    let mut walk = WalkBuilder::new(directory);
    walk.standard_filters(false).git_ignore(true).git_exclude(true).git_global(true).require_git(false);
    let own = directory.join(".git");
    let top = own.clone();
    let walk = walk.filter_entry(move |entry| entry.path() != top).build();
    let mut files = Vec::new();
    for found in walk {
        let found = found.ok()?;
        let name = found.file_name();
        if name == ".gitattributes" || (name == ".git" && found.path() != own) {
            return None;
        }
        let kind = found.file_type()?;
        if kind.is_file() || kind.is_symlink() {
            files.push(found.path().strip_prefix(directory).ok()?.to_owned());
        }
    }
    files.sort_unstable_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    Some(files)
}

/// Where the user's and the system's attributes may stand (gitattributes(5)).
fn attributes(config: &git2::Config) -> impl Iterator<Item = PathBuf> {
    let home = |below: &str| std::env::var_os("HOME").map(|home| Path::new(&home).join(below));
    let set = std::env::var_os("XDG_CONFIG_HOME").filter(|directory| !directory.is_empty());
    let of_user = set.map(|directory| Path::new(&directory).join("git/attributes"));
    let of_user = config.get_path("core.attributesFile").ok().or(of_user).or_else(|| home(".config/git/attributes"));
    of_user.into_iter().chain([PathBuf::from("/etc/gitattributes")])
}

/// Keeps a file's contents, and makes its line of the index.
fn entry(packs: &mut Packs<'_>, directory: &Path, name: &Path) -> Result<IndexEntry, git2::Error> {
    let path = directory.join(name);
    let name = name.as_os_str().as_encoded_bytes().to_vec();
    let failed = |error: std::io::Error| git2::Error::from_str(&format!("{}: {error}", path.display()));
    let about = path.symlink_metadata().map_err(failed)?;
    let contents = if about.is_symlink() {
        path.read_link().map_err(failed)?.into_os_string().into_encoded_bytes()
    } else {
        std::fs::read(&path).map_err(failed)?
    };
    let mode = match (about.is_symlink(), about.permissions().mode() & 0o100 != 0) {
        (true, _) => 0o120_000,
        (false, true) => 0o100_755,
        (false, false) => 0o100_644,
    };
    // The index keeps the lower 32 bits of each: only whether they change matters.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as git does")]
    Ok(IndexEntry {
        ctime: IndexTime::new(about.ctime() as i32, about.ctime_nsec() as u32),
        mtime: IndexTime::new(about.mtime() as i32, about.mtime_nsec() as u32),
        dev: about.dev() as u32,
        ino: about.ino() as u32,
        mode,
        uid: about.uid(),
        gid: about.gid(),
        file_size: about.size() as u32,
        id: packs.blob(&name, &contents)?,
        flags: 0,
        flags_extended: 0,
        path: name,
    })
}

/// The same by git's library, with all that changes contents on their way.
fn added(repository: &Repository, packs: &mut Packs<'_>) -> Result<Index, git2::Error> {
    let mut index = repository.index()?;
    index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
    let odb = repository.odb()?;
    for entry in index.iter().filter(|entry| entry.mode != 0o160_000) {
        packs.blob(&entry.path, odb.read(entry.id)?.data())?;
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn git(directory: &Path, arguments: &[&str]) -> String {
        let out = Command::new("git").args(arguments).current_dir(directory).output().unwrap();
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// A directory with these files; a name that ends in `*` can be run, contents that begin with `->` are a link.
    fn made(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            let path = dir.path().join(name.trim_end_matches('*'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match contents.strip_prefix("->") {
                Some(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
                None => std::fs::write(&path, contents).unwrap(),
            }
            if name.ends_with('*') {
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
            }
        }
        dir
    }

    fn same_as_git(files: &[(&str, &str)]) {
        let author = Identity { name: "Ada".to_owned(), email: "ada@acme.test".to_owned() };
        let (ours, theirs) = (made(files), made(files));
        initialise(ours.path(), "First\n", &author).unwrap();
        git(theirs.path(), &["init", "--quiet"]);
        git(theirs.path(), &["add", "--all"]);
        let expected = git(theirs.path(), &["write-tree"]);
        assert_eq!(git(ours.path(), &["rev-parse", "HEAD^{tree}"]), expected, "{files:?}");
        assert_eq!(git(ours.path(), &["status", "--porcelain"]), "", "{files:?}");
        assert_eq!(git(ours.path(), &["fsck", "--strict"]), "");
    }

    #[test]
    fn the_first_commit_is_what_git_would_add() {
        same_as_git(&[]);
        same_as_git(&[
            ("a", "1"),
            ("b/c", ""),
            ("b.d", "x"),
            ("b-e/f*", "y"),
            ("link", "->b/c"),
            ("dead", "->nowhere"),
        ]);
        let ignores = [
            (".gitignore", "*.log\n!keep.log\n/build/\ndeep/**/x\n"),
            ("a.log", "1"),
            ("keep.log", "2"),
            ("build/out", "3"),
            ("sub/build/in", "4"),
            ("deep/er/x", "5"),
            ("deep/er/y", "6"),
            ("sub/.gitignore", "secret\n"),
            ("sub/secret", "7"),
            (".ignore", "a\n"),
            ("a", "8"),
            (".hidden/file", "9"),
        ];
        same_as_git(&ignores);
        same_as_git(&[(".gitattributes", "*.txt text eol=lf\n"), ("a.txt", "1\r\n2\r\n"), ("b.bin", "1\r\n")]);
    }

    #[test]
    fn more_than_memory_should_hold_becomes_several_packs() {
        let large = |seed: usize| (0..PACK / 16).map(|n| format!("{:15}\n", n * seed)).collect::<String>();
        let (one, other) = (large(1), large(7));
        same_as_git(&[("a", &one), ("b/c", "small"), ("d", &other), ("e", "small"), ("f/a", &one)]);
    }

    #[test]
    fn many_files_are_shared_between_threads() {
        let names: Vec<(String, String)> =
            (0..1507).map(|n| (format!("{}/{n}{}", n % 9, ["", "*"][n % 2]), format!("{n}\n"))).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        same_as_git(&files);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(12))]

        #[test]
        fn any_tree_is_what_git_would_add(
            names in proptest::collection::btree_set("[a-c]{1,2}(\\.o|-x|/[a-c]{1,2}){0,2}\\*?", 0..12),
            ignored in "([a-c]{1,2}/?\n|\\*\\.o\n|!a\n|/b\n){0,4}",
        ) {
            let mut files: Vec<(&str, &str)> = vec![(".gitignore", &ignored)];
            for name in &names {
                let bare = name.trim_end_matches('*');
                let clash = files.iter().any(|(other, _)| {
                    let other = other.trim_end_matches('*');
                    other == bare || other.starts_with(&format!("{bare}/")) || bare.starts_with(&format!("{other}/"))
                });
                if !clash {
                    files.push((name, bare));
                }
            }
            same_as_git(&files);
        }
    }
}
