//! A part added to a project: its files, its tables in `onramp.toml`, its line in `onramp.lock`.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, Value};

use super::block::{Block, BlockId};
use super::manifest::Kind;
use super::questions::Answers;
use super::render::{NewFile, Renderer};
use super::staging::{create_missing, remove_empty};
use super::{Error, scaffold};
use crate::document;
use crate::files::{self, FileError};
use crate::project::{Lock, lock, manifest};

/// What adding a part changes. Nothing is changed yet.
#[derive(Clone, Debug)]
pub struct Addition {
    /// The part.
    pub block: BlockId,
    /// The answers it is added with.
    pub answers: Answers,
    /// The services that it adds.
    pub services: Vec<String>,
    /// The files that it adds.
    pub files: Vec<NewFile>,
    /// The new text of `onramp.toml`.
    pub manifest: String,
    /// The text that it replaces.
    before: String,
    /// The new `onramp.lock`.
    pub lock: Lock,
}

impl Addition {
    /// Renders a part into a plan for a project with this `onramp.toml` and this lock. Nothing is read or written.
    pub fn plan(
        block: &Block,
        before: &str,
        mut lock: Lock,
        answers: Answers,
        renderer: &Renderer,
    ) -> Result<Self, Error> {
        if block.manifest.kind != Kind::Part {
            return Err(Error::OtherKind { name: block.id.name.clone(), kind: block.manifest.kind });
        }
        manifest::parse(Path::new(manifest::FILE), before)?;
        let files = renderer.files(block)?;
        let mut document = edit(before, manifest::FILE)?;
        if has(&document, "blocks", block.id.name.as_str()) {
            return Err(Error::Taken { table: format!("blocks.{}", block.id.name) });
        }
        record(&mut document, &block.id, &answers);
        let mut services = Vec::new();
        for (name, table) in services_of(block, renderer)? {
            if has(&document, "services", &name) {
                return Err(Error::Taken { table: format!("services.{name}") });
            }
            insert(&mut document, "services", &name, table);
            services.push(name);
        }
        let manifest = document.to_string();
        scaffold::parse(block, &manifest)?;
        lock.blocks.insert(block.id.name.clone(), block.locked());
        Ok(Self { block: block.id.clone(), answers, services, files, manifest, before: before.to_owned(), lock })
    }

    /// Whether its files can be added: none is there with other contents, and no symbolic link leads them elsewhere. One
    /// that is there as it would be written is what an addition that was killed has left.
    pub fn check(&self, root: &Path) -> Result<(), Error> {
        let mut paths = Vec::new();
        for file in &self.files {
            let path = root.join(&file.path);
            let reserved = [manifest::FILE, lock::FILE].contains(&file.path.as_str());
            if reserved || (path.symlink_metadata().is_ok() && !is_there(&path, file)) {
                paths.push(file.path.clone());
                continue;
            }
            let parent = Path::new(&file.path).parent().unwrap_or(Path::new(""));
            let Some(nearest) = parent.ancestors().find(|dir| root.join(dir).symlink_metadata().is_ok()) else {
                continue;
            };
            if !nearest.as_os_str().is_empty() && !files::confined(root, nearest)?.is_dir() {
                paths.push(nearest.display().to_string());
            }
        }
        paths.dedup();
        if paths.is_empty() { Ok(()) } else { Err(Error::Present { paths }) }
    }

    /// Changes the project: new files first, then `onramp.lock`, and `onramp.toml` last, since by it the part is there.
    /// On an error all is as before; killed in between, the same addition works again.
    pub fn apply(&self, root: &Path) -> Result<(), Error> {
        self.check(root)?;
        let path = root.join(manifest::FILE);
        if files::read_text(&path, document::CAP)? != self.before {
            return Err(Error::Occupied { target: path, what: "was changed meanwhile" });
        }
        let mut written = Written::default();
        for file in &self.files {
            let target = root.join(&file.path);
            if !is_there(&target, file) {
                written.directories.extend(create_missing(target.parent().unwrap_or(root))?);
                write_whole(&target, file)?;
                written.files.push(target);
            }
        }
        let lock = Lock::load(root)?;
        self.lock.save(root)?;
        if let Err(error) = files::write(&path, self.manifest.as_bytes()) {
            // The first error is the one to tell.
            let _ = lock.save(root);
            return Err(error.into());
        }
        written.keep();
        Ok(())
    }
}

/// Whether a file is there as it would be written.
fn is_there(path: &Path, file: &NewFile) -> bool {
    let same_size = path.symlink_metadata().is_ok_and(|m| m.is_file() && m.len() == file.contents.len() as u64);
    same_size && std::fs::read(path).is_ok_and(|contents| contents == file.contents)
}

/// Writes a file that must not be there, all at once.
fn write_whole(path: &Path, file: &NewFile) -> Result<(), FileError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mode = if file.executable { 0o777 } else { 0o666 };
    let write = || -> std::io::Result<()> {
        // Of this mode the process's umask takes its part.
        let mut builder = tempfile::Builder::new();
        let mut whole = builder.prefix(".onramp-").permissions(Permissions::from_mode(mode)).tempfile_in(directory)?;
        whole.write_all(&file.contents)?;
        whole.as_file().sync_all()?;
        whole.persist_noclobber(path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(FileError::io("write", path))
}

/// Files and directories that go again, unless they are kept.
#[derive(Default)]
struct Written {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl Written {
    fn keep(mut self) {
        self.files.clear();
        self.directories.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        remove_empty(&self.directories);
    }
}

/// Adds `[blocks.<name>]`: the version that later ones must be compatible with, and the answers.
pub(super) fn record(document: &mut DocumentMut, block: &BlockId, answers: &Answers) {
    let mut table = Table::new();
    table.insert("version", Value::from(format!("{}.{}", block.version.major, block.version.minor)).into());
    if !block.version.pre.is_empty() {
        // A requirement without the pre-release would not match it.
        table.insert("version", Value::from(block.version.to_string()).into());
    }
    if !answers.asked.is_empty() {
        let given = answers.asked.iter().map(|(id, answer)| (id.as_str(), Value::from(answer)));
        table.insert("answers", Value::InlineTable(given.collect()).into());
    }
    insert(document, "blocks", block.name.as_str(), table);
}

fn has(document: &DocumentMut, parent: &str, name: &str) -> bool {
    document.get(parent).and_then(Item::as_table_like).is_some_and(|table| table.contains_key(name))
}

/// Puts a table after its siblings, whichever way the author wrote them.
fn insert(document: &mut DocumentMut, parent: &str, name: &str, table: Table) {
    let mut implicit = Table::new();
    implicit.set_implicit(true);
    let parent = document.entry(parent).or_insert(Item::Table(implicit));
    match parent.as_table_like_mut() {
        Some(siblings) => {
            siblings.insert(name, Item::Table(table));
        }
        None => unreachable!("the project was parsed, so {name}'s parent is a table"),
    }
}

/// The part's `[services.*]`, their texts rendered, the author's comments and order kept.
fn services_of(block: &Block, renderer: &Renderer) -> Result<Vec<(String, Table)>, Error> {
    let mut document = edit(&block.manifest_text, super::manifest::FILE)?;
    let Some(services) = document.get_mut("services").and_then(Item::as_table_like_mut) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (name, item) in services.iter_mut() {
        let name = name.get().to_owned();
        let mut table = std::mem::take(item).into_table().unwrap_or_default();
        render_table(&mut table, &format!("services.{name}"), renderer)?;
        found.push((name, table));
    }
    Ok(found)
}

fn render_table(table: &mut Table, key: &str, renderer: &Renderer) -> Result<(), Error> {
    // Its place in block.toml means nothing in onramp.toml.
    table.set_position(None);
    for (name, item) in table.iter_mut() {
        let key = format!("{key}.{}", name.get());
        match item {
            Item::Value(value) => render_value(value, &key, renderer)?,
            Item::Table(table) => render_table(table, &key, renderer)?,
            Item::ArrayOfTables(tables) => {
                for table in tables.iter_mut() {
                    render_table(table, &key, renderer)?;
                }
            }
            Item::None => {}
        }
    }
    Ok(())
}

fn render_value(value: &mut Value, key: &str, renderer: &Renderer) -> Result<(), Error> {
    match value {
        Value::String(text) => {
            let decor = text.decor().clone();
            *value = renderer.value(key, text.value())?.into();
            *value.decor_mut() = decor;
        }
        Value::Array(values) => {
            for value in values.iter_mut() {
                render_value(value, key, renderer)?;
            }
        }
        Value::InlineTable(table) => {
            for (name, value) in table.iter_mut() {
                render_value(value, &format!("{key}.{}", name.get()), renderer)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The text was parsed before, so it can be edited; if the two parsers ever differ, the file is named.
fn edit(text: &str, file: &str) -> Result<DocumentMut, Error> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let message = crate::text::neutral_line(error.message(), 300);
        document::wrong_at(Path::new(file), text, "", message).into()
    })
}
