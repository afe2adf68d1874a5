//! Variables that nobody sets: neither a question, nor onramp, nor the template itself; and questions that are used before
//! they are asked.

use std::collections::BTreeSet;

use super::{Findings, Role, Rule, Severity, Subject};
use crate::catalog::jinja::{COOKIECUTTER, yielded};
use crate::template::{Dialect, Undefined as Mode};
use crate::text::did_you_mean;

/// What Jinja and the dialects bring: functions, and variables that are there in some places only.
const BROUGHT: [&str; 29] = [
    // Refused where they are called, with the reason.
    "random_ascii_string",
    "uuid4",
    "make_secret",
    "__now",
    "__changeable",
    "pathjoin",
    "_cookiecutter",
    "range",
    "dict",
    "debug",
    "namespace",
    "cycler",
    "joiner",
    "lipsum",
    "now",
    "random",
    "loop",
    "self",
    "super",
    "caller",
    "varargs",
    "kwargs",
    "UNSET",
    "_stage",
    "_version_from",
    "_version_to",
    "_version_current",
    "_version_pep440_from",
    "_version_pep440_to",
];

/// The rule.
pub struct Undefined;

impl Rule for Undefined {
    fn id(&self) -> &'static str {
        "undefined-variable"
    }

    fn about(&self) -> &'static str {
        "a template uses a variable that nothing sets, or a question before it is asked"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        let template = &subject.block.template;
        let facts = subject.facts();
        let questions: Vec<&str> = template.questions.iter().map(|question| question.id.as_str()).collect();
        // A name's `yield` sets a variable for the file, too.
        let names: BTreeSet<String> = template.source.paths().flat_map(|path| yielded(path.as_str())).collect();
        let nested = template.dialect == Dialect::Cookiecutter;
        for (text, parsed) in subject.parsed() {
            for one in parsed.uses.iter().filter(|one| !one.guarded) {
                let name = one.name.as_str();
                let known =
                    facts.contains(name) || BROUGHT.contains(&name) || names.contains(name) || name == COOKIECUTTER;
                if known && one.nested == nested || BROUGHT.contains(&name) || (nested && name == COOKIECUTTER) {
                    continue;
                }
                let asked = questions.iter().position(|id| *id == name).filter(|_| one.nested == nested);
                match (asked, &text.role) {
                    (Some(index), Role::Question(own)) if index >= *own => {
                        let who = questions[*own];
                        let message = if index == *own {
                            format!("`{who}` decides on itself: it has no answer yet")
                        } else {
                            format!("`{who}` uses `{name}`, which is asked after it")
                        };
                        findings.add(Severity::Error, &text.place(one.line), message, "move the question up");
                    }
                    (Some(_), _) => {}
                    (None, _) => {
                        let shown = if one.nested { format!("cookiecutter.{name}") } else { name.to_owned() };
                        let candidates = questions.iter().copied().chain(facts.iter().map(String::as_str));
                        let cure = match did_you_mean(name, candidates) {
                            Some(meant) => format!("did you mean `{meant}`?"),
                            None => format!("ask it, or write {{{{ {shown} | default('…') }}}}"),
                        };
                        let severity =
                            if template.rules.undefined == Mode::Strict { Severity::Error } else { Severity::Warning };
                        findings.add(severity, &text.place(one.line), format!("nothing sets `{shown}`"), cure);
                    }
                }
            }
        }
    }
}
