//! One onramp at a time changes a sandbox. The kernel ends the turn of a process that dies.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::{Error, SandboxId};
use crate::files::FileError;

/// Held while a sandbox is changed.
pub struct Turn(#[expect(dead_code, reason = "dropping the file ends the turn")] File);

impl Turn {
    /// Takes the turn, or says who has it.
    pub fn take(state: &Path, sandbox: &SandboxId) -> Result<Self, Error> {
        let directory = state.join("turns");
        std::fs::create_dir_all(&directory).map_err(FileError::io("create", &directory))?;
        let path = directory.join(sandbox.as_str());
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(FileError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.take(20).read_to_string(&mut holder);
                let process = holder.trim().parse().ok();
                return Err(Error::Busy { sandbox: sandbox.to_string(), process });
            }
            Err(TryLockError::Error(error)) => return Err(FileError::io("lock", &path)(error).into()),
        }
        // Only for the message that others see.
        let write = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        write.map_err(FileError::io("write", &path))?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_at_it() {
        let dir = tempfile::tempdir().unwrap();
        let id = SandboxId::new(&"shop".parse().unwrap(), None, Path::new("/w"));
        let first = Turn::take(dir.path(), &id).unwrap();
        let Err(Error::Busy { process, .. }) = Turn::take(dir.path(), &id) else { panic!("the turn is taken") };
        assert_eq!(process, Some(std::process::id()));
        drop(first);
        Turn::take(dir.path(), &id).unwrap();
    }
}
