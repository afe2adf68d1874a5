//! Variables of a service: plain values, and secrets, whose values are written nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::interpolate;
use super::read::entries;
use super::secret;
use super::service::Taking;
use crate::project::service::{EnvValue, Secret, is_secret_name};
use crate::sandbox::SecretFiles;
use crate::template::yaml::{Content, Node, go};
use crate::text;

/// A variable as it is written, and where: its value is none where it comes from outside.
type Written = (String, Option<String>, usize);

/// The variables of a map or a list. What is neither is left out.
fn written(node: &Node) -> Vec<Written> {
    match &node.content {
        Content::Mapping(_) => entries(node).map(|(name, line, node)| (name, go::text_of(node), line)).collect(),
        Content::Sequence(items) => {
            let one = |item: &Node| {
                let text = go::text_of(item)?;
                let (name, value) = match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                };
                Some((name, value, item.line))
            };
            items.iter().filter_map(one).collect()
        }
        _ => Vec::new(),
    }
}

/// The variables of `.env` that are secrets: their own names say so, or those of what they are given to.
pub(super) fn secrets<'a>(
    environments: impl Iterator<Item = &'a Node>,
    known: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let mut secrets: BTreeSet<String> = known.keys().filter(|name| is_secret_name(name)).cloned().collect();
    for (name, value, _) in environments.flat_map(written) {
        if is_secret_name(&name)
            && let Ok(filled) = interpolate::fill(&value.unwrap_or_default(), &|name| known.get(name).cloned())
        {
            secrets.extend(filled.used);
        }
    }
    secrets
}

/// Takes `environment`.
pub(super) fn take(taking: &mut Taking<'_>, node: &Node, granted: &mut BTreeMap<String, String>) {
    for (name, value, line) in written(node) {
        let key = format!("environment.{name}");
        if name.is_empty() || name.contains('\0') {
            taking.ledger.left(line, &key, "it is no variable's name");
            continue;
        }
        let value = value.unwrap_or_else(|| format!("${{{name}}}"));
        if let Some(secret) = secret::of_value(&value) {
            taking.service.env.insert(name, EnvValue::Secret(Secret { secret, file: false }));
            continue;
        }
        if let Some(secret) = granted.remove(&value) {
            let mut secret = named(taking, &secret);
            secret.file = true;
            taking.ledger.changed(line, &key, format!("the file is {}", SecretFiles::path(&secret.secret)));
            taking.service.env.insert(name, EnvValue::Secret(secret));
            continue;
        }
        if let Some(value) = of_env_file(taking, &value, line, &key).or_else(|| {
            let text = taking.text(&value, line, &key)?;
            Some(EnvValue::Plain(text))
        }) {
            taking.service.env.insert(name, value);
        }
    }
}

/// The secret that a value is which is one secret variable of `.env`, and nothing else.
fn of_env_file(taking: &mut Taking<'_>, value: &str, line: usize, key: &str) -> Option<EnvValue> {
    let filled = interpolate::fill(value, &|name| taking.around.variables.get(name).cloned()).ok()?;
    let variable = filled.used.first().filter(|name| taking.around.secrets.contains(*name))?;
    if taking.around.variables.get(variable) != Some(&filled.text) {
        return None;
    }
    taking.ledger.changed(
        line,
        key,
        "a secret: a sandbox makes a value of its own, and that of .env is not written down",
    );
    Some(EnvValue::Secret(named(taking, variable)))
}

fn named(taking: &Taking<'_>, name: &str) -> Secret {
    Secret { secret: format!("{}/{}", taking.around.app, text::slug(name, 60)), file: false }
}

/// The secrets that a service is granted: the path of each in its container, and its name.
pub(super) fn granted(taking: &mut Taking<'_>, node: &Node) -> BTreeMap<String, String> {
    let Some(filled) = taking.filled(node, "secrets") else { return BTreeMap::new() };
    let Content::Sequence(items) = &filled.content else { return BTreeMap::new() };
    let field = |item: &Node, key: &str| item.get(key).and_then(go::text_of);
    let one = |item: &Node| {
        let source = go::text_of(item).or_else(|| field(item, "source"))?;
        let target = field(item, "target").unwrap_or_else(|| source.clone());
        let path = if target.starts_with('/') { target } else { format!("{}{target}", secret::DIRECTORY) };
        Some((path, source))
    };
    items.iter().filter_map(one).collect()
}
