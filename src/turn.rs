//! One onramp at a time changes a thing. The kernel ends the turn of a process that dies.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Class, Fault};
use crate::files::FileError;

/// The kernel's lock on an open file, given back when it is dropped. Closing the file alone would not do: a child that
/// another thread just started shares it until it becomes its own program, and the lock with it.
pub struct Lock(File);

impl Lock {
    /// Waits until nobody else has it.
    pub fn wait(file: File) -> std::io::Result<Self> {
        file.lock()?;
        Ok(Self(file))
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// Shares it with others that share it, if nobody has it alone.
    pub fn share(file: File) -> Result<Self, TryLockError> {
        file.try_lock_shared()?;
        Ok(Self(file))
    }

    /// Takes it if nobody else has it.
    pub fn take(file: File) -> Result<Self, (File, TryLockError)> {
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(error) => Err((file, error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// The file that stands for a turn.
fn file_of(state: &Path, what: &str) -> Result<(PathBuf, File), FileError> {
    let directory = state.join("turns");
    std::fs::create_dir_all(&directory).map_err(FileError::io("create", &directory))?;
    let path = directory.join(what.replace(' ', "-"));
    let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    Ok((path.clone(), open.map_err(FileError::io("open", &path))?))
}

/// Held while a thing is changed.
pub struct Turn {
    lock: Lock,
    /// Whether whoever had it before was cut off, and nobody has put right since what that left.
    cut_off: bool,
    /// Whether something is being changed at this moment: then this one is cut off, too.
    changing: bool,
}

/// Why a turn could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else has it.
    #[error("another onramp is at work on {what}{}", process.map(|p| format!(" (process {p})")).unwrap_or_default())]
    Busy {
        /// What is being changed.
        what: String,
        /// The other process.
        process: Option<u32>,
    },
    /// The file that stands for it could not be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Busy { .. } => Class::Conflict,
            Self::File(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Busy { .. } => Some("when it has ended, run this again".to_owned()),
            Self::File(error) => error.hint(),
        }
    }
}

impl Turn {
    /// Takes the turn on `what`, a kind and a name like `sandbox shop-main-1a2b3c4d`, or says who has it.
    pub fn take(state: &Path, what: &str) -> Result<Self, Error> {
        let (path, file) = file_of(state, what)?;
        let lock = match Lock::take(file) {
            Ok(lock) => lock,
            Err((file, TryLockError::WouldBlock)) => {
                let mut holder = String::new();
                let _ = file.take(20).read_to_string(&mut holder);
                return Err(Error::Busy { what: what.to_owned(), process: holder.trim().parse().ok() });
            }
            Err((_, TryLockError::Error(error))) => return Err(FileError::io("lock", &path)(error).into()),
        };
        Self::held(lock).map_err(|error| FileError::io("use", &path)(error).into())
    }

    /// Takes the turn once nobody else has it.
    pub fn wait(state: &Path, what: &str) -> Result<Self, FileError> {
        let (path, file) = file_of(state, what)?;
        let lock = Lock::wait(file).map_err(FileError::io("lock", &path))?;
        Self::held(lock).map_err(FileError::io("use", &path))
    }

    /// Whether whoever had the turn before was killed, or broke off in the middle of a change. What they had asked of others may still be done.
    pub fn was_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Makes a change. Where it is broken off, the next one knows.
    pub async fn during<T>(&mut self, change: impl Future<Output = T>) -> T {
        self.changing = true;
        let done = change.await;
        self.changing = false;
        done
    }

    /// What they left is put right.
    pub fn settled(&mut self) {
        self.cut_off = false;
    }

    fn held(lock: Lock) -> std::io::Result<Self> {
        let mut file = &lock.0;
        let cut_off = file.metadata()?.len() > 0;
        // The number is only for the message that others see.
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()))?;
        Ok(Self { lock, cut_off, changing: false })
    }

    /// Shares the turn with others that share it, once nobody has it alone: that does not take long.
    pub fn share(state: &Path, what: &str) -> Result<Self, FileError> {
        let (path, file) = file_of(state, what)?;
        file.lock_shared().map_err(FileError::io("lock", &path))?;
        Ok(Self { lock: Lock(file), cut_off: true, changing: false })
    }
}

impl Drop for Turn {
    /// An empty file tells the next one that this one came to its end.
    fn drop(&mut self) {
        if !self.cut_off && !self.changing {
            let _ = self.lock.0.set_len(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_does_not_keep_a_lock_that_was_given_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(file.path()).unwrap();
        let first = open();
        // As a child shares it until it becomes its own program.
        let shared = first.try_clone().unwrap();
        drop(Lock::wait(first).unwrap());
        assert!(Lock::take(open()).is_ok());
        drop(shared);
    }

    #[test]
    fn those_who_share_a_turn_keep_others_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (Turn::share(dir.path(), "builds").unwrap(), Turn::share(dir.path(), "builds").unwrap());
        drop(first);
        assert!(matches!(Turn::take(dir.path(), "builds"), Err(Error::Busy { .. })));
        drop(second);
        Turn::take(dir.path(), "builds").unwrap();
    }

    #[test]
    fn the_next_one_knows_that_one_was_killed_until_that_is_put_right() {
        let dir = tempfile::tempdir().unwrap();
        let take = || Turn::take(dir.path(), "sandbox shop").unwrap();
        assert!(!take().was_cut_off());
        assert!(!take().was_cut_off(), "the first one came to its end");
        // As the kernel ends the turn of one that is killed.
        let mut killed = take();
        drop(std::mem::replace(&mut killed.lock, Lock(tempfile::tempfile().unwrap())));
        let mut next = take();
        assert!(next.was_cut_off());
        drop(next);
        next = take();
        assert!(next.was_cut_off(), "that one changed nothing");
        next.settled();
        drop(next);
        assert!(!take().was_cut_off());
        // As a command that is interrupted.
        next = take();
        let change = next.during(std::future::pending::<()>());
        assert!(futures_util::future::FutureExt::now_or_never(change).is_none());
        drop(next);
        assert!(take().was_cut_off());
    }

    #[test]
    fn the_second_is_told_who_is_at_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Turn::take(dir.path(), "sandbox shop").unwrap();
        let Err(Error::Busy { process, .. }) = Turn::take(dir.path(), "sandbox shop") else { panic!("it is taken") };
        assert_eq!(process, Some(std::process::id()));
        Turn::take(dir.path(), "sandbox blog").unwrap();
        drop(first);
        Turn::take(dir.path(), "sandbox shop").unwrap();
    }
}
