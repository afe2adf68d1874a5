//! Whether there is room for a pull on the disks it fills.

use std::path::Path;

use super::super::Error;
use crate::reference::ImageRef;

/// How much larger packed layers are once they are unpacked, in tenths: what common base images have.
const GROWTH: u64 = 26;
/// What stays free beside the pull, in bytes: a full disk stops more than a pull.
const RESERVE: u64 = 64 * 1024 * 1024;

/// About how many bytes a layer has once it is unpacked.
pub fn unpacked(media_type: &str, size: u64) -> u64 {
    if media_type.ends_with("gzip") || media_type.ends_with("zstd") { size.saturating_mul(GROWTH) / 10 } else { size }
}

/// What a pull puts on one disk.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// Some directory on it.
    pub path: &'a Path,
    /// In bytes, at least.
    pub bytes: u64,
}

/// Refuses a pull of these images that cannot end well. Needs on one and the same disk add up.
pub fn check(needs: &[Need<'_>], images: &[&ImageRef]) -> Result<(), Error> {
    for (at, need) in needs.iter().enumerate() {
        let Some((disk, free)) = disk(need.path) else { continue };
        let others = needs.iter().enumerate().filter(|(other, _)| *other != at);
        let shared: u64 =
            others.filter(|(_, n)| self::disk(n.path).is_some_and(|d| d.0 == disk)).map(|(_, n)| n.bytes).sum();
        let bytes = need.bytes.saturating_add(shared);
        if need.bytes > 0 && bytes.saturating_add(RESERVE) > free {
            let images = images.iter().map(|image| image.path().to_owned()).collect();
            return Err(Error::NoRoom { images, path: need.path.to_owned(), bytes, free });
        }
    }
    Ok(())
}

/// Whether so many bytes fit there twice: unpacked layers on their way into an engine, and in their place.
pub fn fits_twice(path: &Path, bytes: u64) -> bool {
    free(path).is_none_or(|free| bytes.saturating_mul(2).saturating_add(RESERVE) <= free)
}

/// How many bytes this user may still put on the disk that a directory lies on.
pub fn free(path: &Path) -> Option<u64> {
    disk(path).map(|(_, free)| free)
}

/// The disk that a directory lies on, and how many bytes this user may still put there; none where nobody tells.
fn disk(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let disk = std::fs::metadata(path).ok()?.dev();
    let free = rustix::fs::statvfs(path).ok()?;
    Some((disk, free.f_bavail.saturating_mul(free.f_frsize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_that_no_disk_holds_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (_, free) = disk(dir.path()).unwrap();
        let need = |bytes| Need { path: dir.path(), bytes };
        let check = |needs: &[Need<'_>]| super::check(needs, &[]);
        check(&[need(1), need(1)]).unwrap();
        assert!(matches!(check(&[need(free)]), Err(Error::NoRoom { .. })));
        assert!(matches!(check(&[need(free / 2), need(free / 2)]), Err(Error::NoRoom { .. })), "one disk for both");
        check(&[Need { path: Path::new("/nowhere"), bytes: u64::MAX }]).unwrap();
        assert!(fits_twice(dir.path(), 1) && !fits_twice(dir.path(), free / 2));
        assert!(fits_twice(Path::new("/nowhere"), u64::MAX), "nobody tells");
        assert_eq!(unpacked("application/vnd.oci.image.layer.v1.tar+gzip", 100), 260);
        assert_eq!(unpacked("application/vnd.oci.image.layer.v1.tar", 100), 100);
    }
}
