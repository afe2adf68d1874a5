//! Questions whose answers nothing uses.

use super::{Findings, Rule, Severity, Subject, is_of};
use crate::catalog::jinja::COOKIECUTTER;

/// The rule.
pub struct Unused;

impl Rule for Unused {
    fn id(&self) -> &'static str {
        "unused-question"
    }

    fn about(&self) -> &'static str {
        "a question is asked, and no file, name, later question or command uses its answer"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        let shares = subject.block.manifest.as_ref().map(|manifest| manifest.shares.as_slice()).unwrap_or_default();
        for (index, question) in subject.block.template.questions.iter().enumerate() {
            let id = question.id.as_str();
            // What begins with an underscore speaks to the template's own tool.
            if id.starts_with('_') || shares.contains(&question.id) {
                continue;
            }
            let mut parsed = subject.perhaps().filter(|(text, _)| !is_of(&text.role, index));
            let used = parsed.any(|(_, parsed)| {
                parsed.uses.iter().any(|one| one.name == id || (one.name == COOKIECUTTER && !one.nested))
            });
            if !used {
                let cure = "use it, or drop it: a person answers it for nothing";
                findings.add(Severity::Warning, &question.place, format!("nothing uses `{id}`"), cure);
            }
        }
    }
}
