//! Directories of the project that are copied into containers, and kept as they are here: `sync` with `mode = "copy"`.
//!
//! What was copied stands in a record in the container itself, and goes with it. It comes in the same tar as the files: first
//! it says of those on their way that nobody knows what they are, at the end what they are. So a copy that was cut off is made
//! good by the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tar::EntryType;
use tempfile::SpooledTempFile;

use super::Error;
use super::closure::Member;
use super::fetch::fetch;
use super::watch::listing::{Listing, Stamp, Which};
use crate::engine::{Engine, ExecSpec};
use crate::files::{self, FileError};
use crate::project::service::{Shown, SyncMode};
use crate::task::blocking;

/// The record, in the container.
const RECORD: &str = "/.onramp-copied.json";
/// The largest record, in bytes.
const RECORD_CAP: u64 = 64 * 1024 * 1024;
/// How much is copied at most, in bytes.
const CAP: u64 = 512 * 1024 * 1024;
/// More of a tar than this goes to the disk, in bytes.
const IN_MEMORY: usize = 1024 * 1024;
/// So many paths are removed by one program: an argument list has a limit.
const AT_ONCE: usize = 500;

/// A directory that is copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// The directory, absolute.
    pub from: PathBuf,
    /// The directory in the container.
    pub target: String,
}

/// What copying came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The container has what is here.
    Done {
        /// How many files were written or removed.
        count: usize,
        /// What it has now.
        known: Known,
    },
    /// It has files that are not here any more, and cannot be rid of them: it must be made anew.
    Stuck,
}

impl Outcome {
    /// How many files were written or removed.
    pub fn count(&self) -> usize {
        match self {
            Self::Done { count, .. } => *count,
            Self::Stuck => 0,
        }
    }
}

/// The directories that are copied into a service: those that say so, and all of them where the engine is elsewhere.
pub fn of(root: &Path, member: &Member, elsewhere: bool) -> Vec<Copied> {
    let copied = |shown: &Shown| elsewhere || shown.mode() == SyncMode::Copy;
    let sync = member.service.sync.iter().filter(|(_, shown)| member.own && copied(shown));
    sync.map(|(local, shown)| Copied { from: root.join(local), target: shown.target().clone() }).collect()
}

/// What a container has, for whoever copies to it again: reading it takes the engine as long as copying.
#[derive(Clone, Debug, Default)]
pub struct Known(Record);

/// What a container has of each directory, by the paths of files; of those without a stamp nobody knows what they are.
type Record = BTreeMap<String, BTreeMap<String, Option<Stamp>>>;

/// Makes what a container has of these directories equal to what is here. Only one that runs can remove what is gone. What it
/// has is read from its record where it is not known.
pub async fn bring(
    engine: &Engine,
    container: &str,
    copies: &[Copied],
    running: bool,
    known: Option<Known>,
) -> Result<Outcome, Error> {
    if copies.is_empty() {
        return Ok(Outcome::Done { count: 0, known: Known::default() });
    }
    let known = match known {
        Some(Known(record)) => record,
        None => read_record(engine, container).await?,
    };
    let copies = copies.to_vec();
    let Difference { remove, tar, count, after } = blocking(move || difference(&copies, known)).await?;
    let rid = remove.is_empty() || (running && remove_all(engine, container, &remove).await?);
    if !rid {
        return Ok(Outcome::Stuck);
    }
    if let Some(tar) = tar {
        engine.put_tar(container, "/", tar).await?;
    }
    Ok(Outcome::Done { count, known: Known(after) })
}

/// What was copied before. A container without a record has nothing.
async fn read_record(engine: &Engine, container: &str) -> Result<Record, Error> {
    let Ok(tar) = fetch(engine, container, RECORD, RECORD_CAP).await? else { return Ok(Record::new()) };
    let read = move || {
        let mut archive = tar::Archive::new(tar);
        let mut entry = archive.entries().ok()?.next()?.ok()?;
        let mut text = Vec::new();
        entry.read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    };
    // What a program of the container wrote there instead is no record.
    Ok(blocking(read).await.unwrap_or_default())
}

/// What has to be done.
struct Difference {
    /// Paths in the container that must go, directories with all that is in them.
    remove: Vec<String>,
    /// What must come, with the record; none where nothing changed.
    tar: Option<SpooledTempFile>,
    /// How many files that is.
    count: usize,
    /// What the container has then.
    after: Record,
}

/// Blocking: reads the directories.
fn difference(copies: &[Copied], mut known: Record) -> Result<Difference, Error> {
    let (mut remove, mut count, mut total) = (BTreeSet::new(), 0, 0);
    let (mut coming, mut after) = (Vec::new(), Record::new());
    // A link leads to another directory of the project.
    let real = |copied: &Copied| copied.from.canonicalize().map_err(FileError::io("read", &copied.from));
    let copies: Vec<Copied> = copies
        .iter()
        .map(|copied| Ok(Copied { from: real(copied)?, target: copied.target.clone() }))
        .collect::<Result<_, FileError>>()?;
    for copied in &copies {
        let now = Listing::read(&copied.from, Which::All)?;
        let had = known.remove(&copied.target);
        let new = had.is_none();
        let had = had.unwrap_or_default();
        // A name that is no text can be in no record.
        let files: BTreeMap<String, (&PathBuf, Stamp)> =
            now.files.iter().filter_map(|(path, stamp)| Some((path.to_str()?.to_owned(), (path, *stamp)))).collect();
        let gone: Vec<&String> = had.keys().filter(|path| !files.contains_key(*path)).collect();
        for path in &gone {
            let here = |above: &&Path| now.directories.contains(&copied.from.join(above));
            // A directory goes whole.
            let top = Path::new(path).ancestors().take_while(|above| *above != Path::new("") && !here(above)).last();
            remove.insert(format!("{}/{}", copied.target, top.unwrap_or(Path::new(path)).display()));
        }
        let written: BTreeSet<&PathBuf> = files
            .iter()
            .filter(|(path, (_, stamp))| !had.get(*path).copied().flatten().is_some_and(|then| stamp.is(&then)))
            .map(|(_, (path, _))| *path)
            .collect();
        count += gone.len() + written.len();
        for path in &written {
            total += now.files[*path].size;
            if total > CAP {
                return Err(FileError::TooLarge { path: copied.from.clone(), cap: CAP }.into());
            }
        }
        // Directories as they are here: those of what comes, and at first all of them.
        let is_needed = |place: &&PathBuf| new || written.iter().any(|path| copied.from.join(path).starts_with(place));
        let places = now.directories.iter().filter(is_needed).cloned();
        coming.extend(places.chain(written.iter().map(|path| copied.from.join(path))).map(|place| (place, copied)));
        after.insert(copied.target.clone(), files.into_iter().map(|(path, (_, stamp))| (path, Some(stamp))).collect());
    }
    if coming.is_empty() && remove.is_empty() {
        return Ok(Difference { remove: Vec::new(), tar: None, count: 0, after });
    }
    let tar = pack(&coming, &after)?;
    Ok(Difference { remove: remove.into_iter().collect(), tar: Some(tar), count, after })
}

/// A tar of these files and directories, with the record before and after them.
fn pack(coming: &[(PathBuf, &Copied)], after: &Record) -> Result<SpooledTempFile, Error> {
    let failed = || FileError::io("write", Path::new("a temporary file of what is copied"));
    let mut tar = tar::Builder::new(SpooledTempFile::new(IN_MEMORY));
    let mut before = after.clone();
    for (place, copied) in coming {
        let path = place.strip_prefix(&copied.from).expect("it is in there");
        if let (Some(files), Some(path)) = (before.get_mut(&copied.target), path.to_str())
            && let Some(stamp) = files.get_mut(path)
        {
            *stamp = None;
        }
    }
    record(&mut tar, &before).map_err(failed())?;
    for (place, copied) in coming {
        let path = place.strip_prefix(&copied.from).expect("it is in there");
        let target = Path::new(copied.target.trim_start_matches('/')).join(path);
        // What went meanwhile is removed by the next copy.
        let Ok(meta) = place.symlink_metadata() else { continue };
        let mut header = tar::Header::new_gnu();
        header.set_mode(meta.mode() & 0o7777);
        header.set_uid(meta.uid().into());
        header.set_gid(meta.gid().into());
        header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
        header.set_size(0);
        if meta.is_dir() {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, &target, std::io::empty()).map_err(failed())?;
        } else if meta.is_symlink() {
            let Ok(link) = std::fs::read_link(place) else { continue };
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, &target, link).map_err(failed())?;
        } else if meta.is_file() {
            // It may grow and shrink while it is read.
            let contents = match files::read(place, CAP) {
                Err(error) if error.is_not_found() => continue,
                contents => contents?,
            };
            header.set_size(contents.len() as u64);
            tar.append_data(&mut header, &target, contents.as_slice()).map_err(failed())?;
        }
    }
    record(&mut tar, after).map_err(failed())?;
    let mut tar = tar.into_inner().map_err(failed())?;
    tar.rewind().map_err(failed())?;
    Ok(tar)
}

fn record(tar: &mut tar::Builder<SpooledTempFile>, record: &Record) -> std::io::Result<()> {
    let text = serde_json::to_vec(record).expect("a record is plain data");
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_size(text.len() as u64);
    tar.append_data(&mut header, RECORD.trim_start_matches('/'), text.as_slice())
}

/// Removes what is at these paths of a container that runs; whether it could.
async fn remove_all(engine: &Engine, container: &str, paths: &[String]) -> Result<bool, Error> {
    for some in paths.chunks(AT_ONCE) {
        let command = ["rm", "-rf", "--"].iter().map(|&word| word.to_owned()).chain(some.iter().cloned()).collect();
        let user = Some("0".to_owned());
        let spec = ExecSpec { container: container.to_owned(), command, user, ..ExecSpec::default() };
        if engine.run_silently(&spec).await? != Some(0) {
            return Ok(false);
        }
    }
    Ok(true)
}
