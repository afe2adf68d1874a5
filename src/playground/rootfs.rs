//! The first base image: pulled where a public registry answers, else made from Debian packages.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::Notify;

use super::Error;
use super::definition::{Definition, Rootfs};
use crate::engine::{Engine, LayerProgress, label};
use crate::event::Observer;
use crate::files::FileError;
use crate::reference::ImageRef;

/// How long a public registry may take to begin a pull before the packages are used.
const PATIENCE: Duration = Duration::from_secs(20);
/// The prefix of the directory that debootstrap fills. A run that was killed leaves one; the next run removes it.
const LEFTOVER: &str = "rootfs-";

/// Makes the image that `definition` builds on; what to give its Dockerfile as `BASE`.
pub async fn prepare(
    engine: &Engine,
    definition: &Definition,
    rootfs: &Rootfs,
    home: &Path,
    observer: &Arc<dyn Observer>,
) -> Result<String, Error> {
    let task = format!("build {}", definition.path);
    let public: ImageRef = format!("docker.io/library/{}", rootfs.pull)
        .parse()
        .map_err(|_| Error::Template { what: rootfs.pull.clone(), why: "no image reference".into() })?;
    observer.step(&task, &format!("pulling {}", rootfs.pull));
    let begun = Notify::new();
    let mut progress = |layer: LayerProgress| {
        begun.notify_one();
        observer.step(&task, &format!("{} {}", layer.layer, layer.status));
    };
    let mut pull = std::pin::pin!(engine.pull(&public, None, None, &mut progress));
    let pulled = tokio::select! {
        pulled = &mut pull => pulled.is_ok(),
        () = tokio::time::sleep(PATIENCE) => false,
        () = begun.notified() => pull.await.is_ok(),
    };
    if pulled {
        return Ok(rootfs.pull.clone());
    }
    let name = format!("onramp-playground/{}-rootfs", definition.name);
    let tag = &definition.key.hex()[..16];
    let full = format!("{name}:{tag}");
    if engine.image(&full).await?.is_some() {
        return Ok(full);
    }
    observer.step(&task, &format!("{} cannot be pulled; making it from Debian packages", rootfs.pull));
    let place = bootstrap(rootfs, home, observer, &task).await?;
    observer.step(&task, "importing the file system");
    let changes = [(label::OWNER, "onramp"), (label::DEFINITION, definition.key.as_str())];
    let changes = changes.map(|(key, value)| format!("LABEL {key}={value}")).to_vec();
    engine.import(&name, tag, changes, archive(&place, &rootfs.exclude)?).await?;
    discard(&place);
    Ok(full)
}

/// Fills a new directory with a minimal Debian.
async fn bootstrap(rootfs: &Rootfs, home: &Path, observer: &Arc<dyn Observer>, task: &str) -> Result<PathBuf, Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NoBase { image: rootfs.pull.clone(), why: "making it from Debian packages needs root" });
    }
    remove_leftovers(home);
    let place =
        tempfile::Builder::new().prefix(LEFTOVER).tempdir_in(home).map_err(FileError::io("create", home))?.keep();
    let mut command = Command::new("debootstrap");
    command
        .arg("--variant=minbase")
        .arg(format!("--include={}", rootfs.include.join(",")))
        .args([&rootfs.suite, &place.display().to_string()])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::NoBase { image: rootfs.pull.clone(), why: "debootstrap is not installed" }
        }
        _ => Error::NoBase { image: rootfs.pull.clone(), why: "debootstrap cannot be run" },
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
        return Ok(place);
    }
    discard(&place);
    Err(Error::Bootstrap { last: crate::text::neutral_line(&last, 200) })
}

/// The directory as a tar, streamed.
fn archive(
    place: &Path,
    exclude: &[String],
) -> Result<impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> + Send + use<>, Error> {
    let mut command = Command::new("tar");
    command
        .arg("--create")
        .arg("--numeric-owner")
        .arg("--one-file-system")
        .arg("--anchored")
        .arg("--no-wildcards-match-slash");
    for pattern in exclude {
        command.arg(format!("--exclude=./{pattern}"));
    }
    command.arg("--directory").arg(place).arg(".");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(FileError::io("run tar in", place))?;
    let output = child.stdout.take().expect("stdout was asked for");
    Ok(stream::try_unfold((child, output), |(mut child, mut output)| async move {
        let mut buffer = vec![0; 256 * 1024];
        let read = output.read(&mut buffer).await?;
        if read > 0 {
            buffer.truncate(read);
            return Ok(Some((Bytes::from(buffer), (child, output))));
        }
        // A tar that broke off must not become an image.
        let status = child.wait().await?;
        if status.success() { Ok(None) } else { Err(std::io::Error::other(format!("tar ended with {status}"))) }
    }))
}

fn remove_leftovers(home: &Path) {
    for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(LEFTOVER) {
            discard(&entry.path());
        }
    }
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
