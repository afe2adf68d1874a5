//! One service of a Compose file in our words. What each key means is in the file of its subject; what is not taken, in
//! [`super::keys`].

use std::collections::{BTreeMap, BTreeSet};

use super::left::Ledger;
use super::place::Place;
use super::ports::{self, Port};
use super::read::entries;
use super::{build, environment, health, interpolate, keys, limits, program, volumes};
use crate::engine::{CAPABILITIES, SCRATCH, TMPFS};
use crate::name::Name;
use crate::project::manifest::is_user;
use crate::project::safety;
use crate::project::service::{Need, Ready, Service};
use crate::template::yaml::{Content, Node, go};

/// What is around the services of a file.
#[derive(Debug)]
pub(super) struct Around {
    /// Where the file stands.
    pub place: Place,
    /// The variables of `.env`.
    pub variables: BTreeMap<String, String>,
    /// Those of them that are secrets.
    pub secrets: BTreeSet<String>,
    /// The project.
    pub app: Name,
    /// The names of the services here, by those in the file.
    pub names: BTreeMap<String, Name>,
}

/// A service while it is taken.
pub(super) struct Taking<'a> {
    /// What is around it.
    pub around: &'a Around,
    /// What is left of it.
    pub ledger: &'a mut Ledger,
    /// What was taken.
    pub service: Service,
}

/// Whether a value says no more than its absence would.
pub(super) fn says_nothing(node: &Node) -> bool {
    match &node.content {
        Content::Scalar(value) => go::text(value).is_none_or(|text| text.is_empty() || text == "false"),
        Content::Sequence(items) => items.is_empty(),
        Content::Mapping(pairs) => pairs.is_empty(),
        Content::Tagged(..) => false,
    }
}

/// Takes a service; none where it has nothing to run here.
pub(super) fn take(around: &Around, ledger: &mut Ledger, node: &Node) -> Option<Service> {
    let mut taking = Taking { around, ledger, service: Service::default() };
    let said: Vec<(String, usize, &Node)> = entries(node).collect();
    let find = |key: &str| said.iter().find(|(name, ..)| name == key).map(|(_, line, node)| (*line, *node));
    let told = |key: &str| find(key).filter(|(_, node)| !says_nothing(node));
    for (key, line, value) in &said {
        if keys::TAKEN.contains(&key.as_str()) || key.starts_with("x-") || says_nothing(value) {
            continue;
        }
        let value = value.value().unwrap_or_default();
        if keys::holds_anyway(key, &value) {
            continue;
        }
        let text = go::text(&value).unwrap_or_default();
        let (standing, why) = keys::of_service(key, &text);
        taking.ledger.note(standing, *line, key, why);
    }
    match (told("build"), told("image")) {
        (Some((line, node)), image) => {
            build::build(&mut taking, line, node)?;
            if let Some((line, _)) = image {
                taking.ledger.left(line, "image", "onramp names what it builds");
            }
        }
        (None, Some((line, node))) => build::image(&mut taking, line, node)?,
        (None, None) => {
            taking.ledger.left(node.line, "image", "it has neither `image` nor `build`, so nothing can run");
            return None;
        }
    }
    program::take(&mut taking, find("entrypoint").filter(|(_, node)| !is_null(node)), told("command"));
    let mut granted = told("secrets").map(|(_, node)| environment::granted(&mut taking, node)).unwrap_or_default();
    if let Some((_, node)) = told("environment") {
        environment::take(&mut taking, node, &mut granted);
    }
    for name in granted.values() {
        let line = told("secrets").map_or(node.line, |(line, _)| line);
        let why = "no variable has its path: write env = { NAME_FILE = { secret = \"app/name\", file = true } }";
        taking.ledger.left(line, &format!("secrets.{name}"), why);
    }
    taking.ports(told("ports"), told("expose"), told("healthcheck"));
    if let Some((_, node)) = told("volumes") {
        volumes::take(&mut taking, node);
    }
    if let Some((line, node)) = told("depends_on") {
        taking.needs(line, node);
    }
    if let Some((_, node)) = told("platform") {
        taking.service.platform = taking.filled(node, "platform").as_ref().and_then(go::text_of);
    }
    if let Some((line, node)) = told("user")
        && let Some(user) = taking.filled(node, "user").as_ref().and_then(go::text_of)
    {
        if is_user(&user) {
            taking.service.user = Some(user);
        } else {
            taking.ledger.left(line, "user", "it is no name or number of a user, with or without one of a group");
        }
    }
    limits::take(&mut taking, node);
    if let Some((line, node)) = told("cap_add") {
        taking.capabilities(line, node);
    }
    if let Some((_, node)) = told("read_only") {
        taking.service.read_only =
            taking.filled(node, "read_only").as_ref().and_then(go::text_of).map(|said| said == "true");
    }
    if let Some((line, node)) = told("tmpfs") {
        taking.in_memory(line, node);
    }
    if taking.service.read_only == Some(true) && !taking.service.seed.files().is_empty() {
        let line = told("read_only").map_or(node.line, |(line, _)| line);
        taking.ledger.left(line, "read_only", "seed files are put among the image's files");
        taking.service.read_only = None;
    }
    Some(taking.service)
}

fn is_null(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar(value) if value.is_null())
}

impl Taking<'_> {
    /// A text with its variables filled in. One that cannot be is named; so is one that would write a secret of `.env`
    /// down.
    pub fn text(&mut self, text: &str, line: usize, key: &str) -> Option<String> {
        match interpolate::fill(text, &|name| self.around.variables.get(name).cloned()) {
            Ok(filled) => {
                self.ledger.taken += filled.text.len();
                if self.ledger.taken > interpolate::MOST {
                    self.ledger.left(line, key, "the file is more than is read, its variables filled in");
                    return None;
                }
                let Some(secret) = filled.used.iter().find(|name| self.around.secrets.contains(*name)) else {
                    return Some(filled.text);
                };
                let why = format!(
                    "`{secret}` of .env is a secret, and would be written down: give it as a variable of its own"
                );
                self.ledger.left(line, key, why);
                None
            }
            Err(interpolate::Unfilled::NoValue(name)) => {
                self.ledger.left(line, key, format!("`{name}` has no value in .env, and no default"));
                None
            }
            Err(why) => {
                self.ledger.left(line, key, why.to_string());
                None
            }
        }
    }

    /// A value with its variables filled in. What cannot be is named, and is not in it.
    pub fn filled(&mut self, node: &Node, key: &str) -> Option<Node> {
        let content = match &node.content {
            Content::Scalar(crate::template::Value::String(text)) => {
                Content::Scalar(self.text(text, node.line, key)?.into())
            }
            Content::Scalar(value) => Content::Scalar(value.clone()),
            Content::Sequence(items) => {
                Content::Sequence(items.iter().filter_map(|item| self.filled(item, key)).collect())
            }
            Content::Mapping(pairs) => {
                let pairs = pairs.iter().filter_map(|(name, value)| {
                    let value = self.filled(value, &format!("{key}.{}", name.key()))?;
                    Some((name.clone(), value))
                });
                Content::Mapping(pairs.collect())
            }
            Content::Tagged(tag, _) => {
                self.ledger.left(node.line, key, format!("the tag `{tag}` has no meaning here"));
                return None;
            }
        };
        Some(Node { line: node.line, column: node.column, content })
    }

    /// The one port of the service, and when it is ready.
    fn ports(
        &mut self,
        published: Option<(usize, &Node)>,
        exposed: Option<(usize, &Node)>,
        check: Option<(usize, &Node)>,
    ) {
        let mut found: Vec<(usize, Port)> = Vec::new();
        for item in published.and_then(|(_, node)| self.filled(node, "ports")).iter().flat_map(items) {
            match ports::read(item) {
                Ok(port) => found.push((item.line, port)),
                Err(why) => self.ledger.left(item.line, "ports", why),
            }
        }
        if found.is_empty() {
            let exposed = exposed.and_then(|(_, node)| self.filled(node, "expose"));
            let exposed = exposed.iter().flat_map(items).filter_map(|item| Some((item.line, ports::exposed(item)?)));
            found.extend(exposed.map(|(line, container)| (line, Port { container, published: None, address: None })));
        }
        let asked = check.and_then(|(line, node)| self.check(line, node));
        let asked_port = asked.as_ref().map(|(_, port, _)| *port);
        let chosen = found.iter().position(|(_, port)| Some(port.container) == asked_port).unwrap_or(0);
        for (at, (line, port)) in found.iter().enumerate() {
            if at != chosen {
                let why =
                    format!("{}: a service has one port, and that is {}", port.container, found[chosen].1.container);
                self.ledger.left(*line, "ports", why);
            } else if port.address.as_deref().is_some_and(|at| !matches!(at, "127.0.0.1" | "::1" | "localhost")) {
                self.ledger.changed(*line, "ports", "a sandbox publishes on 127.0.0.1 alone");
            }
        }
        self.service.port = found.get(chosen).map(|(_, port)| port.container).or(asked_port);
        self.service.publish = found.get(chosen).and_then(|(_, port)| port.published);
        if let Some((line, port, http)) = asked {
            if self.service.port == Some(port) {
                self.service.ready = Some(Ready { http });
            } else {
                self.ledger.left(line, "healthcheck", format!("it asks port {port}, which is not the service's"));
            }
        }
    }

    /// The line, port and path of a health check that asks over HTTP. How often it asks is onramp's own matter.
    fn check(&mut self, line: usize, node: &Node) -> Option<(usize, u16, String)> {
        let node = self.filled(node, "healthcheck")?;
        let test = node.get("test").filter(|test| !says_nothing(test))?;
        let words: Vec<String> = match &test.content {
            Content::Sequence(items) => items.iter().filter_map(go::text_of).collect(),
            _ => vec![go::text_of(test)?],
        };
        if words.first().is_some_and(|word| word == "NONE")
            || node.get("disable").is_some_and(|node| !says_nothing(node))
        {
            return None;
        }
        let asked = health::http(&words);
        if asked.is_none() {
            self.ledger.changed(line, "healthcheck", "it asks nothing over HTTP: onramp waits until the port answers");
        }
        asked.map(|(port, path)| (line, port, path))
    }

    /// What it may do beside what every service may.
    fn capabilities(&mut self, line: usize, node: &Node) {
        let Some(node) = self.filled(node, "cap_add") else { return };
        for name in items(&node).filter_map(go::text_of) {
            let name = safety::plain(&name);
            if safety::MORE.contains(&name.as_str()) {
                self.service.cap_add.push(name);
            } else if !CAPABILITIES.contains(&name.as_str()) {
                self.ledger.refused(line, "cap_add", format!("{name}: {}", keys::OPEN));
            }
        }
    }

    /// Directories in memory: one or a list, each maybe with options.
    fn in_memory(&mut self, line: usize, node: &Node) {
        let Some(node) = self.filled(node, "tmpfs") else { return };
        for text in go::text_of(&node).into_iter().chain(items(&node).filter_map(go::text_of)) {
            let (path, options) = text.split_once(':').unwrap_or((&text, ""));
            if !path.starts_with('/') || path.contains("..") {
                self.ledger.left(line, "tmpfs", "it is no absolute path in the container");
                continue;
            }
            if !options.is_empty() && options != TMPFS {
                self.ledger.changed(
                    line,
                    "tmpfs",
                    "each holds 256 MiB, and everybody in the container may write to it",
                );
            }
            // What cannot write to its image has these anyway.
            if self.service.read_only != Some(true) || !SCRATCH.contains(&path) {
                self.service.tmpfs.push(path.to_owned());
            }
        }
    }

    /// What must be ready first.
    fn needs(&mut self, line: usize, node: &Node) {
        let named = entries(node).map(|(name, line, node)| (name, line, node.get("condition").and_then(go::text_of)));
        let listed = items(node).filter_map(|item| Some((go::text_of(item)?, item.line, None)));
        let needed: Vec<(String, usize, Option<String>)> = named.chain(listed).collect();
        if needed.is_empty() {
            self.ledger.left(line, "depends_on", "expected a list or a table of services");
        }
        for (name, line, condition) in needed {
            let key = format!("depends_on.{name}");
            if condition.as_deref() == Some("service_completed_successfully") {
                self.ledger.left(line, &key, "onramp waits for services that answer, not for one that ends");
            } else if let Some(service) = self.around.names.get(&name) {
                self.service.needs.push(Need { app: None, service: service.clone() });
            } else {
                self.ledger.left(line, &key, "the file has no such service");
            }
        }
    }
}

fn items(node: &Node) -> impl Iterator<Item = &Node> {
    let items: &[Node] = match &node.content {
        Content::Sequence(items) => items,
        _ => &[],
    };
    items.iter()
}
