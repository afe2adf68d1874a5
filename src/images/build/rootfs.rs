//! A file system made from Debian packages, the same to the last byte whenever it is made from the same packages.
//!
//! debootstrap does most of it: what packages bring has their own times. What it makes by the way (logs, caches, copies
//! for the case of a mishap, this machine's name) is left out; times later than the archive's own become the archive's; owners are
//! numbers, names are sorted. What is left to differ is the archive itself, which a dated mirror fixes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::Error;
use super::definition::{Definition, Rootfs};
use crate::event::Observer;
use crate::files::FileError;
use crate::reference::Digest;
use crate::turn::Lock;

/// The prefix of the directory that debootstrap fills. A run that was killed leaves one; the next run removes it.
const LEFTOVER: &str = "rootfs-";
/// What never belongs to an image: it says when and where the file system was made, or is made again by whoever needs it.
const NEVER: [&str; 16] = [
    "dev/*",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/machine-id",
    "etc/*-",
    "proc/*",
    // `/run/lock` itself stays, as in Debian's own images: `/var/lock` leads there, and programs do not make what it leads to.
    "run/[!l]*",
    "run/lock/*",
    "sys/*",
    "tmp/*",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/*",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/log/*",
];

/// How debootstrap is asked. Debian's own only warns where it has no key to check the archive with.
const BOOTSTRAP: [&str; 2] = ["--variant=minbase", "--force-check-gpg"];
/// How the file system is packed.
const PACK: [&str; 9] = [
    "--create",
    "--format=gnu",
    "--sort=name",
    "--numeric-owner",
    "--one-file-system",
    "--clamp-mtime",
    "--anchored",
    "--wildcards",
    "--no-wildcards-match-slash",
];
/// To be raised where anything else of how file systems and their images are made changes what comes out: `settle_passwords`
/// and `archive_date` here, the config in `load`, the packing in `publish`.
const REVISION: &str = "1";

/// What decides, beside a definition, which file system comes out: a part of the definition's key, so that another way of
/// making it is another image.
pub fn recipe() -> Digest {
    let parts = [REVISION].into_iter().chain(BOOTSTRAP).chain(PACK).chain(NEVER);
    Digest::of(parts.flat_map(|part| [part, "\n"]).collect::<String>().as_bytes())
}

/// A file system as one layer.
#[derive(Debug)]
pub struct Layer {
    /// The tar, not packed.
    pub path: PathBuf,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// When the archive that it comes from was made: the image's own time.
    pub made: Timestamp,
}

/// Makes a definition's file system in `home`.
pub async fn make(
    definition: &Definition,
    rootfs: &Rootfs,
    home: &Path,
    observer: &dyn Observer,
    task: &str,
) -> Result<Layer, Error> {
    let (place, _turn) = bootstrap(definition, rootfs, home, observer, task).await?;
    observer.step(task, "packing the file system");
    let packed = pack(definition, rootfs, &place, home).await;
    discard(&place);
    packed
}

/// Fills a new directory with a minimal Debian.
async fn bootstrap(
    definition: &Definition,
    rootfs: &Rootfs,
    home: &Path,
    observer: &dyn Observer,
    task: &str,
) -> Result<(PathBuf, Lock), Error> {
    let no_base = |why: &str| Error::NoBase { image: definition.place(), why: why.to_owned() };
    if !rustix::process::geteuid().is_root() {
        return Err(no_base("making it from Debian packages needs root"));
    }
    std::fs::create_dir_all(home).map_err(FileError::io("create", home))?;
    let (place, turn) = begin(home)?;
    let mut command = Command::new("debootstrap");
    command.args(BOOTSTRAP);
    if !rootfs.include.is_empty() {
        command.arg(format!("--include={}", rootfs.include.join(",")));
    }
    command.arg(&rootfs.suite).arg(&place).args(&rootfs.mirror);
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => no_base("debootstrap is not installed"),
        _ => no_base("debootstrap cannot be run"),
    })?;
    let mut last = String::new();
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            observer.step(task, line.trim_start_matches("I: "));
            last = line;
        }
    }
    let status = child.wait().await.map_err(FileError::io("run debootstrap in", &place))?;
    if status.success() {
        return Ok((place, turn));
    }
    discard(&place);
    Err(Error::Bootstrap { image: definition.place(), last: crate::text::neutral_line(&last, 200) })
}

/// Packs the directory into a tar in `home`.
async fn pack(definition: &Definition, rootfs: &Rootfs, place: &Path, home: &Path) -> Result<Layer, Error> {
    let made = archive_date(place).ok_or_else(|| Error::NoBase {
        image: definition.place(),
        why: "debootstrap left no Release file that tells the archive's date".to_owned(),
    })?;
    settle_passwords(place, made)?;
    let mut command = Command::new("tar");
    command.args(PACK).arg(format!("--mtime=@{}", made.as_second()));
    for pattern in NEVER.into_iter().chain(rootfs.exclude.iter().map(String::as_str)) {
        command.arg(format!("--exclude=./{pattern}"));
    }
    command.arg("--directory").arg(place).arg(".");
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(FileError::io("run tar in", place))?;
    let mut output = child.stdout.take().expect("stdout was asked for");

    let path = home.join(format!("{}-{}.tar", definition.name, &definition.key.hex()[..16]));
    let aside = tempfile::Builder::new().prefix("layer-").tempfile_in(home).map_err(FileError::io("create", home))?;
    let mut file = tokio::fs::File::create(aside.path()).await.map_err(FileError::io("write", &path))?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 256 * 1024]);
    loop {
        let read = output.read(&mut buffer).await.map_err(FileError::io("read", place))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        size += read as u64;
        file.write_all(&buffer[..read]).await.map_err(FileError::io("write", &path))?;
    }
    // A tar that broke off must not become an image.
    let status = child.wait().await.map_err(FileError::io("run tar in", place))?;
    if !status.success() {
        return Err(Error::NoBase { image: definition.place(), why: format!("tar ended with {status}") });
    }
    file.sync_all().await.map_err(FileError::io("write", &path))?;
    aside.persist(&path).map_err(|error| FileError::io("write", &path)(error.error))?;
    Ok(Layer { path, digest: Digest::from_hash(&hash.finalize()), size, made })
}

/// When the archive was made, as its signed Release file says.
fn archive_date(place: &Path) -> Option<Timestamp> {
    let lists = std::fs::read_dir(place.join("var/lib/apt/lists")).ok()?;
    let release = lists.flatten().map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with("Release"))?;
    let text = crate::files::read_text(&release, 4 * 1024 * 1024).ok()?;
    let date = text.lines().find_map(|line| line.strip_prefix("Date: "))?;
    jiff::fmt::rfc2822::parse(&date.replace("UTC", "+0000")).ok().map(|time| time.timestamp())
}

/// `/etc/shadow` says on which day a password was set: on the archive's.
fn settle_passwords(place: &Path, made: Timestamp) -> Result<(), FileError> {
    let path = place.join("etc/shadow");
    let Ok(text) = crate::files::read_text(&path, 1024 * 1024) else { return Ok(()) };
    let day = (made.as_second() / 86_400).to_string();
    let mut settled = String::with_capacity(text.len());
    for line in text.lines() {
        let mut fields: Vec<&str> = line.split(':').collect();
        if let Some(set) = fields.get_mut(2).filter(|set| !set.is_empty()) {
            *set = &day;
        }
        settled.push_str(&fields.join(":"));
        settled.push('\n');
    }
    // In place, so that owner and mode stay.
    std::fs::write(&path, settled).map_err(FileError::io("write", &path))
}

/// A new directory, locked while somebody works in it; those that nobody works in any more go.
fn begin(home: &Path) -> Result<(PathBuf, Lock), FileError> {
    // One at a time, so that nobody takes a directory away that is not locked yet.
    let turn = File::open(home).map_err(FileError::io("open", home))?;
    let _turn = Lock::wait(turn).map_err(FileError::io("lock", home))?;
    for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
        let left = entry.file_name().to_string_lossy().starts_with(LEFTOVER);
        // A lock on a file of a killed run is gone with it.
        if left && File::open(entry.path()).is_ok_and(|file| Lock::take(file).is_ok()) {
            discard(&entry.path());
        }
    }
    let place =
        tempfile::Builder::new().prefix(LEFTOVER).tempdir_in(home).map_err(FileError::io("create", home))?.keep();
    let lock = File::open(&place).and_then(Lock::wait).map_err(FileError::io("lock", &place))?;
    Ok((place, lock))
}

/// Removes the directory. debootstrap mounts file systems inside while it runs; nothing under one is ever removed.
fn discard(place: &Path) {
    for inside in ["proc", "sys", "dev/pts", "dev"] {
        let mut umount = std::process::Command::new("umount");
        let _ = umount.arg(place.join(inside)).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    let mut remove = std::process::Command::new("rm");
    let _ = remove.args(["-rf", "--one-file-system", "--"]).arg(place).stderr(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    use super::super::definition::built_in;
    use super::*;
    use crate::blocks::builtin::TEMPLATES;

    #[tokio::test]
    async fn what_is_made_again_is_left_out_and_where_locks_go_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (place, home) = (dir.path().join("place"), dir.path().join("home"));
        for file in ["var/lib/apt/lists/deb_InRelease", "run/lock/held", "run/mount/utab", "run/a.pid", "etc/issue"] {
            crate::files::write(&place.join(file), b"Date: Sat, 11 Jul 2026 10:16:37 UTC\n").unwrap();
        }
        std::fs::create_dir(&home).unwrap();
        let definitions = built_in(TEMPLATES.get_dir("images").unwrap()).unwrap();
        let definition = definitions.iter().find(|definition| definition.rootfs.is_some()).unwrap();
        let layer = pack(definition, definition.rootfs.as_ref().unwrap(), &place, &home).await.unwrap();
        let mut tar = tar::Archive::new(std::fs::File::open(&layer.path).unwrap());
        let paths: Vec<String> =
            tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        let kept = |path: &str| paths.iter().any(|p| p.trim_start_matches("./").trim_end_matches('/') == path);
        assert!(kept("run/lock") && kept("etc/issue"), "{paths:?}");
        for gone in ["run/lock/held", "run/mount", "run/a.pid", "var/lib/apt/lists/deb_InRelease"] {
            assert!(!kept(gone), "{gone}: {paths:?}");
        }
    }

    #[test]
    fn the_archives_date_is_the_passwords_day() {
        let dir = tempfile::tempdir().unwrap();
        let lists = dir.path().join("var/lib/apt/lists");
        std::fs::create_dir_all(&lists).unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        assert_eq!(archive_date(dir.path()), None);
        std::fs::write(lists.join("deb_InRelease"), "Origin: Debian\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n").unwrap();
        let made = archive_date(dir.path()).unwrap();
        assert_eq!(made.to_string(), "2026-07-11T10:16:37Z");
        std::fs::write(dir.path().join("etc/shadow"), "root:*:20999:0:99999:7:::\n_apt:!::::::\n").unwrap();
        settle_passwords(dir.path(), made).unwrap();
        let settled = std::fs::read_to_string(dir.path().join("etc/shadow")).unwrap();
        assert_eq!(settled, "root:*:20645:0:99999:7:::\n_apt:!::::::\n");
    }
}
