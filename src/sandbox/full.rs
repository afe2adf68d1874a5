//! Whether a service failed because the engine's disk is full: then that is what is told, and not its exit code.

use std::path::Path;

use super::Error;
use crate::engine::{Place, says_full};

/// With less than so many bytes a disk is full: whoever failed may have left a little.
const LITTLE: u64 = 1024 * 1024;

/// What a failure is, on an engine that is there.
pub fn of(place: &Place, error: Error) -> Error {
    let (Error::Ended { log, .. }
    | Error::NotReady { log, .. }
    | Error::SeedFailed { log, .. }
    | Error::MigrationFailed { log, .. }) = &error
    else {
        return error;
    };
    let full = log.iter().any(|line| says_full(line)) || place.root.as_deref().is_some_and(is_full);
    if full { Error::Full { cause: Box::new(error), root: place.root.clone() } } else { error }
}

/// Whether nothing more can be written to the disk of a directory.
fn is_full(directory: &Path) -> bool {
    rustix::fs::statvfs(directory).is_ok_and(|free| free.f_bavail.saturating_mul(free.f_frsize) < LITTLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Fault};

    #[test]
    fn what_a_service_says_of_its_disk_is_told_before_its_exit_code() {
        let ended = |said: &str| Error::Ended { service: "shop/db".into(), exit_code: 1, log: vec![said.to_owned()] };
        let place = Place::default();
        for said in [
            "cp: error writing '/data/a': No space left on device",
            "[ERROR] InnoDB: Error number 28 means 'No space left on device'",
            "ERROR 1021 (HY000) at line 3: Disk full (/tmp/#sql); waiting for someone to free some space (errno: 28)",
        ] {
            let error = of(&place, ended(said));
            assert_eq!(error.class(), Class::Io, "{said}");
            assert!(error.to_string().starts_with("the engine's disk is full: shop/db ended"), "{error}");
            assert!(error.hint().unwrap().ends_with(said), "{error:?}");
        }
        assert_eq!(of(&place, ended("a syntax error")).class(), Class::Failed);
    }
}
