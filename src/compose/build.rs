//! What a service is made from: an image, or the project's code on a base image.

use std::collections::BTreeMap;
use std::path::Path;

use super::dockerfile::{self, BASE};
use super::image;
use super::place::Leads;
use super::read::entries;
use super::service::{Taking, says_nothing};
use crate::document;
use crate::files;
use crate::project::service::Build;
use crate::reference::ImageRef;
use crate::template::yaml::{Content, Node, go};

/// What a Dockerfile is called.
const DOCKERFILE: &str = "Dockerfile";

/// Takes `image`: what runs until the environment declares the service. None where it cannot.
pub(super) fn image(taking: &mut Taking<'_>, line: usize, node: &Node) -> Option<()> {
    let node = taking.filled(node, "image")?;
    let name = go::text_of(&node).unwrap_or_default();
    taking.service.fallback = Some(reference(taking, line, "image", &name)?);
    Some(())
}

fn reference(taking: &mut Taking<'_>, line: usize, key: &str, name: &str) -> Option<ImageRef> {
    let Ok(image) = image::whole(name) else {
        taking.ledger.left(line, key, format!("`{name}` names no image"));
        return None;
    };
    if !image::is_pinned(name) {
        taking.ledger.changed(line, key, format!("it has no tag: `{image}`, as it is when it is locked"));
    }
    Some(image)
}

/// Takes `build`. None where the service cannot be built here.
pub(super) fn build(taking: &mut Taking<'_>, line: usize, node: &Node) -> Option<()> {
    let node = taking.filled(node, "build")?;
    let (written, arguments) = match &node.content {
        Content::Mapping(_) => {
            let context = node.get("context").and_then(go::text_of);
            (context.unwrap_or_else(|| ".".to_owned()), arguments(&node))
        }
        _ => (go::text_of(&node).unwrap_or_default(), BTreeMap::new()),
    };
    name_the_rest(taking, &node);
    let context = match taking.around.place.leads(&written) {
        Leads::Inside(context) => context,
        Leads::Nowhere => {
            taking.ledger.left(line, "build", format!("`{written}` is no directory of this project"));
            return None;
        }
        Leads::Outside => {
            taking.ledger.refused(line, "build", format!("`{written}` is not in the project"));
            return None;
        }
    };
    let base = match arguments.get(BASE) {
        Some(base) => reference(taking, line, "build.args.BASE", base)?,
        None => of_dockerfile(taking, line, &node, &context, &arguments)?,
    };
    taking.service.build = Some(Build { context, base });
    Some(())
}

/// Names what `build` says besides.
fn name_the_rest(taking: &mut Taking<'_>, node: &Node) {
    let Content::Mapping(_) = &node.content else { return };
    for (key, line, value) in entries(node).filter(|(_, _, value)| !says_nothing(value)) {
        let why = match key.as_str() {
            "context" => continue,
            "dockerfile" if go::text_of(value).as_deref() == Some(DOCKERFILE) => continue,
            "dockerfile" => "onramp builds the Dockerfile of the context: rename this one",
            "args" if arguments(node).keys().all(|name| name == BASE) => continue,
            "args" => "the only build argument is BASE: write the others as defaults (ARG NAME=value)",
            "target" => "the last stage is what is built",
            "privileged" | "entitlements" | "network" | "ssh" | "secrets" | "extra_hosts" => {
                taking.ledger.refused(
                    line,
                    &format!("build.{key}"),
                    "a build gets nothing but its context and its base",
                );
                continue;
            }
            _ => "a build gets nothing but its context and its base",
        };
        taking.ledger.left(line, &format!("build.{key}"), why);
    }
}

/// The build arguments that have values.
fn arguments(node: &Node) -> BTreeMap<String, String> {
    let Some(node) = node.get("args") else { return BTreeMap::new() };
    match &node.content {
        Content::Sequence(items) => {
            let one = |item: &Node| {
                go::text_of(item)?.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
            };
            items.iter().filter_map(one).collect()
        }
        Content::Mapping(_) => entries(node).filter_map(|(name, _, node)| Some((name, go::text_of(node)?))).collect(),
        _ => BTreeMap::new(),
    }
}

/// The base image that a Dockerfile names.
fn of_dockerfile(
    taking: &mut Taking<'_>,
    line: usize,
    node: &Node,
    context: &str,
    arguments: &BTreeMap<String, String>,
) -> Option<ImageRef> {
    let named = node.get("dockerfile").and_then(go::text_of);
    let file = Path::new(context).join(named.as_deref().unwrap_or(DOCKERFILE));
    let file: std::path::PathBuf = file.components().filter(|part| *part != std::path::Component::CurDir).collect();
    let shown = file.display().to_string();
    let found = files::confined(&taking.around.place.root, &file)
        .and_then(|path| files::read_text(&path, document::CAP))
        .map_err(|error| crate::error::chain(&error).replace(&taking.around.place.root.display().to_string(), "."))
        .and_then(|text| dockerfile::base(&text, arguments));
    let from = match found {
        Ok(from) => from,
        Err(why) => {
            let why = format!("`base` is to be what {shown} is built on, and {why}");
            taking.ledger.left(line, "build", why);
            return None;
        }
    };
    let base = reference(taking, line, "build", &from.image)?;
    if !from.takes_base {
        let name = &from.image;
        let why = format!(
            "it does not ask for its base: write `ARG BASE={name}` above it and `FROM $BASE`, and the lock decides"
        );
        let compose = std::mem::replace(&mut taking.ledger.file, shown);
        taking.ledger.changed(from.line, "FROM", why);
        taking.ledger.file = compose;
    }
    Some(base)
}
