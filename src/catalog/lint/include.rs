//! Includes and imports of files that are not there.

use super::{Findings, Rule, Severity, Subject};
use crate::text::did_you_mean;

/// The rule.
pub struct Include;

impl Rule for Include {
    fn id(&self) -> &'static str {
        "missing-include"
    }

    fn about(&self) -> &'static str {
        "a template includes or imports a file that the block does not have"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        let source = &subject.block.template.source;
        for (text, parsed) in subject.parsed() {
            for (name, line) in parsed.includes.iter().filter(|(name, _)| source.get(name).is_none()) {
                let cure = match did_you_mean(name, source.paths().map(crate::tree::TreePath::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`? Paths begin at the block's directory"),
                    None => "paths begin at the block's directory".to_owned(),
                };
                findings.add(Severity::Error, &text.place(*line), format!("`{name}` is not in the block"), cure);
            }
        }
    }
}
