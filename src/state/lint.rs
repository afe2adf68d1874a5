//! What is wrong with a state repository, all of it at once: what does not parse, and what does not fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use serde::Serialize;

use super::policy::Rules;
use super::{Format, RULES, policy};
use crate::document::{self, DocumentError};
use crate::error::Fault;
use crate::name::Name;
use crate::project::service::Need;
use crate::task;
use crate::text::{did_you_mean, neutral_line};
use crate::tree::{Entry, Tree, TreePath};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, from the root of the repository.
    pub path: String,
    /// From 1; none where the whole file is meant.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What was probably meant, or what to do.
    pub hint: Option<String>,
}

/// A declaration that was read, and what of it others are held against. There can be ten thousands of them.
struct Declared<'t> {
    path: &'t str,
    entry: &'t Entry,
    services: Vec<(Name, Vec<Need>)>,
}

impl Declared<'_> {
    fn has(&self, service: &Name) -> bool {
        self.services.iter().any(|(name, _)| name == service)
    }
}

/// What was looked at, and what is wrong with it, by file and line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Linted {
    /// How many declarations there are.
    pub declarations: usize,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Looks at everything.
pub fn lint(tree: &Tree) -> Linted {
    let mut findings = Vec::new();
    let rules = rules(tree, &mut findings);
    let format = rules.as_ref().map(|rules| rules.format.clone()).unwrap_or_default();
    let mut files: Vec<(&str, Place, &Entry)> = Vec::new();
    let all: Box<dyn Iterator<Item = (&TreePath, &Entry)>> =
        if format.root().is_empty() { Box::new(tree.iter()) } else { Box::new(tree.inside(format.root())) };
    for (path, entry) in all {
        match place(path, &format, rules.as_ref()) {
            Ok(Some(place)) => files.push((path.as_str(), place, entry)),
            Ok(None) => {}
            Err(message) => findings.push(Finding::whole(path.as_str(), message)),
        }
    }
    let read = Mutex::new((Vec::new(), Vec::new()));
    let looked: Result<(), std::convert::Infallible> = task::each(&files, |(path, place, entry)| {
        let outcome = declaration(&format, path, place, entry);
        let mut read = read.lock().expect("nobody panics with it");
        match outcome {
            Ok(declared) => read.0.push((place, declared)),
            Err(finding) => read.1.push(finding),
        }
        Ok(())
    });
    let Ok(()) = looked;
    let (declared, wrong) = read.into_inner().expect("nobody panics with it");
    findings.extend(wrong);
    let mut environments: BTreeMap<&Name, BTreeMap<&Name, Declared<'_>>> = BTreeMap::new();
    for (place, declared) in declared {
        environments.entry(&place.environment).or_default().insert(&place.app, declared);
    }
    // What an app that could not be read declares is not known.
    let broken: BTreeSet<String> = findings.iter().map(|finding| finding.path.clone()).collect();
    for (environment, apps) in &environments {
        findings.extend(
            apps.iter().flat_map(|(app, declared)| missing_needs(&format, (environment, app), declared, apps, &broken)),
        );
    }
    findings.sort();
    Linted { declarations: files.len(), findings }
}

/// Where a declaration stands.
struct Place {
    environment: Name,
    app: Name,
}

/// Which declaration a file is; none for what is none, such as Puppet's code.
fn place(path: &TreePath, format: &Format, rules: Option<&Rules>) -> Result<Option<Place>, String> {
    let Some(named) = format.place(path.as_str()) else { return Ok(None) };
    let (environment, app) = named.map_err(|error| error.to_string())?;
    if let Some(rules) = rules
        && !rules.environments.iter().any(|known| known.name == environment)
    {
        return Err(format!("{RULES} has no environment `{environment}`: nobody reads this"));
    }
    Ok(Some(Place { environment, app }))
}

fn rules(tree: &Tree, findings: &mut Vec<Finding>) -> Option<Rules> {
    let Some(entry) = tree.get(RULES) else {
        findings.push(Finding::whole(RULES, "it is not there: it names the environments".to_owned()));
        return None;
    };
    let parsed = text(RULES, entry).and_then(|text| Ok(policy::parse(Path::new(RULES), &text)?));
    parsed.map_err(|finding| findings.push(finding)).ok()
}

fn declaration<'t>(format: &Format, path: &'t str, place: &Place, entry: &'t Entry) -> Result<Declared<'t>, Finding> {
    let text = text(path, entry)?;
    let services = format.read(Path::new(path), &place.environment, &place.app, &text)?.services;
    let services = services.into_iter().map(|(name, service)| (name, service.needs)).collect();
    Ok(Declared { path, entry, services })
}

fn text(path: &str, entry: &Entry) -> Result<String, Finding> {
    let Some(contents) = entry.contents() else {
        return Err(Finding::whole(path, "it is a symbolic link: what it leads to is not read".to_owned()));
    };
    if contents.len() as u64 > document::CAP {
        return Err(Finding::whole(path, format!("it is larger than {} KiB", document::CAP / 1024)));
    }
    let text = contents.text().ok_or_else(|| Finding::whole(path, "it is not UTF-8 text".to_owned()))?;
    Ok(text.to_string())
}

/// What services need and their environment does not declare.
fn missing_needs(
    format: &Format,
    (environment, app): (&Name, &Name),
    declared: &Declared<'_>,
    apps: &BTreeMap<&Name, Declared<'_>>,
    broken: &BTreeSet<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, needs) in &declared.services {
        for need in needs {
            let of = need.app.as_ref().unwrap_or(app);
            if broken.contains(&format.path(environment, of)) {
                continue;
            }
            let there = apps.get(of);
            if there.is_some_and(|there| there.has(&need.service)) {
                continue;
            }
            let (message, meant) = match there {
                None => (
                    format!("services.{name} needs `{need}`, and {environment} does not declare the app `{of}`"),
                    did_you_mean(of.as_str(), apps.keys().map(|app| app.as_str())),
                ),
                Some(there) => (
                    format!("services.{name} needs `{need}`, and {of} has no service `{}`", need.service),
                    did_you_mean(need.service.as_str(), there.services.iter().map(|(name, _)| name.as_str())),
                ),
            };
            let key = ["services", name.as_str(), "needs"];
            let Ok(text) = text(declared.path, declared.entry) else { continue };
            let offset = document::offset_of(&text, &key).unwrap_or_default();
            let wrong = document::wrong(Path::new(declared.path), &text, offset, message);
            let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
            findings.push(Finding { hint, ..wrong.into() });
        }
    }
    findings
}

impl Finding {
    fn whole(path: &str, message: String) -> Self {
        Self { path: neutral_line(path, 200), line: None, column: None, message, hint: None }
    }
}

impl From<DocumentError> for Finding {
    fn from(error: DocumentError) -> Self {
        let hint = error.hint();
        match error {
            DocumentError::Wrong { path, line, column, message, .. }
            | DocumentError::Refused { path, line, column, message, .. } => {
                Self { path: path.display().to_string(), line: Some(line), column: Some(column), message, hint }
            }
            DocumentError::Newer { path, .. } => {
                let message = "it has a schema that this onramp does not know".to_owned();
                Self { hint, ..Self::whole(&path.display().to_string(), message) }
            }
            DocumentError::File(error) => Self { hint, ..Self::whole("", error.to_string()) },
        }
    }
}
