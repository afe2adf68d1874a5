//! A block's own checks: a program in a container, in the directory of a fresh render, without a way out.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Kind, Outcome, Result};
use crate::blocks::manifest::Check;
use crate::engine::{ContainerSpec, Engine, Error, LogPart, label};
use crate::name::Name;
use crate::reference::Digest;
use crate::tree::{Entry, Tree};

/// Where the render lies in the container.
const PLACE: &str = "work";
/// How long a check may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long removing a container may hold up the end of an interrupted run.
const REMOVAL: Duration = Duration::from_secs(10);
/// The most lines of output that are told.
const TOLD: usize = 40;

/// Stands for the exit code of a program that was ended.
const STOPPED: i64 = -1;

/// Runs one check of a block over what it renders to.
pub async fn run(engine: &Engine, block: &Name, name: &Name, check: &Check, rendered: &Tree) -> Outcome {
    let outcome = |result, detail: String| Outcome::new(block, Kind::Check, name.as_str(), result, detail);
    match in_container(engine, block, name, check, rendered).await {
        Ok((code, _)) if code == STOPPED => {
            outcome(Result::Failed, format!("it did not end within {} minutes", PATIENCE.as_secs() / 60))
        }
        Ok((0, _)) => outcome(Result::Passed, String::new()),
        Ok((code, mut words)) => {
            words.insert(0, format!("{} ended with {code}", check.run.join(" ")));
            outcome(Result::Failed, words.join("\n"))
        }
        Err(error) => outcome(Result::Failed, crate::error::chain(&error)),
    }
}

async fn in_container(
    engine: &Engine,
    block: &Name,
    name: &Name,
    check: &Check,
    rendered: &Tree,
) -> std::result::Result<(i64, Vec<String>), Error> {
    let unique =
        Digest::of(format!("{block} {name} {} {:?}", std::process::id(), std::time::Instant::now()).as_bytes());
    // The program is given as arguments, so that nothing of it is the shell's to read.
    let enter = format!("cd /{PLACE} && exec \"$@\"");
    let command = ["sh", "-c", &enter, "sh"].map(str::to_owned).into_iter().chain(check.run.iter().cloned());
    let spec = ContainerSpec {
        name: format!("onramp-check-{block}-{name}-{}", unique.short()),
        image: check.image.clone(),
        command: Some(command.collect()),
        labels: [(label::CHECK_UNTIL.to_owned(), until(Timestamp::now()).to_string())].into(),
        network: "none".to_owned(),
        ..ContainerSpec::default()
    };
    let container = spec.name.clone();
    let mut made = Made { engine, container: Some(container.clone()) };
    engine.create_container(&spec).await?;
    let ran = async {
        engine.put_files(&container, "/", archive(rendered)).await?;
        engine.start_container(&container).await?;
        let Ok(watch) = tokio::time::timeout(PATIENCE, engine.wait_for_exit(&container)).await else {
            return Ok((STOPPED, Vec::new()));
        };
        let watch = watch?;
        let part = LogPart { tail: Some(u32::try_from(TOLD).unwrap_or(u32::MAX)), ..LogPart::default() };
        let logs = std::pin::pin!(engine.logs(&container, part));
        let words = logs.filter_map(|line| async { line.ok().map(|line| line.text) }).collect().await;
        Ok((watch.exit_code, words))
    };
    let ran = ran.await;
    made.container = None;
    let removed = engine.remove_container(&container).await;
    // What the check itself says comes first.
    ran.and_then(|ran| removed.map(|()| ran))
}

/// When a check that begins now is over, with time to make and to remove its container.
fn until(now: Timestamp) -> i64 {
    let longest = PATIENCE + PATIENCE;
    now.as_second().saturating_add_unsigned(longest.as_secs())
}

/// Removes the containers of checks that a killed run left behind.
pub async fn sweep(engine: &Engine) -> std::result::Result<(), Error> {
    let now = Timestamp::now().as_second();
    for container in engine.containers(&[]).await? {
        let until = container.labels.get(label::CHECK_UNTIL).and_then(|until| until.parse::<i64>().ok());
        if until.is_some_and(|until| until < now) {
            engine.remove_container(&container.name).await?;
        }
    }
    Ok(())
}

/// A check's container while the check runs. An interrupted run drops it, and with it the container.
struct Made<'a> {
    engine: &'a Engine,
    container: Option<String>,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let (Some(container), Ok(runtime)) = (self.container.take(), Handle::try_current()) else { return };
        if runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
            return;
        }
        // What cannot be removed now is removed by a later run.
        tokio::task::block_in_place(|| {
            let _ = runtime
                .block_on(async { tokio::time::timeout(REMOVAL, self.engine.remove_container(&container)).await });
        });
    }
}

/// A tree as an uncompressed tar, below [`PLACE`].
fn archive(tree: &Tree) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let write = |archive: &mut tar::Builder<Vec<u8>>| -> std::io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive.append_data(&mut header, PLACE, std::io::empty())?;
        for (path, entry) in tree.iter() {
            let path = format!("{PLACE}/{path}");
            let mut header = tar::Header::new_gnu();
            match entry {
                Entry::File { contents, executable } => {
                    header.set_mode(if *executable { 0o755 } else { 0o644 });
                    header.set_size(contents.len() as u64);
                    archive.append_data(&mut header, path, &contents.bytes()[..])?;
                }
                Entry::Link { target } => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    archive.append_link(&mut header, path, target)?;
                }
            }
        }
        Ok(())
    };
    write(&mut archive).and_then(|()| archive.into_inner()).expect("memory takes what is written to it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_render_is_packed_with_its_modes_and_links() {
        let tree: Tree = [
            ("a/run.sh", Entry::File { contents: "x".into(), executable: true }),
            ("b", Entry::Link { target: "a/run.sh".into() }),
        ]
        .into_iter()
        .map(|(path, entry)| (path.parse().unwrap(), entry))
        .collect();
        let bytes = archive(&tree);
        let mut archive = tar::Archive::new(&bytes[..]);
        let told: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let link = entry.link_name().unwrap().map(|to| format!(" → {}", to.display())).unwrap_or_default();
                format!("{:o} {}{link}", entry.header().mode().unwrap(), entry.path().unwrap().display())
            })
            .collect();
        assert_eq!(told, ["755 work", "755 work/a/run.sh", "777 work/b → a/run.sh"]);
    }
}
