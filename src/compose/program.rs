//! What a service runs: `entrypoint` and `command`.

use super::service::Taking;
use super::words;
use crate::template::yaml::{Content, Node, go};

/// Takes `entrypoint` and `command`, which become the one `command` of a service.
pub(super) fn take(taking: &mut Taking<'_>, entry_point: Option<(usize, &Node)>, command: Option<(usize, &Node)>) {
    let entry_point = entry_point.and_then(|(line, node)| {
        let words = words(taking, line, node, "entrypoint")?;
        let why = if words.is_empty() {
            "the image's own entry point stays"
        } else {
            "the image's own entry point stays, and is given this as the command"
        };
        taking.ledger.changed(line, "entrypoint", why);
        Some(words)
    });
    let mut program = entry_point.unwrap_or_default();
    if let Some((line, node)) = command {
        let Some(words) = words(taking, line, node, "command") else { return };
        program.extend(words);
    }
    if !program.is_empty() {
        taking.service.command = Some(program);
    }
}

/// The words of a line or a list, if each of them has a value.
fn words(taking: &mut Taking<'_>, line: usize, node: &Node, key: &str) -> Option<Vec<String>> {
    let before = taking.ledger.left.len();
    let node = taking.filled(node, key)?;
    if taking.ledger.left.len() > before {
        return None;
    }
    let found = match &node.content {
        Content::Sequence(items) => items.iter().map(go::text_of).collect(),
        Content::Scalar(value) => words::split(&go::text(value).unwrap_or_default()),
        _ => None,
    };
    if found.is_none() {
        taking.ledger.left(line, key, "only a shell could run this: write it as [\"sh\", \"-c\", \"…\"]");
    }
    found
}
