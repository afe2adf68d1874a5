//! All sandboxes on an engine: which there are, and what is left of those that nobody can come back to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures_util::future::{try_join, try_join_all};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::data::{self, Inventory, layers};
use super::room::Room;
use super::router::Reached;
use super::{Error, down, gate, reaper, turn_on, with};
use crate::engine::{Engine, Volume, label};
use crate::git::Worktree;
use crate::text::neutral_line;
use crate::turn::{self, Turn};

/// A sandbox as the engine knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its name.
    pub sandbox: String,
    /// The project's directory.
    pub directory: PathBuf,
    /// The branch, exactly as git has it: whether it is gone is asked by it. None where none was checked out.
    pub branch: Option<String>,
    /// How many of its services run.
    pub running: usize,
    /// How many containers it has.
    pub containers: usize,
    /// How many volumes hold its data.
    pub volumes: usize,
    /// What of other apps is mixed into it.
    pub with: BTreeSet<String>,
    /// The gate through which its services reach hosts outside; none where they reach none.
    pub gate: Option<gate::Standing>,
    /// Where its services answer by name.
    pub named: Vec<String>,
    /// When something was made for it last.
    pub last: Option<Timestamp>,
    /// Why nobody can come back to it; none where somebody can.
    pub gone: Option<Gone>,
    /// How much room it takes, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
}

/// Why nobody can come back to a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gone {
    /// Its directory is not there.
    Directory,
    /// Its branch is not in the repository.
    Branch,
    /// The process that it should end with has ended.
    Process,
}

/// Every sandbox, by name.
pub async fn list(engine: &Engine, state: &Path) -> Result<Vec<Found>, Error> {
    let any = [(label::SANDBOX, "")];
    let (containers, volumes) = try_join(engine.containers(&any), engine.volumes(&any)).await?;
    let reached = Reached::by(engine, state);
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    for container in &containers {
        if let Some(found) = Found::entry(&mut all, &container.labels, container.created)
            && container.labels.contains_key(label::SERVICE)
        {
            found.containers += 1;
            found.running += usize::from(container.running);
            found.with.extend(with::of_container(container).map(|told| neutral_line(told, 200)));
            if container.running && gate::reached_by(container).next().is_some() {
                found.gate = Some(gate::standing(state, &found.sandbox));
            }
            found.named.extend(reached.url(container));
        }
    }
    for volume in volumes.iter().filter(|volume| !volume.labels.contains_key(label::SECRET_FILES)) {
        if let Some(found) = Found::entry(&mut all, &volume.labels, volume.created) {
            found.volumes += 1;
        }
    }
    let here = engine.place().here;
    let mut all: Vec<Found> = all.into_values().collect();
    for found in all.iter_mut().filter(|_| here) {
        found.gone = gone(&found.directory, found.branch.as_deref());
        let asker = reaper::asker(state, &found.sandbox);
        if found.gone.is_none() && asker.is_some_and(|process| !process.runs()) {
            found.gone = Some(Gone::Process);
        }
    }
    Ok(all)
}

impl Found {
    fn entry<'a>(
        all: &'a mut BTreeMap<String, Self>,
        labels: &std::collections::HashMap<String, String>,
        made: Option<Timestamp>,
    ) -> Option<&'a mut Self> {
        let text = |key: &str| labels.get(key).filter(|text| !text.is_empty());
        // A label is anybody's, and this one names files of onramp's.
        let plain = |name: &&String| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let sandbox = text(label::SANDBOX).filter(plain).filter(|name| !name.starts_with('.'))?;
        let found = all.entry(sandbox.clone()).or_insert_with(|| Self {
            sandbox: sandbox.clone(),
            directory: text(label::PROJECT_DIR).map(PathBuf::from).unwrap_or_default(),
            branch: text(label::BRANCH).cloned(),
            running: 0,
            containers: 0,
            volumes: 0,
            with: BTreeSet::new(),
            gate: None,
            named: Vec::new(),
            last: None,
            gone: None,
            room: None,
        });
        found.last = found.last.max(made);
        Some(found)
    }
}

fn gone(directory: &Path, branch: Option<&str>) -> Option<Gone> {
    match directory.try_exists() {
        Ok(false) if vanished(directory) => Some(Gone::Directory),
        Ok(true) => {
            let here = branch.map(|branch| Worktree::has_branch(directory, branch));
            (here == Some(Some(false))).then_some(Gone::Branch)
        }
        _ => None,
    }
}

/// Whether what is missing was removed. Where its neighbours are missing, too, it may be on a disk that is not there at the
/// moment.
fn vanished(path: &Path) -> bool {
    let neighbours = path.parent().and_then(|parent| std::fs::read_dir(parent).ok());
    neighbours.is_some_and(|mut neighbours| neighbours.next().is_some())
}

/// What `prune` will take away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrunePlan {
    /// Sandboxes, with their data.
    pub sandboxes: Vec<Found>,
    /// Golden copies and snapshots: the volumes' names.
    pub frozen: Vec<String>,
    #[serde(skip)]
    freed: Vec<String>,
}

/// Looks for what nobody can come back to, of what nothing was made for since so long; with `golden`, for every golden copy.
pub async fn plan_prune(
    engine: &Engine,
    state: &Path,
    older_than: Option<SignedDuration>,
    golden: bool,
) -> Result<PrunePlan, Error> {
    if !engine.place().here {
        return Err(Error::Elsewhere { host: engine.host().to_owned() });
    }
    let now = Timestamp::now();
    let old =
        |last: Option<Timestamp>| older_than.is_none_or(|age| last.is_some_and(|last| now.duration_since(last) > age));
    let all = list(engine, state).await?;
    let sandboxes = all.into_iter().filter(|found| found.gone.is_some() && old(found.last)).collect();
    let inventory = Inventory::read(engine).await?;
    let marked = inventory.marked(label::GOLDEN).chain(inventory.marked(label::SNAPSHOT));
    let unwanted = |volume: &Volume| lost(volume, now) || (golden && volume.labels.contains_key(label::GOLDEN));
    let frozen: Vec<&Volume> = marked.filter(|volume| unwanted(volume) && old(volume.created)).collect();
    Ok(PrunePlan {
        sandboxes,
        freed: frozen.iter().flat_map(|volume| layers(volume)).collect(),
        frozen: frozen.into_iter().map(|volume| volume.name.clone()).collect(),
    })
}

/// Whether the repository of a frozen volume is gone for good. A golden copy serves every project with the same seeds: one
/// that was made today may be about to be cloned.
fn lost(volume: &Volume, now: Timestamp) -> bool {
    let repository = volume.labels.get(label::REPOSITORY).map(Path::new);
    let settled = volume.created.is_some_and(|made| now.duration_since(made) > data::LEFT_BEHIND);
    // A repository lies in its first work tree, and goes with it.
    let place = repository.map(|path| if path.ends_with(".git") { path.parent().unwrap_or(path) } else { path });
    settled && place.is_some_and(|path| gone(path, None).is_some())
}

/// Takes it away, and says which sandboxes stay because somebody is at work on them, or came back to them.
pub async fn prune(engine: &Engine, state: &Path, plan: &PrunePlan) -> Result<Vec<String>, Error> {
    let mut busy = Vec::new();
    for found in &plan.sandboxes {
        let _turn = match Turn::take(state, &turn_on(&found.sandbox)) {
            Ok(turn) => turn,
            Err(turn::Error::Busy { .. }) => {
                busy.push(found.sandbox.clone());
                continue;
            }
            Err(turn::Error::File(error)) => return Err(error.into()),
        };
        let now = list(engine, state).await?;
        if now.iter().any(|now| now.sandbox == found.sandbox && now.gone.is_none()) {
            busy.push(found.sandbox.clone());
            continue;
        }
        let down = down::plan(engine, &found.sandbox, true).await?;
        down::apply(engine, state, &down).await?;
        reaper::forget(state, &found.sandbox)?;
    }
    try_join_all(plan.frozen.iter().map(|name| engine.remove_volume(name))).await?;
    data::sweep(engine, "", &plan.freed).await?;
    Ok(busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_gone_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(gone(dir.path(), None), None);
        assert_eq!(gone(dir.path(), Some("main")), None, "no repository, no branch to miss");
        let missing = dir.path().join("missing");
        assert_eq!(gone(&missing, Some("main")), None, "a disk that is not there is an empty directory");
        std::fs::write(dir.path().join("neighbour"), "").unwrap();
        assert_eq!(gone(&missing, Some("main")), Some(Gone::Directory));
        assert_eq!(gone(&missing.join("deeper"), None), None, "nor is where it was");
        assert_eq!(gone(Path::new(""), None), None, "an older onramp did not write it down");
    }

    #[test]
    fn a_frozen_volume_is_lost_a_day_after_it_was_made_and_its_repository_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("neighbour"), "").unwrap();
        let now = Timestamp::now();
        let volume = |repository: &Path, hours| Volume {
            name: "frozen".into(),
            labels: [(label::REPOSITORY.to_owned(), repository.display().to_string())].into(),
            mountpoint: String::new(),
            created: Some(now - SignedDuration::from_hours(hours)),
        };
        assert!(lost(&volume(&dir.path().join("gone"), 25), now));
        assert!(lost(&volume(&dir.path().join("gone/.git"), 25), now), "it went with its work tree");
        assert!(!lost(&volume(&dir.path().join("gone"), 23), now));
        assert!(!lost(&volume(dir.path(), 25), now));
    }
}
