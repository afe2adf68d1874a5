//! A manifest that leaves people alone: no description, no owner, requirements that nothing meets.

use super::{Findings, Rule, Severity, Subject};
use crate::blocks::manifest::{FILE, Support};

/// The rule.
pub struct Manifest;

impl Rule for Manifest {
    fn id(&self) -> &'static str {
        "manifest"
    }

    fn about(&self) -> &'static str {
        "block.toml cannot be read, says too little, or requires what is not there"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        let Some(manifest) = &subject.block.manifest else { return };
        let text = &*subject.block.manifest_text();
        let place = |key: &str| match text.lines().position(|line| line.trim_start().starts_with(key)) {
            Some(line) => format!("{FILE}:{}", line + 1),
            None => FILE.to_owned(),
        };
        if manifest.description.trim().is_empty() {
            let cure = "say in one line what a project gets: it is what `onramp catalog list` shows";
            findings.add(Severity::Error, &place("description"), "the description is empty", cure);
        }
        if manifest.owner.trim().is_empty() {
            findings.add(
                Severity::Error,
                &place("owner"),
                "nobody owns it",
                "name the team or address that answers for it",
            );
        }
        for required in manifest.requires.keys().filter(|name| !subject.others.contains(name)) {
            let message = format!("it requires `{required}`, which this catalog does not have");
            findings.add(
                Severity::Error,
                &place("requires"),
                message,
                "name a block of this catalog, or drop the requirement",
            );
        }
        if manifest.trusted_committers.is_empty() && manifest.support == Support::Maintained {
            let cure = "trusted_committers = [\"@name\"]: `onramp contribute` asks them to review";
            findings.add(Severity::Note, FILE, "it names no trusted committers", cure);
        }
        if subject.block.readme.is_none() {
            let cure = "write README.md beside block.toml: `onramp catalog show` ends with it";
            findings.add(Severity::Note, FILE, "it has no README.md", cure);
        }
    }
}
