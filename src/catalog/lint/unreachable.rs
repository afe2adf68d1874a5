//! Files that no answers bring into a project.

use std::collections::BTreeSet;

use super::include::included;
use super::{Findings, Rule, Severity, Subject};

/// The rule.
pub struct Unreachable;

impl Rule for Unreachable {
    fn id(&self) -> &'static str {
        "unreachable-file"
    }

    fn about(&self) -> &'static str {
        "no answers bring a file into a project"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        let template = &subject.block.template;
        // What could not be rendered reaches who knows what.
        if subject.renders.is_empty() || subject.renders.iter().any(Result::is_err) || subject.cases.cut {
            return;
        }
        let root = subject.root();
        // A computed directory, or one that Copier reads its own files from: what lies there is not all meant for projects.
        if template.dialect != crate::template::Dialect::Block && root.is_empty() || root.contains("{{ ") {
            return;
        }
        let reached: BTreeSet<String> = subject
            .renders
            .iter()
            .flatten()
            .flat_map(|rendered| rendered.origins.values())
            .map(|origin| origin.source.to_string())
            .chain(
                subject
                    .parsed()
                    .flat_map(|(_, parsed)| parsed.includes.iter())
                    .filter_map(|one| included(template, &one.name)),
            )
            .collect();
        let rendered = template.source.paths().filter(|path| path.as_str().starts_with(&root));
        for path in rendered.filter(|path| !reached.contains(path.as_str())) {
            let cure = "drop it, or correct its name; where it takes an answer that was not tried, write that into \
                        tests/<case>/answers.toml";
            findings.add(Severity::Warning, path.as_str(), "no answers bring it into a project", cure);
        }
    }
}
