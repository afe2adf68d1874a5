//! The way of an app through the environments, as a picture that forges draw: Mermaid's flowchart.

use std::fmt::Write;

use crate::name::Name;
use crate::release::background::Stage;

/// The picture; nothing where there is only one environment.
pub fn render(path: &[Stage], to: &Name) -> String {
    if path.len() < 2 {
        return String::new();
    }
    let mut text = "```mermaid\nflowchart LR\n".to_owned();
    for (at, stage) in path.iter().enumerate() {
        // Names are letters, digits and dashes: nothing in them ends the text. Identifiers are ours: `end` would be none.
        let runs = match stage.runs.as_ref().and_then(|image| image.digest()) {
            Some(digest) => digest.short().to_owned(),
            None => "nothing yet".to_owned(),
        };
        let _ = writeln!(text, "  e{at}[\"{}<br>{runs}\"]", stage.environment);
    }
    for (at, stage) in path.iter().enumerate() {
        if let Some(after) = stage.after {
            let arrow = if stage.environment == *to { "==>" } else { "-->" };
            let _ = writeln!(text, "  e{after} {arrow} e{at}");
        }
    }
    if let Some(at) = path.iter().position(|stage| stage.environment == *to) {
        let _ = writeln!(text, "  style e{at} stroke-width:3px");
    }
    text.push_str("```\n");
    text
}
