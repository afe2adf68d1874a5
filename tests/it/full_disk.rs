//! A disk that gets full.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory with little room, until it is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One with so much room. None where nothing may be mounted, which is said: root may, so that CI tests it or fails.
    #[track_caller]
    pub fn mount(place: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(place);
        let output = mount.output().expect("mount runs");
        if output.status.success() {
            return Some(Self(place.to_owned()));
        }
        let reason = String::from_utf8_lossy(&output.stderr);
        assert!(!rustix::process::geteuid().is_root(), "no file system can be mounted: {reason}");
        // Past what the test runner keeps to itself of a test that passes.
        let skipped = format!("skipped: a full disk, because only root may mount one: {reason}\n");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
