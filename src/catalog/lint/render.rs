//! Answer sets with which the block cannot be rendered at all.

use std::collections::BTreeMap;

use super::{Findings, Rule, Severity, Subject};
use crate::template::Error;

/// The rule.
pub struct Render;

impl Rule for Render {
    fn id(&self) -> &'static str {
        "render"
    }

    fn about(&self) -> &'static str {
        "with some answers, the block cannot be rendered"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        let mut told: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
        for (case, render) in subject.cases.cases.iter().zip(&subject.renders) {
            if let Err(error) = render {
                told.entry(located(error)).or_default().push(&case.name);
            }
        }
        // What another rule explained is not told again.
        for ((place, message), cases) in told {
            if findings.has_error(&place) {
                continue;
            }
            let more = if cases.len() > 1 { format!(" and {} more", cases.len() - 1) } else { String::new() };
            let cure = format!("with {}{more}: `onramp catalog test {}` shows them", cases[0], subject.block.id.name);
            findings.add(Severity::Error, &place, message, cure);
        }
        for error in &subject.cases.failed {
            if let Error::NoAnswer { question, .. } = error {
                let message = format!("`{question}` has no default, and no answer that was tried is one that it takes");
                let cure = format!("write one into tests/<case>/answers.toml: {question} = …");
                findings.add(Severity::Warning, &subject.asked_at(question.as_str()), message, cure);
            } else {
                let (place, message) = located(error);
                if !findings.has_error(&place) {
                    findings.add(Severity::Error, &place, message, "correct the question");
                }
            }
        }
        if subject.cases.cut {
            let message = format!("only the first {} answer sets were tried", subject.cases.cases.len());
            findings.add(Severity::Note, "", message, "ask fewer questions with many choices");
        }
    }
}

/// Where an error is, and what it says.
fn located(error: &Error) -> (String, String) {
    match error {
        Error::Wrong { place, message, .. } => (place.clone(), message.clone()),
        Error::Refused { place, why, .. } => (place.clone(), why.clone()),
        Error::NeedsPython { place, what, .. } => (place.clone(), format!("it needs Python: {what}")),
        other => (String::new(), other.to_string()),
    }
}
