//! Includes and imports of files that are not there.

use super::{Findings, Rule, Severity, Subject};
use crate::template::{Dialect, Template};
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
        let template = &subject.block.template;
        let source = &template.source;
        let missing = |name: &str| included(template, name).is_none();
        for (text, parsed) in subject.parsed() {
            for one in parsed.includes.iter().filter(|one| one.needed && missing(&one.name)) {
                let cure = match did_you_mean(&one.name, source.paths().map(crate::tree::TreePath::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`? Paths begin at the block's directory"),
                    None => "paths begin at the block's directory".to_owned(),
                };
                let message = format!("`{}` is not in the block", one.name);
                findings.add(Severity::Error, &text.place(one.line), message, cure);
            }
        }
    }
}

/// The path of a file that a template includes by this name.
pub fn included(template: &Template, name: &str) -> Option<String> {
    let directories = match template.dialect {
        // As Cookiecutter has them.
        Dialect::Cookiecutter => vec![format!("{}/", template.rules.subdirectory), "templates/".to_owned()],
        Dialect::Block | Dialect::Copier => vec![String::new()],
    };
    let paths = directories.into_iter().map(|directory| format!("{directory}{name}"));
    paths.into_iter().find(|path| template.source.get(path).is_some())
}
