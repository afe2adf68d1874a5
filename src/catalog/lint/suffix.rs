//! Files that are written as templates and copied as they are, because their names do not say that they are templates.

use std::collections::BTreeSet;

use super::{Findings, Rule, Severity, Subject};
use crate::catalog::{change, jinja};
use crate::template::Suffix as Ending;

/// Endings by which other tools know templates.
const OTHERS: [&str; 6] = [".j2", ".jinja2", ".jinja", ".tmpl", ".tpl", ".template"];

/// The rule.
pub struct Suffix;

impl Rule for Suffix {
    fn id(&self) -> &'static str {
        "suffix"
    }

    fn about(&self) -> &'static str {
        "a file uses questions as a template would, and its name does not say that it is one"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        let template = &subject.block.template;
        let Ending::Only(suffix) = &template.rules.suffix else { return };
        let Ok(syntax) = crate::template::engine::syntax(&template.label, &template.rules.syntax) else { return };
        let mut known = subject.facts();
        known.extend(template.questions.iter().map(|question| question.id.to_string()));
        let origins = subject.renders.iter().flatten().flat_map(|rendered| rendered.origins.values());
        let copied: BTreeSet<&str> =
            origins.filter(|origin| !origin.rendered).map(|origin| origin.source.as_str()).collect();
        // Where nothing could be rendered, any file may be one that is copied.
        let broken = subject.renders.iter().all(Result::is_err);
        let is_copied = |path: &str| {
            if broken {
                path.starts_with(&subject.root()) && !path.ends_with(suffix.as_str())
            } else {
                copied.contains(path)
            }
        };
        for (path, entry) in template.source.iter().filter(|(path, _)| is_copied(path.as_str())) {
            let Some(text) = entry.text().filter(|text| text.contains(syntax.variable_delimiters().0)) else {
                continue;
            };
            // What does not parse is the language of somebody else.
            let uses = jinja::read(&text, &syntax).unwrap_or_default().uses;
            let Some(one) = uses.iter().find(|one| known.contains(&one.name)) else { continue };
            let other = OTHERS.iter().find(|other| path.as_str().ends_with(*other));
            let name = change::without(path.file_name(), other.copied().unwrap_or_default());
            let message = format!("it uses `{}`, and is copied as it is", one.name);
            let cure = format!("call it {name}{suffix} to have it rendered");
            findings.add(Severity::Warning, &format!("{path}:{}", one.line), message, cure);
        }
    }
}
