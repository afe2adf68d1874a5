//! Reads a Compose file (<https://github.com/compose-spec/compose-spec/blob/main/spec.md>) into our words. Nothing in
//! it is trusted: its size, depth and paths have limits, and what would open a sandbox is not taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::left::{Ledger, Left};
use super::place::Place;
use super::service::{self, Around, says_nothing};
use super::{dotenv, environment, keys};
use crate::document::{self, DocumentError};
use crate::files::{self, FileError};
use crate::name::Name;
use crate::project::service::Service;
use crate::template::yaml::{self, Content, Loader, Node, go};
use crate::text::{self, neutral_line};

/// What the variables of a Compose file are read from.
const DOTENV: &str = ".env";

/// A service that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its name here.
    pub name: Name,
    /// It.
    pub service: Service,
}

/// What a Compose file says, in our words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The project's name.
    pub name: Name,
    /// Its services, in the order of the file.
    pub services: Vec<Taken>,
    /// What is not taken as it stands.
    pub left: Vec<Left>,
}

/// Reads the text of the Compose file at `file`, a path from the project's directory `root`. `name` is the project's,
/// where somebody said one; else the file's word counts, then the directory's name.
pub fn read(root: &Path, file: &Path, text: &str, name: Option<Name>) -> Result<Read, super::Error> {
    let top = document(file, text)?;
    let mut ledger = Ledger { file: file.display().to_string(), ..Ledger::default() };
    let directory = file.parent().unwrap_or(Path::new("")).to_owned();
    let place = Place { root: root.to_owned(), directory };
    let variables = variables(&place)?;
    let services = top.get("services").ok_or_else(|| wrong(file, &top, "`services` is missing", None))?;
    let Content::Mapping(_) = &services.content else {
        return Err(wrong(file, services, "`services` is no table of services", None).into());
    };
    let services: Vec<(String, usize, &Node)> = entries(services).collect();
    if services.is_empty() {
        return Err(wrong(file, &top, "it has no services", None).into());
    }
    let app = app(root, file, &top, name, &variables, &mut ledger)?;
    for (key, line, value) in entries(&top) {
        let known = matches!(key.as_str(), "services" | "name" | "version" | "volumes" | "secrets");
        if !known && !key.starts_with("x-") && !says_nothing(value) {
            ledger.left(line, &key, keys::of_file(&key));
        }
    }
    volumes(&top, &mut ledger);
    let names = names(file, &services, &mut ledger)?;
    let environments = services.iter().filter_map(|(_, _, node)| node.get("environment"));
    let secrets = environment::secrets(environments, &variables);
    let around = Around { place, variables, secrets, app, names };
    let mut taken = Vec::new();
    for (written, _, node) in &services {
        let Content::Mapping(_) = &node.content else {
            let message = format!("the service `{}` is no table", neutral_line(written, 60));
            return Err(wrong(file, node, &message, None).into());
        };
        let Some(name) = around.names.get(written) else { continue };
        ledger.service = Some(neutral_line(written, 60));
        if let Some(service) = service::take(&around, &mut ledger, node) {
            taken.push(Taken { name: name.clone(), service });
        }
    }
    without_strangers(&mut taken, &services, &around.names, &mut ledger);
    let mut left = ledger.left;
    left.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(Read { name: around.app, services: taken, left })
}

/// The one document of the file: a table.
pub(super) fn document(file: &Path, text: &str) -> Result<Node, DocumentError> {
    let bad = |bad: yaml::BadYaml| DocumentError::Wrong {
        path: file.to_owned(),
        line: bad.line,
        column: bad.column,
        message: bad.message,
        hint: None,
    };
    let mut documents = yaml::parse_as(text, Loader::Go).map_err(bad)?.into_iter();
    let top = documents.next();
    if let Some(second) = documents.next() {
        return Err(wrong(file, &second, "expected one document, and there is another", None));
    }
    match top {
        Some(top) if matches!(top.content, Content::Mapping(_)) => Ok(top),
        Some(other) => Err(wrong(file, &other, "expected a table with `services`", None)),
        None => {
            let path = file.to_owned();
            let message = "it is empty; expected a table with `services`".to_owned();
            Err(DocumentError::Wrong { path, line: 1, column: 1, message, hint: None })
        }
    }
}

fn wrong(file: &Path, node: &Node, message: &str, hint: Option<String>) -> DocumentError {
    DocumentError::Wrong {
        path: file.to_owned(),
        line: node.line,
        column: node.column,
        message: message.to_owned(),
        hint,
    }
}

/// The entries of a table: their keys, the lines of these, their values. Of a key that a merge brought and that is
/// said, too, what is said counts.
pub(super) fn entries(node: &Node) -> impl Iterator<Item = (String, usize, &Node)> {
    let pairs: &[(Node, Node)] = match &node.content {
        Content::Mapping(pairs) => pairs,
        _ => &[],
    };
    let last: HashMap<String, usize> = pairs.iter().enumerate().map(|(at, (key, _))| (key.key(), at)).collect();
    pairs.iter().enumerate().filter_map(move |(at, (key, value))| {
        let name = key.key();
        (last[&name] == at).then_some((name, key.line, value))
    })
}

/// The variables of the `.env` beside the file.
fn variables(place: &Place) -> Result<BTreeMap<String, String>, FileError> {
    let file = match files::confined(&place.root, &place.directory.join(DOTENV)) {
        Err(error) if error.is_not_found() => return Ok(BTreeMap::new()),
        other => other?,
    };
    Ok(dotenv::read(&files::read_text(&file, document::CAP)?))
}

/// What the project is called.
fn app(
    root: &Path,
    file: &Path,
    top: &Node,
    said: Option<Name>,
    variables: &BTreeMap<String, String>,
    ledger: &mut Ledger,
) -> Result<Name, DocumentError> {
    if let Some(name) = said {
        return Ok(name);
    }
    let hint = || Some("`--name NAME` says what the project is called".to_owned());
    if let Some(node) = top.get("name") {
        let written = go::text_of(node).unwrap_or_default();
        let filled = super::interpolate::fill(&written, &|name| variables.get(name).cloned());
        let filled = filled.map_err(|why| wrong(file, node, &why.to_string(), hint()))?.text;
        let none = || wrong(file, node, &format!("`{}` is no name", neutral_line(&filled, 60)), hint());
        let name = nearest(&filled).ok_or_else(none)?;
        if name.as_str() != filled {
            ledger.changed(node.line, "name", format!("the project is `{name}`"));
        }
        return Ok(name);
    }
    let directory = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let message = || format!("the directory's name, `{}`, is no name for the project", neutral_line(&directory, 60));
    nearest(&directory).ok_or_else(|| wrong(file, top, &message(), hint()))
}

/// The name that is nearest to a text; none where it has no letter of ours.
fn nearest(written: &str) -> Option<Name> {
    text::slug(written.trim_start_matches(|c: char| !c.is_ascii_alphabetic()), 40).parse().ok()
}

/// What the services are called here, by their names in the file. Two that would be one are an error; one that can have
/// no name is left.
fn names(
    file: &Path,
    services: &[(String, usize, &Node)],
    ledger: &mut Ledger,
) -> Result<BTreeMap<String, Name>, DocumentError> {
    let mut names = BTreeMap::new();
    let mut written_by: BTreeMap<Name, &str> = BTreeMap::new();
    for (written, line, _) in services {
        let Some(name) = nearest(written) else {
            let why =
                "a service's name is 1 to 40 lower-case letters, digits and single dashes, and begins with a letter";
            ledger.left(*line, &format!("services.{written}"), why);
            continue;
        };
        if let Some(other) = written_by.insert(name.clone(), written) {
            let [other, written] = [other, written].map(|name| neutral_line(name, 60));
            let message = format!("the services `{other}` and `{written}` are both `{name}` here");
            let hint = Some("rename one of them".to_owned());
            return Err(DocumentError::Wrong { path: file.to_owned(), line: *line, column: 1, message, hint });
        }
        if name.as_str() != written {
            let why = format!("it is `{name}` here: write that where others call it");
            ledger.changed(*line, &format!("services.{written}"), why);
        }
        names.insert(written.clone(), name);
    }
    Ok(names)
}

/// Names what is said of volumes.
fn volumes(top: &Node, ledger: &mut Ledger) {
    for (name, line, value) in top.get("volumes").into_iter().flat_map(entries) {
        if !says_nothing(value) {
            ledger.left(
                line,
                &format!("volumes.{name}"),
                "data is in a new volume of the sandbox's own, on the engine's disk",
            );
        }
    }
}

/// Takes needs out whose services were not taken.
fn without_strangers(
    taken: &mut [Taken],
    services: &[(String, usize, &Node)],
    names: &BTreeMap<String, Name>,
    ledger: &mut Ledger,
) {
    let there: BTreeSet<Name> = taken.iter().map(|one| one.name.clone()).collect();
    let written: HashMap<&Name, (&str, &Node)> =
        services.iter().filter_map(|(name, _, node)| Some((names.get(name)?, (name.as_str(), *node)))).collect();
    for one in taken {
        let (name, node) = written[&one.name];
        ledger.service = Some(neutral_line(name, 60));
        one.service.needs.retain(|need| {
            let stays = there.contains(&need.service);
            if !stays {
                let line = entries(node).find(|(key, ..)| key == "depends_on").map_or(node.line, |(_, line, _)| line);
                ledger.left(line, &format!("depends_on.{need}"), "that service is not taken");
            }
            stays
        });
    }
}
