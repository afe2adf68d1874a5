//! What a Compose file of a state repository says of its services, beside their images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::left::Ledger;
use super::place::Place;
use super::read::{document, entries};
use super::service::{self, Around};
use crate::document::DocumentError;
use crate::name::Name;
use crate::project::service::{Seed, Service};
use crate::template::yaml::{Content, Node, go};

/// The services by their names here; `called` has those by their names in the file at `path`. What a sandbox does not have, and what is
/// filled in where the file is used, is not among what they say; neither are images, builds and what only a project has.
pub fn declared(
    path: &Path,
    text: &str,
    app: &Name,
    called: &BTreeMap<String, Name>,
) -> Result<BTreeMap<Name, Service>, DocumentError> {
    let mut found = BTreeMap::new();
    if called.is_empty() {
        return Ok(found);
    }
    let top = document(path, text)?;
    let (place, names) = (Place::nowhere(), called.clone());
    let (variables, secrets) = (BTreeMap::new(), BTreeSet::new());
    let around = Around { place, variables, secrets, app: app.clone(), names };
    let mut ledger = Ledger::default();
    for (written, _, node) in top.get("services").into_iter().flat_map(entries) {
        let Some(name) = called.get(&written) else { continue };
        let Some(taken) = service::take(&around, &mut ledger, &built(node)) else { continue };
        let service = Service {
            fallback: None,
            publish: None,
            sync: BTreeMap::new(),
            seed: Seed::default(),
            replicas: replicas(node),
            ..taken
        };
        found.entry(name.clone()).or_insert(service);
    }
    Ok(found)
}

/// The same service, taken for built elsewhere.
fn built(node: &Node) -> Node {
    let Content::Mapping(pairs) = &node.content else { return node.clone() };
    let pairs = pairs.iter().filter(|(key, _)| key.key() != "build").cloned().collect();
    Node { content: Content::Mapping(pairs), ..*node }
}

/// How many of it run: Swarm's word, or Compose's.
fn replicas(node: &Node) -> Option<u32> {
    let said = node.get("deploy").and_then(|deploy| deploy.get("replicas")).or_else(|| node.get("scale"))?;
    go::text_of(said)?.parse().ok()
}
