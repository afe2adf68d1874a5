//! Templates that do not parse.

use super::{Findings, Rule, Severity, Subject};

/// The rule.
pub struct Syntax;

impl Rule for Syntax {
    fn id(&self) -> &'static str {
        "syntax"
    }

    fn about(&self) -> &'static str {
        "a template does not parse"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        for text in &subject.texts {
            if let Err(mistake) = &text.read {
                let cure = "correct it; what is not meant for Jinja goes between {% raw %} and {% endraw %}";
                findings.add(Severity::Error, &text.place(mistake.line), &mistake.message, cure);
            }
        }
    }
}
