//! Volumes of a service: a named one is its data, a directory of the project is shown in it, files for an empty
//! database are its seeds.

use super::place::Leads;
use super::service::Taking;
use crate::project::service::{self, SEEDS, Shown};
use crate::template::yaml::{Content, Node, go};

/// What images of databases apply of their seeds.
const APPLIED: [&str; 6] = [".sql", ".sql.gz", ".sql.xz", ".sql.zst", ".sql.bz2", ".sh"];
/// The most seeds that a directory may hold.
const MOST: usize = 1000;

/// What lies under a volume's target.
enum Source {
    /// A volume by this name.
    Named(String),
    /// A path of the machine.
    Path(String),
    /// A volume of no name.
    Nameless,
}

struct Volume {
    source: Source,
    target: String,
    read_only: bool,
}

/// A seed, and what decides its turn: where it lies in the container.
type Seed = (String, String);

/// Takes `volumes`.
pub(super) fn take(taking: &mut Taking<'_>, node: &Node) {
    let Some(node) = taking.filled(node, "volumes") else { return };
    let Content::Sequence(items) = &node.content else {
        return taking.ledger.left(node.line, "volumes", "expected a list");
    };
    let mut seeds: Vec<(usize, Seed)> = Vec::new();
    for item in items {
        match read(item).and_then(|volume| one(taking, &volume, item.line)) {
            Ok(found) => seeds.extend(found.into_iter().map(|seed| (item.line, seed))),
            Err(why) => taking.ledger.left(item.line, "volumes", why),
        }
    }
    // The image applies them in the order of their names.
    seeds.sort_by(|(_, a), (_, b)| a.0.cmp(&b.0));
    match seeds.first() {
        Some((line, _)) if taking.service.data.is_none() => {
            let why = "seeds are applied to empty data, and the service has none: give it a named volume";
            taking.ledger.left(*line, "volumes", why);
        }
        _ => taking.service.seed = service::Seed::Files(seeds.into_iter().map(|(_, (_, file))| file).collect()),
    }
}

/// Takes one volume; the seeds that it is.
fn one(taking: &mut Taking<'_>, volume: &Volume, line: usize) -> Result<Vec<Seed>, String> {
    let target = volume.target.trim_end_matches('/');
    if !target.starts_with('/') || target.contains([':', '\0']) || target.contains("..") {
        return Err(format!("`{}` is no place in a container", volume.target));
    }
    let source = match &volume.source {
        Source::Named(name) => {
            if let Some(data) = &taking.service.data {
                return Err(format!("`{name}`: a service has one place for data, and that is {data}"));
            }
            taking.service.data = Some(target.to_owned());
            return Ok(Vec::new());
        }
        Source::Nameless => return Err(format!("`{target}`: only a named volume is data that outlives the container")),
        Source::Path(path) => path,
    };
    let path = match taking.around.place.leads(source) {
        Leads::Inside(path) => path,
        Leads::Nowhere => return Err(format!("`{source}` is not there")),
        Leads::Outside => {
            let engine = source.ends_with("docker.sock") || source.ends_with("podman.sock");
            let why = if engine {
                "it is the engine's socket, and with it the whole machine"
            } else {
                "it is not in the project"
            };
            taking.ledger.refused(line, "volumes", format!("`{source}`: {why}"));
            return Ok(Vec::new());
        }
    };
    let place = taking.around.place.root.join(&path);
    if target == SEEDS && place.is_dir() {
        return seeds_of(&place, &path);
    }
    if target.strip_prefix(SEEDS).is_some_and(|rest| rest.starts_with('/')) && place.is_file() {
        return Ok(vec![(target.to_owned(), path)]);
    }
    if !place.is_dir() {
        return Err(format!("`{source}` is a file: COPY it in a Dockerfile, or mount its directory"));
    }
    if volume.read_only {
        taking.ledger.changed(line, "volumes", format!("`{source}` can be written from the container"));
    }
    if let Some(other) = taking.service.sync.get(&path) {
        return Err(format!("`{source}` is at {} already", other.target()));
    }
    taking.service.sync.insert(path, Shown::At(target.to_owned()));
    Ok(Vec::new())
}

/// The seeds of a directory.
fn seeds_of(place: &std::path::Path, path: &str) -> Result<Vec<Seed>, String> {
    let unread = |error: std::io::Error| format!("`{path}` cannot be read: {error}");
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(place).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if APPLIED.iter().any(|end| name.ends_with(end)) && entry.file_type().map_err(unread)?.is_file() {
            let file = if path == "." { name.clone() } else { format!("{path}/{name}") };
            seeds.push((format!("{SEEDS}/{name}"), file));
        }
        if seeds.len() > MOST {
            return Err(format!("`{path}` holds more than {MOST} seeds"));
        }
    }
    if seeds.is_empty() { Err(format!("`{path}` holds no seeds")) } else { Ok(seeds) }
}

/// Reads the short or the long form.
fn read(node: &Node) -> Result<Volume, String> {
    let field = |key: &str| node.get(key).and_then(go::text_of);
    let text = match &node.content {
        Content::Mapping(_) => {
            let (kind, source) = (field("type").unwrap_or_default(), field("source").unwrap_or_default());
            let source = match kind.as_str() {
                "volume" if source.is_empty() => Source::Nameless,
                "volume" => Source::Named(source),
                "bind" => Source::Path(source),
                "tmpfs" => return Err("tmpfs: what is in the container goes with it anyway".to_owned()),
                other => return Err(format!("a sandbox has no volume of type `{other}`")),
            };
            let read_only = field("read_only").as_deref() == Some("true");
            return Ok(Volume { source, target: field("target").unwrap_or_default(), read_only });
        }
        _ => go::text_of(node).ok_or("expected a text or a table")?,
    };
    let mut parts = text.splitn(3, ':');
    let (first, target, mode) = (parts.next().unwrap_or_default(), parts.next(), parts.next().unwrap_or_default());
    let Some(target) = target else {
        return Ok(Volume { source: Source::Nameless, target: first.to_owned(), read_only: false });
    };
    let is_path = first.starts_with(['.', '/', '~']);
    let source = if is_path { Source::Path(first.to_owned()) } else { Source::Named(first.to_owned()) };
    let read_only = mode.split(',').any(|word| word == "ro");
    Ok(Volume { source, target: target.to_owned(), read_only })
}
