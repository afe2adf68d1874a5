//! Which tests a change can affect: those of which something is not as it was when they last passed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::seed;
use super::{Error, ServiceId, View};
use crate::engine::{Engine, label};
use crate::files::{self, FileError};
use crate::name::Name;
use crate::reference::Digest;
use crate::task::blocking;

/// A listing of files that is longer is not made, in bytes: some fifty thousand files.
const MOST: usize = 8 * 1024 * 1024;

/// For each test what it depends on, as a digest: its own definition, that of the tests it needs, and each service that it can
/// reach: what its container was made from, the files that are shown in it, its seeds. What other tests did to the data is
/// not in it. None of a test that reaches files which cannot be read: it is never as it was.
pub type Inputs = BTreeMap<Name, Digest>;

/// Looks at what the tests of a sandbox that is up depend on.
pub async fn inputs(engine: &Engine, view: &View) -> Result<Inputs, Error> {
    let containers = engine.containers(&[(label::SANDBOX, view.id.as_str())]).await?;
    let label_of = |container: &crate::engine::Container, key: &str| container.labels.get(key).cloned();
    let made: BTreeMap<String, String> = containers
        .iter()
        .filter_map(|container| Some((label_of(container, label::SERVICE)?, label_of(container, label::SPEC)?)))
        .collect();
    let view = view.clone();
    blocking(move || of_tests(&view, &made)).await
}

/// Blocking: reads the files that are shown in containers, and the seeds.
fn of_tests(view: &View, made: &BTreeMap<String, String>) -> Result<Inputs, Error> {
    let tests = &view.project.manifest.tests;
    let seeds = view.seeds()?;
    let mut services: BTreeMap<&ServiceId, Option<String>> = BTreeMap::new();
    for member in &view.members {
        // What does not run is like nothing that ran before.
        let mut told = made.get(&member.id.to_string()).cloned().unwrap_or_default();
        let mut known = true;
        for local in member.service.sync.keys().filter(|_| member.own) {
            match shown(&view.project.root, local) {
                Some(digest) => told.push_str(&format!(" {digest}")),
                None => known = false,
            }
        }
        if let Some(seeds) = seeds.get(&member.id.service).filter(|_| member.own) {
            told.push_str(&format!(" {}", seeds.digest));
        }
        services.insert(&member.id, known.then_some(told));
    }
    let needs = |id: &ServiceId| view.members.iter().find(|member| member.id == *id).map(|member| &member.needs[..]);
    let mut inputs = Inputs::new();
    for name in tests.keys() {
        let mut told = String::new();
        let mut reached = BTreeSet::new();
        for test in reach(name.clone(), |name| &tests[name].needs) {
            let definition = &tests[&test];
            told.push_str(&format!("{test} {definition:?}\n"));
            let service = ServiceId { app: view.project.manifest.name.clone(), service: definition.r#in.clone() };
            reached.extend(reach(service, |id| needs(id).unwrap_or_default()));
        }
        let all = reached.iter().all(|id| match services.get(id) {
            Some(Some(service)) => {
                told.push_str(&format!("{id} {service}\n"));
                true
            }
            _ => false,
        });
        if all {
            inputs.insert(name.clone(), Digest::of(told.as_bytes()));
        }
    }
    Ok(inputs)
}

/// Everything that can be reached from there, itself included.
fn reach<'a, T: Ord + Clone + 'a>(from: T, needs: impl Fn(&T) -> &'a [T]) -> BTreeSet<T> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(one) = next.pop() {
        if reached.insert(one.clone()) {
            next.extend(needs(&one).iter().cloned());
        }
    }
    reached
}

/// The digest of what a container is shown of the project, with all that git and builds leave out: a mount does not. None of
/// what cannot be read, as what a container wrote there for itself, or is too much to be read for this.
fn shown(root: &Path, local: &str) -> Option<Digest> {
    let place = files::confined(root, Path::new(local)).ok()?;
    let plain = |path: &Path| path.as_os_str().as_encoded_bytes().escape_ascii().to_string();
    let mut told = String::new();
    let mut walk = WalkBuilder::new(&place);
    for found in walk.standard_filters(false).follow_links(false).sort_by_file_path(Path::cmp).build() {
        let found = found.ok()?;
        let kind = found.file_type()?;
        let holds = if kind.is_symlink() {
            plain(&std::fs::read_link(found.path()).ok()?)
        } else if kind.is_file() {
            format!("{:o} {}", found.metadata().ok()?.permissions().mode(), seed::digest(found.path()).ok()?)
        } else {
            "no file".to_owned()
        };
        told.push_str(&format!("{} {holds}\n", plain(found.path().strip_prefix(&place).ok()?)));
        if told.len() > MOST {
            return None;
        }
    }
    Some(Digest::of(told.as_bytes()))
}

/// With which inputs the tests of a project directory passed last.
pub struct Passed {
    place: PathBuf,
    inputs: Inputs,
}

impl Passed {
    /// Reads it. What cannot be read was written by another onramp: then no test has passed.
    pub fn find(state: &Path, root: &Path) -> Self {
        let key = Digest::of(root.as_os_str().as_encoded_bytes());
        let place = state.join("records").join(format!("{}.passed.json", key.short()));
        let inputs = files::read(&place, crate::document::CAP).ok();
        Self { inputs: inputs.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default(), place }
    }

    /// Whether the test passed with these inputs.
    pub fn with(&self, test: &Name, inputs: &Inputs) -> bool {
        inputs.get(test).is_some_and(|digest| self.inputs.get(test) == Some(digest))
    }

    /// With which inputs each test passed.
    pub fn inputs(self) -> Inputs {
        self.inputs
    }

    /// Keeps how tests went: green with these inputs, or not.
    pub fn keep(mut self, went: &BTreeMap<Name, bool>, inputs: &Inputs) -> Result<(), FileError> {
        for (test, green) in went {
            self.inputs.remove(test);
            self.inputs.extend(inputs.get(test).filter(|_| *green).map(|digest| (test.clone(), digest.clone())));
        }
        files::write(&self.place, &serde_json::to_vec(&self.inputs).expect("digests are plain data"))
    }
}
