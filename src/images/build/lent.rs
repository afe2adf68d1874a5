//! A name in the engine, lent for a push: the engine pushes what has the registry's name, which may be somebody's here.
//! It is given back when the push is done or has failed; after one that was interrupted or killed, with the next one.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::engine::Engine;
use crate::files::FileError;
use crate::reference::{Digest, ImageRef};
use crate::task::blocking;
use crate::turn::Lock;

/// The largest record that is read, in bytes.
const CAP: u64 = 64 * 1024;

/// What is to be put right.
#[derive(Serialize, Deserialize)]
struct Record {
    /// The engine.
    host: String,
    name: ImageRef,
    /// What had the name before, by id.
    before: Option<String>,
    /// What it is lent to, by id.
    to: String,
}

/// A name that is lent. Its record has the kernel's lock meanwhile.
pub struct Lent<'a> {
    engine: &'a Engine,
    lock: Lock,
    record: Record,
}

impl<'a> Lent<'a> {
    /// Gives an image of the engine, by id, this name and tag; recorded before it has it.
    pub async fn to(engine: &'a Engine, state: &Path, name: &ImageRef, to: String) -> Result<Self, Error> {
        let key = Digest::of(format!("{} {name}", engine.host()).as_bytes());
        let path = directory(state).join(&key.hex()[..32]);
        let place = path.clone();
        let lock = blocking(move || open(&place)).await?;
        if let Some(left) = read(&lock) {
            give_back(engine, &left).await?;
        }
        let before = engine.image(&name.to_string()).await?.map(|facts| facts.id);
        let record = Record { host: engine.host().to_owned(), name: name.clone(), before, to };
        let text = serde_json::to_string(&record).expect("a record is plain data");
        write(&lock, &text).map_err(FileError::io("write", &path))?;
        engine.tag(&record.to, &name.repository(), name.tag().unwrap_or_default()).await?;
        Ok(Self { engine, lock, record })
    }

    /// Gives the name back.
    pub async fn back(self) -> Result<(), Error> {
        give_back(self.engine, &self.record).await?;
        let _ = write(&self.lock, "");
        Ok(())
    }
}

/// Gives back the names that pushes which did not end left lent in this engine.
pub async fn clear_left(engine: &Engine, state: &Path) -> Result<(), Error> {
    let Ok(entries) = std::fs::read_dir(directory(state)) else { return Ok(()) };
    for entry in entries.flatten() {
        let Ok(file) = File::options().read(true).write(true).open(entry.path()) else { continue };
        // The push that it belongs to is at work.
        let Ok(lock) = Lock::take(file) else { continue };
        if let Some(left) = read(&lock).filter(|left| left.host == engine.host()) {
            give_back(engine, &left).await?;
            let _ = write(&lock, "");
        }
    }
    Ok(())
}

/// A name that somebody gave to something else meanwhile is theirs.
async fn give_back(engine: &Engine, record: &Record) -> Result<(), Error> {
    let name = record.name.to_string();
    if engine.image(&name).await?.is_none_or(|facts| facts.id != record.to) {
        return Ok(());
    }
    match &record.before {
        Some(before) if engine.image(before).await?.is_some() => {
            engine.tag(before, &record.name.repository(), record.name.tag().unwrap_or_default()).await?;
        }
        _ => drop(engine.untag(&name).await?),
    }
    Ok(())
}

fn directory(state: &Path) -> PathBuf {
    state.join("lent")
}

/// The record's file, which stays: one that was removed could be locked by one process and made anew by another.
fn open(path: &Path) -> Result<Lock, FileError> {
    let directory = path.parent().expect("it lies in a directory");
    std::fs::create_dir_all(directory).map_err(FileError::io("create", directory))?;
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    Lock::wait(file.map_err(FileError::io("open", path))?).map_err(FileError::io("lock", path))
}

/// What a process wrote whole.
fn read(lock: &Lock) -> Option<Record> {
    let mut file = lock.file();
    file.rewind().ok()?;
    let mut text = String::new();
    file.take(CAP).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(lock: &Lock, text: &str) -> std::io::Result<()> {
    let mut file = lock.file();
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}
