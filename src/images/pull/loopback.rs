//! The names that the engine knows images by while it takes them from us. They go in every case: when the pull is done,
//! when it fails or is interrupted, and where it was killed, with the next one.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::super::Error;
use crate::engine::Engine;
use crate::files::FileError;
use crate::reference::{Digest, ImageRef};
use crate::turn::Lock;

/// How long an interrupted pull may take to clean up.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest record that is read, in bytes.
const CAP: u64 = 1024 * 1024;

/// The name of one pull, unguessable, and the record of what was called by it.
pub struct Loopback {
    engine: Engine,
    path: String,
    record: PathBuf,
    lock: Lock,
    names: Mutex<Vec<String>>,
}

impl Loopback {
    /// Makes a name.
    pub fn make(engine: &Engine, state: &Path) -> Result<Self, FileError> {
        let directory = place(state);
        std::fs::create_dir_all(&directory).map_err(FileError::io("create", &directory))?;
        let random = || {
            let mut random = [0; 32];
            File::open("/dev/urandom")?.read_exact(&mut random)?;
            Ok(Digest::of(&random).hex()[..32].to_owned())
        };
        let random = random().map_err(FileError::io("read", Path::new("/dev/urandom")))?;
        let record = directory.join(&random);
        let file = File::options().read(true).write(true).create_new(true).open(&record);
        let lock =
            Lock::wait(file.map_err(FileError::io("write", &record))?).map_err(FileError::io("lock", &record))?;
        writeln!(lock.file(), "{}", engine.host()).map_err(FileError::io("write", &record))?;
        Ok(Self { engine: engine.clone(), path: format!("onramp/{random}"), record, lock, names: Mutex::default() })
    }

    /// The repository's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the engine will call the manifest of an offer that it takes from `address`; recorded, before it does.
    pub fn name(&self, address: SocketAddr, offer: usize, manifest: &Digest) -> Result<ImageRef, Error> {
        let name = format!("{address}/{}/{offer}@{manifest}", self.path);
        let mut file = self.lock.file();
        writeln!(file, "{name}").map_err(FileError::io("write", &self.record))?;
        let reference = name.parse().expect("made of an address, a path and a digest");
        self.names.lock().expect("no panic while held").push(name);
        Ok(reference)
    }

    /// Takes the names away from the engine.
    pub async fn clear(self) -> Result<(), Error> {
        let names = std::mem::take(&mut *self.names.lock().expect("no panic while held"));
        for name in &names {
            if let Err(error) = self.engine.untag(name).await {
                // The record stays for the next pull.
                return Err(error.into());
            }
        }
        std::fs::remove_file(&self.record).map_err(FileError::io("remove", &self.record))?;
        Ok(())
    }
}

impl Drop for Loopback {
    /// Where the pull failed or was interrupted: on a connection and a thread of its own, for the runtime may be ending.
    fn drop(&mut self) {
        let names = std::mem::take(&mut *self.names.lock().expect("no panic while held"));
        let (address, record) = (self.engine.address().clone(), self.record.clone());
        if names.is_empty() {
            let _ = std::fs::remove_file(&record);
            return;
        }
        let work = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            let clear = async {
                let engine = Engine::connect(&address).await.ok()?;
                for name in &names {
                    engine.untag(name).await.ok()?;
                }
                std::fs::remove_file(&record).ok()
            };
            runtime.block_on(async { tokio::time::timeout(PATIENCE, clear).await.ok().flatten() })
        });
        let _ = work.join();
    }
}

/// Takes away what pulls that were killed left in this engine.
pub async fn clear_left(engine: &Engine, state: &Path) -> Result<(), Error> {
    let directory = place(state);
    let Ok(entries) = std::fs::read_dir(&directory) else { return Ok(()) };
    for entry in entries.flatten() {
        let record = entry.path();
        let Ok(file) = File::open(&record) else { continue };
        // The pull that it belongs to is at work.
        let Ok(lock) = Lock::take(file) else { continue };
        let text = read(&lock).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() != Some(engine.host()) {
            continue;
        }
        // A line that was being written when its process died names nothing.
        for name in lines.filter(|line| is_ours(line)) {
            engine.untag(name).await?;
        }
        std::fs::remove_file(&record).map_err(FileError::io("remove", &record))?;
    }
    Ok(())
}

fn read(lock: &Lock) -> Option<String> {
    let mut file = lock.file();
    file.rewind().ok()?;
    let mut text = String::new();
    file.take(CAP).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Whether a recorded name is one that onramp makes, on loopback: nothing else is ever taken away.
fn is_ours(name: &str) -> bool {
    let parsed: Result<ImageRef, _> = name.parse();
    parsed.is_ok_and(|image| {
        image.digest().is_some() && image.registry().starts_with("127.0.0.1:") && image.path().starts_with("onramp/")
    })
}

fn place(state: &Path) -> PathBuf {
    state.join("pulls")
}
