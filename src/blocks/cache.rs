//! What was read of templates and what they rendered to, kept in the cache under what it is: so that an update has its
//! base when the tag is gone, the repository moved, or there is no network.
//!
//! One file a tree, named after its digest and checked against it whenever it is read; one file a directory of a commit
//! that was read, named after git's id of it, with the digest of its tree; one file a render, named after what went into it. A file is written aside and renamed, so that any number of processes may be at it. It is not
//! synced: one that a power cut tore is found out by its digest, and made again.

mod pack;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pack::{MAGIC, Pack};

use crate::files::FileError;
use crate::reference::Digest;
use crate::template::{self, Answers, Rendered, Template, Value};
use crate::tree::{Cap, Spool, Tree};

/// How much is kept before the least recently used goes, in bytes.
const ROOM: u64 = 2 * 1024 * 1024 * 1024;
/// What was used this lately is kept whatever room it takes.
const LATELY: Duration = Duration::from_hours(30 * 24);
/// What a process that died may have left half-written.
const ABANDONED: Duration = Duration::from_hours(24);
/// Changes whenever the same template and answers may render to something else, or the format of the files does.
const RENDER: &str = "onramp render 2";
/// Changes whenever what git has under one id may be read as another tree.
const READ: &str = "onramp read 1";
/// What is kept: trees, what was read of commits, and renders.
const KINDS: [&str; 3] = ["trees", "reads", "renders"];
/// How much is written at once, in bytes.
const BUFFER: usize = 256 * 1024;

/// The cache of trees and renders.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store in a cache directory.
    pub fn new(cache: &Path) -> Self {
        Self { root: cache.join("blocks") }
    }

    /// The tree of this digest, if it is kept.
    pub fn tree(&self, content: &Digest) -> Option<Tree> {
        let path = self.place("trees", content);
        let tree = Pack::open(&path).and_then(|mut pack| pack.tree()).filter(|tree| tree.digest() == *content);
        used(&path, tree.is_some());
        tree
    }

    /// Keeps a tree, and gives it back: a large one's contents are where it is kept from now on, and nowhere else.
    pub fn settled(&self, content: &Digest, mut tree: Tree) -> Result<Tree, FileError> {
        let kept = self.keep_tree(content, &tree)?;
        if !is_large(&tree) {
            return Ok(tree);
        }
        let Some(file) = kept else { return Ok(self.tree(content).unwrap_or(tree)) };
        pack::settle(&mut tree, &Arc::new(file), MAGIC.len() as u64);
        Ok(tree)
    }

    /// Keeps a tree. `content` is its digest. The file that it was written into; none where it seems to be kept already.
    pub fn keep_tree(&self, content: &Digest, tree: &Tree) -> Result<Option<File>, FileError> {
        let path = self.place("trees", content);
        // A whole one is as good as this one; a torn one has another length, or is found out when it is read.
        if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() == (MAGIC.len() + pack::encoded(tree)) as u64) {
            used(&path, true);
            return Ok(None);
        }
        let (file, ()) = self.write(&path, |out| {
            out.write_all(MAGIC)?;
            pack::encode(tree, out)
        })?;
        Ok(Some(file))
    }

    /// What was read of a commit under this id of git's before, within the same limits, and its digest.
    pub fn read_before(&self, id: &str, cap: Cap) -> Option<(Digest, Tree)> {
        let path = self.place("reads", &read_key(id, cap));
        let content = std::fs::read_to_string(&path).ok().and_then(|text| text.trim_end().parse::<Digest>().ok());
        used(&path, content.is_some());
        let content = content?;
        let tree = self.tree(&content)?;
        Some((content, tree))
    }

    /// Remembers which tree was read under an id of git's.
    pub fn keep_read(&self, id: &str, cap: Cap, content: &Digest) -> Result<(), FileError> {
        self.write(&self.place("reads", &read_key(id, cap)), |out| writeln!(out, "{content}")).map(drop)
    }

    /// Renders a template, once for each version, answers and facts: the second time it is what the first made. `content` is
    /// the digest of its source. What is made with secrets is not kept.
    pub fn rendered(
        &self,
        template: &Template,
        content: &Digest,
        answers: &Answers,
        facts: &serde_json::Map<String, Value>,
    ) -> Result<Rendered, template::Error> {
        if template.questions.iter().any(|question| question.secret) {
            return template::render(template, answers, facts);
        }
        let key = render_key(content, &answers.all(), facts);
        if let Some(rendered) = self.render(&key) {
            return Ok(rendered);
        }
        let mut rendered = template::render(template, answers, facts)?;
        // A cache that cannot be written to is no reason to fail.
        if let Ok((file, at)) = self.keep_render(&key, &rendered)
            && is_large(&rendered.tree)
        {
            pack::settle(&mut rendered.tree, &Arc::new(file), at);
        }
        Ok(rendered)
    }

    /// What was kept under this key.
    fn render(&self, key: &Digest) -> Option<Rendered> {
        let path = self.place("renders", key);
        let rendered = Pack::open(&path).and_then(|mut pack| pack.render());
        used(&path, rendered.is_some());
        rendered
    }

    /// Keeps a render: the file that it was written into, and where in it the tree begins.
    fn keep_render(&self, key: &Digest, rendered: &Rendered) -> Result<(File, u64), FileError> {
        self.write(&self.place("renders", key), |out| {
            out.write_all(MAGIC)?;
            pack::encode_render(rendered, out)
        })
    }

    fn place(&self, kind: &str, digest: &Digest) -> PathBuf {
        self.root.join(kind).join(format!("{}.pack", digest.hex()))
    }

    /// Writes a file aside, and puts it there; with it what the one who wrote its contents says.
    fn write<T>(
        &self,
        path: &Path,
        contents: impl FnOnce(&mut BufWriter<&File>) -> io::Result<T>,
    ) -> Result<(File, T), FileError> {
        let directory = path.parent().expect("a file of the store lies in it");
        std::fs::create_dir_all(directory).map_err(FileError::io("create", directory))?;
        let write = || {
            let file = tempfile::Builder::new().prefix(".onramp-").tempfile_in(directory)?;
            let mut out = BufWriter::with_capacity(BUFFER, file.as_file());
            let said = contents(&mut out)?;
            out.flush()?;
            drop(out);
            io::Result::Ok((file.persist(path)?, said))
        };
        let written = write().map_err(FileError::io("write", path))?;
        self.evict(ROOM, SystemTime::now());
        Ok(written)
    }

    /// Makes room: what was used least lately goes first. What cannot be looked at or removed stays.
    fn evict(&self, room: u64, now: SystemTime) {
        let mut kept = Vec::new();
        for kind in KINDS {
            for found in std::fs::read_dir(self.root.join(kind)).into_iter().flatten().flatten() {
                let Ok(metadata) = found.metadata() else { continue };
                let age = metadata.modified().ok().and_then(|then| now.duration_since(then).ok()).unwrap_or_default();
                let half_written = found.file_name().as_encoded_bytes().starts_with(b".onramp-");
                if half_written && age > ABANDONED {
                    let _ = std::fs::remove_file(found.path());
                } else if !half_written {
                    kept.push((age, metadata.len(), found.path()));
                }
            }
        }
        let mut total: u64 = kept.iter().map(|(_, size, _)| size).sum();
        kept.sort();
        for (age, size, path) in kept.into_iter().rev() {
            if total <= room || age <= LATELY {
                break;
            }
            if std::fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
    }
}

/// Whether memory should not hold it.
fn is_large(tree: &Tree) -> bool {
    pack::encoded(tree) > Spool::ROOM
}

/// What names what was read of a commit.
fn read_key(id: &str, cap: Cap) -> Digest {
    let parts = serde_json::json!([READ, env!("CARGO_PKG_VERSION"), id, cap.files, cap.bytes]);
    Digest::of(parts.to_string().as_bytes())
}

/// What names a render: everything that went into it.
fn render_key(
    content: &Digest,
    answers: &serde_json::Map<String, Value>,
    facts: &serde_json::Map<String, Value>,
) -> Digest {
    let parts = serde_json::json!([RENDER, env!("CARGO_PKG_VERSION"), content, answers, facts]);
    Digest::of(parts.to_string().as_bytes())
}

/// Marks a file as used now, or removes one that is not what it should be.
fn used(path: &Path, whole: bool) {
    if whole {
        let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    } else {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::template::Question;
    use crate::template::question::{Choices, Kind, When};
    use crate::template::render::Origin;
    use crate::tree::{Entry, TreePath};

    fn sample() -> Tree {
        let path = |text: &str| text.parse::<TreePath>().unwrap();
        [
            (path("a/b"), Entry::File { contents: vec![0, 159].into(), executable: true }),
            (path("c"), Entry::Link { target: "a/b".to_owned() }),
            (path("d"), Entry::file("text")),
        ]
        .into_iter()
        .collect()
    }

    fn rendered() -> Rendered {
        let path = |text: &str| text.parse::<TreePath>().unwrap();
        let yielded = serde_json::json!({ "item": 1 }).as_object().unwrap().clone();
        let origin = Origin { source: path("x.jinja"), rendered: true, yielded: Some(Box::new(yielded)) };
        Rendered { tree: sample(), origins: BTreeMap::from([(path("d"), origin)]), once: BTreeSet::from([path("c")]) }
    }

    #[test]
    fn a_kept_tree_and_render_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let tree = sample();
        let digest = tree.digest();
        assert_eq!(store.tree(&digest), None);
        store.keep_tree(&digest, &tree).unwrap();
        assert_eq!(store.tree(&digest), Some(tree));

        let empty = serde_json::Map::new();
        let answers = serde_json::json!({ "a": 1 }).as_object().unwrap().clone();
        let key = render_key(&digest, &answers, &empty);
        assert_ne!(key, render_key(&digest, &empty, &answers));
        assert!(store.render(&key).is_none());
        store.keep_render(&key, &rendered()).unwrap();
        let (back, made) = (store.render(&key).unwrap(), rendered());
        assert_eq!((back.tree, back.origins, back.once), (made.tree, made.origins, made.once));
    }

    fn secret() -> Question {
        Question {
            id: "password".to_owned().try_into().unwrap(),
            kind: Kind::Str,
            kind_template: None,
            help: String::new(),
            default: None,
            placeholder: String::new(),
            choices: Choices::Any,
            multiselect: false,
            multiline: When::Fixed(false),
            secret: true,
            ask: When::Fixed(true),
            when: When::Fixed(true),
            validator: None,
            place: String::new(),
        }
    }

    #[test]
    fn a_render_is_made_once_and_never_kept_with_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let source = |text: &str| -> Tree {
            [("a.txt.jinja".parse().unwrap(), Entry::file(text.to_owned()))].into_iter().collect()
        };
        let mut template = Template {
            dialect: template::Dialect::Copier,
            label: "tpl".to_owned(),
            source: source("hello {{ name }}"),
            questions: Vec::new(),
            rules: template::Rules::default(),
            actions: template::Actions::default(),
        };
        let content = template.source.digest();
        let answers = |name: &str| {
            let kept = serde_json::json!({ "name": name }).as_object().unwrap().clone();
            Answers { kept, ..Answers::default() }
        };
        let facts = serde_json::Map::new();
        let text = |template: &Template, name: &str| {
            let rendered = store.rendered(template, &content, &answers(name), &facts).unwrap();
            rendered.tree.get("a.txt").and_then(Entry::text).map(String::from)
        };
        assert_eq!(text(&template, "Ada").as_deref(), Some("hello Ada"));
        // The source is not looked at again: its digest says that it is the same.
        template.source = source("other");
        assert_eq!(text(&template, "Ada").as_deref(), Some("hello Ada"));
        assert_eq!(text(&template, "Bob").as_deref(), Some("other"));
        let kept = || std::fs::read_dir(store.root.join("renders")).unwrap().count();
        assert_eq!(kept(), 2);
        template.questions.push(secret());
        assert_eq!(text(&template, "Eve").as_deref(), Some("other"));
        assert_eq!(kept(), 2);
    }

    #[test]
    fn a_file_that_is_not_what_it_should_be_is_never_believed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let tree = sample();
        let digest = tree.digest();
        let key = Digest::of(b"key");
        let (tree_file, render_file) = (store.place("trees", &digest), store.place("renders", &key));
        store.keep_tree(&digest, &tree).unwrap();
        store.keep_render(&key, &rendered()).unwrap();
        let (good_tree, good_render) = (std::fs::read(&tree_file).unwrap(), std::fs::read(&render_file).unwrap());
        for (file, good) in [(&tree_file, good_tree), (&render_file, good_render)] {
            let believed = |bytes: &[u8]| {
                std::fs::write(file, bytes).unwrap();
                store.tree(&digest).is_some_and(|found| found != tree)
                    || (file == &render_file && store.render(&key).is_some())
            };
            for end in 0..good.len() {
                assert!(!believed(&good[..end]), "cut at {end}");
                assert!(file == &render_file || store.tree(&digest).is_none(), "cut at {end}");
            }
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x11;
                assert!(!believed(&bad), "changed at {at}");
            }
            let longer = [&good[..], b"x"].concat();
            assert!(!believed(&longer));
        }
        // What was torn is written again, though something stands there.
        std::fs::write(&tree_file, "torn").unwrap();
        store.keep_tree(&digest, &tree).unwrap();
        assert_eq!(store.tree(&digest), Some(tree));
    }

    #[test]
    fn what_was_used_lately_stays_and_the_oldest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let now = SystemTime::now();
        let keep = |name: &str, days: u64| {
            let tree: Tree = [(name.parse().unwrap(), Entry::file("x".repeat(1000)))].into_iter().collect();
            let digest = tree.digest();
            store.keep_tree(&digest, &tree).unwrap();
            let file = File::open(store.place("trees", &digest)).unwrap();
            file.set_modified(now - Duration::from_hours(days * 24)).unwrap();
            digest
        };
        let (oldest, old, lately) = (keep("a", 90), keep("b", 60), keep("c", 29));
        let left = store.root.join("trees/.onramp-left");
        std::fs::write(&left, "half").unwrap();
        File::open(&left).unwrap().set_modified(now - Duration::from_hours(48)).unwrap();
        let there = |digest: &Digest| store.place("trees", digest).exists();
        store.evict(2500, now);
        assert_eq!([there(&oldest), there(&old), there(&lately), left.exists()], [false, true, true, false]);
        store.evict(0, now);
        assert_eq!([there(&old), there(&lately)], [false, true], "used within 30 days");
        // Reading is using.
        let again = keep("d", 90);
        store.tree(&again).unwrap();
        store.evict(0, SystemTime::now());
        assert!(there(&again));
    }
}
