//! Hears that files of a project change, and tells which once it is quiet. What the kernel says is only the sign that something
//! happened; what happened, a look at all files tells. So nothing is lost where the kernel's queue runs over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};

use super::listing::{Listing, Which};
use super::{Error, Limit};
use crate::task::blocking;

/// How long nothing more may happen before a change is told: editors and git write files one after the other.
const QUIET: Duration = Duration::from_millis(25);
/// How long one is waited for that does not become quiet.
const LONGEST: Duration = Duration::from_secs(2);
/// Of so many directories at once nobody looks which they were.
const MANY: usize = 1000;

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// The kernel tells them.
    Told,
    /// All files are looked at again and again, with this pause.
    Polled(Duration),
}

/// Files that changed.
#[derive(Debug)]
pub struct Batch {
    /// From the project's root.
    pub files: BTreeSet<PathBuf>,
    /// When the first of it was heard.
    pub since: Instant,
}

/// Hears what changes in one project.
pub struct Ear {
    batches: mpsc::Receiver<Result<Batch, Error>>,
}

impl Ear {
    /// Begins to hear: whatever changes from now on is told.
    pub async fn open(root: &Path, means: Means) -> Result<Self, Error> {
        let (root, heard) = (root.to_owned(), Arc::<Heard>::default());
        let told = heard.clone();
        let looking = blocking(move || Looking::begin(root, means, told)).await?;
        let (sender, batches) = mpsc::channel(1);
        tokio::spawn(listen(looking, means, heard, sender));
        Ok(Self { batches })
    }

    /// Waits for the next change. Nothing is lost where the wait is broken off.
    pub async fn changed(&mut self) -> Result<Batch, Error> {
        match self.batches.recv().await {
            Some(batch) => batch,
            None => Err(Error::Deaf),
        }
    }

    /// Whether a change is waiting to be taken.
    pub fn has_news(&self) -> bool {
        !self.batches.is_empty()
    }
}

/// Tells every change, until nobody asks any more or the files cannot be looked at.
async fn listen(mut looking: Looking, means: Means, heard: Arc<Heard>, sender: mpsc::Sender<Result<Batch, Error>>) {
    loop {
        let wait = async {
            match means {
                Means::Told => heard.quiet().await,
                Means::Polled(pause) => {
                    tokio::time::sleep(pause).await;
                    Instant::now()
                }
            }
        };
        let since = tokio::select! {
            since = wait => since,
            () = sender.closed() => return,
        };
        let (back, changed) = blocking(move || {
            let changed = looking.look();
            (looking, changed)
        })
        .await;
        looking = back;
        let batch = match changed {
            Ok(files) if files.is_empty() => continue,
            Ok(files) => Ok(Batch { files, since }),
            Err(error) => Err(error),
        };
        let over = batch.is_err();
        if sender.send(batch).await.is_err() || over {
            return;
        }
    }
}

/// What the kernel said since somebody looked.
#[derive(Default)]
struct Heard {
    said: Mutex<Said>,
    word: Notify,
}

#[derive(Default)]
struct Said {
    /// Where directories came or went: whether they are still watched is not known.
    moved: BTreeSet<PathBuf>,
    /// Whether more was said than was heard.
    lost: bool,
    /// What went wrong.
    failed: Option<notify::Error>,
}

impl Heard {
    /// Takes the kernel's word. Blocks nobody.
    fn take(&self, word: notify::Result<notify::Event>) {
        let mut said = self.said.lock().expect("nobody panics with it");
        match word {
            Ok(event) if event.need_rescan() => said.lost = true,
            Ok(event) => {
                let directories = match event.kind {
                    // Also whoever only reads is told of.
                    EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write) => return,
                    EventKind::Create(kind) => kind != CreateKind::File,
                    EventKind::Remove(kind) => kind != RemoveKind::File,
                    EventKind::Modify(ModifyKind::Name(_)) => true,
                    _ => false,
                };
                if directories {
                    said.moved.extend(event.paths);
                    said.lost |= said.moved.len() > MANY;
                }
            }
            Err(error) => said.failed = Some(error),
        }
        drop(said);
        self.word.notify_one();
    }

    /// Waits until something is said, and then nothing for a while; when the first of it was.
    async fn quiet(&self) -> Instant {
        self.word.notified().await;
        let since = Instant::now();
        loop {
            tokio::select! {
                () = self.word.notified() => if since.elapsed() > LONGEST { return since },
                () = tokio::time::sleep(QUIET) => return since,
            }
        }
    }
}

/// Looks at the files of a project, and has all its directories watched.
struct Looking {
    root: PathBuf,
    listing: Listing,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    heard: Arc<Heard>,
}

impl Looking {
    /// Blocking, as the rest of it.
    fn begin(root: PathBuf, means: Means, heard: Arc<Heard>) -> Result<Self, Error> {
        let told = heard.clone();
        let watcher = match means {
            Means::Told => Some(notify::recommended_watcher(move |word| told.take(word)).map_err(failed)?),
            Means::Polled(_) => None,
        };
        let mut looking = Self { root, listing: Listing::default(), watcher, watched: BTreeSet::new(), heard };
        looking.look()?;
        Ok(looking)
    }

    /// The files that changed since the last look.
    fn look(&mut self) -> Result<BTreeSet<PathBuf>, Error> {
        let mut said = std::mem::take(&mut *self.heard.said.lock().expect("nobody panics with it"));
        if let Some(error) = said.failed.take() {
            return Err(failed(error));
        }
        let mut now = Listing::read(&self.root, Which::NotIgnored)?;
        // What comes into a new directory before it is watched, another look sees.
        while self.watch(&now, &std::mem::take(&mut said))? {
            now = Listing::read(&self.root, Which::NotIgnored)?;
        }
        let changed = now.changed_since(&self.listing);
        self.listing = now;
        Ok(changed)
    }

    /// Watches the directories of a listing and no others; whether some of them were not watched before.
    fn watch(&mut self, listing: &Listing, said: &Said) -> Result<bool, Error> {
        let Some(watcher) = &mut self.watcher else { return Ok(false) };
        let moved = |directory: &Path| directory.ancestors().any(|above| said.moved.contains(above));
        let sure = |directory: &PathBuf| !said.lost && self.watched.contains(directory) && !moved(directory);
        let new: Vec<PathBuf> = listing.directories.iter().filter(|place| !sure(place)).cloned().collect();
        let old: Vec<PathBuf> = self.watched.difference(&listing.directories).cloned().collect();
        let mut paths = watcher.paths_mut();
        for directory in old {
            // One that is gone is not watched already.
            let _ = paths.remove(&directory);
            self.watched.remove(&directory);
        }
        for directory in &new {
            match paths.add(directory, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(directory.clone())),
                // It went meanwhile.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        paths.commit().map_err(failed)?;
        Ok(!new.is_empty())
    }
}

/// What the kernel's refusal means.
fn failed(error: notify::Error) -> Error {
    /// "Too many open files", which here are watches of watchers.
    const EMFILE: i32 = 24;
    match &error.kind {
        ErrorKind::MaxFilesWatch => Error::Limit(Limit::read("max_user_watches", "directories")),
        ErrorKind::Io(source) if source.raw_os_error() == Some(EMFILE) => {
            Error::Limit(Limit::read("max_user_instances", "programs"))
        }
        _ => Error::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told until all of these are among it.
    async fn told(ear: &mut Ear, expected: &[&str]) -> BTreeSet<PathBuf> {
        let mut all = BTreeSet::new();
        while !expected.iter().all(|path| all.contains(Path::new(path))) {
            let limit = Duration::from_mins(1);
            let batch = tokio::time::timeout(limit, ear.changed()).await;
            all.extend(batch.unwrap_or_else(|_| panic!("{expected:?} is not told: {all:?}")).unwrap().files);
        }
        all
    }

    fn project() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("src/deep")).unwrap();
        std::fs::write(root.join(".gitignore"), "*.log\nvendor\n").unwrap();
        std::fs::write(root.join("src/a"), "1").unwrap();
        (dir, root)
    }

    #[tokio::test]
    async fn every_way_of_changing_files_is_heard() {
        let (_dir, root) = project();
        for means in [Means::Told, Means::Polled(Duration::from_millis(5))] {
            let mut ear = Ear::open(&root, means).await.unwrap();
            std::fs::write(root.join("src/noise.log"), "no").unwrap();
            std::fs::write(root.join("src/.a.swp"), "2").unwrap();
            std::fs::rename(root.join("src/.a.swp"), root.join("src/a")).unwrap();
            told(&mut ear, &["src/a"]).await;
            // A directory that comes, is filled, moves, and comes again.
            std::fs::create_dir_all(root.join("new/er")).unwrap();
            std::fs::write(root.join("new/er/b"), "1").unwrap();
            told(&mut ear, &["new/er/b"]).await;
            std::fs::rename(root.join("new"), root.join("old")).unwrap();
            told(&mut ear, &["new/er/b", "old/er/b"]).await;
            std::fs::write(root.join("old/er/c"), "1").unwrap();
            told(&mut ear, &["old/er/c"]).await;
            std::fs::remove_dir_all(root.join("old")).unwrap();
            told(&mut ear, &["old/er/b", "old/er/c"]).await;
            std::fs::create_dir_all(root.join("old/er")).unwrap();
            std::fs::write(root.join("old/er/d"), "1").unwrap();
            told(&mut ear, &["old/er/d"]).await;
            std::fs::write(root.join("old/er/d"), "22").unwrap();
            let all = told(&mut ear, &["old/er/d"]).await;
            assert!(!all.contains(Path::new("src/noise.log")));
            std::fs::remove_dir_all(root.join("old")).unwrap();
        }
    }

    #[tokio::test]
    async fn a_thousand_files_at_once_are_all_told() {
        let (_dir, root) = project();
        let mut ear = Ear::open(&root, Means::Told).await.unwrap();
        let names: Vec<String> = (0..1000).map(|number| format!("many/{}/{number}", number % 50)).collect();
        for name in &names {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), name).unwrap();
        }
        let expected: Vec<&str> = names.iter().map(String::as_str).collect();
        told(&mut ear, &expected).await;
        std::fs::remove_dir_all(root.join("many")).unwrap();
        told(&mut ear, &expected).await;
    }

    #[tokio::test]
    async fn what_the_kernel_could_not_tell_is_seen_by_a_look() {
        let (_dir, root) = project();
        let heard = Arc::<Heard>::default();
        let mut looking = Looking::begin(root.clone(), Means::Told, heard.clone()).unwrap();
        // As if nothing was watched: no word comes.
        looking.watcher = Some(notify::recommended_watcher(|_| {}).unwrap());
        std::fs::create_dir(root.join("unheard")).unwrap();
        std::fs::write(root.join("unheard/b"), "1").unwrap();
        let event = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        heard.take(Ok(event));
        heard.quiet().await;
        assert!(looking.look().unwrap().contains(Path::new("unheard/b")));
        assert!(looking.watched.contains(&root.join("unheard")));
    }

    #[tokio::test]
    async fn a_project_that_goes_ends_it() {
        let (dir, root) = project();
        let mut ear = Ear::open(&root, Means::Polled(Duration::from_millis(5))).await.unwrap();
        drop(dir);
        while let Ok(batch) = ear.changed().await {
            assert!(!batch.files.is_empty());
        }
        assert!(matches!(ear.changed().await, Err(Error::Deaf)));
    }
}
