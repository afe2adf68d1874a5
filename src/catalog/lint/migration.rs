//! What projects had and this version takes away, without a migration that helps them.

use super::{Findings, Rule, Severity, Subject};
use crate::blocks::manifest::FILE;
use crate::version::Version;

/// The rule.
pub struct Migration;

impl Rule for Migration {
    fn id(&self) -> &'static str {
        "no-migration"
    }

    fn about(&self) -> &'static str {
        "a question or file of the latest release is gone or elsewhere, and no migration helps projects over it"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        let Some((release, changes)) = &subject.previous else { return };
        let helps = |version: &Option<String>| match version {
            None => true,
            Some(version) => Version::from(version.clone()) > release.version,
        };
        if subject.block.template.actions.migrations.iter().any(|migration| helps(&migration.version)) {
            return;
        }
        let since = &release.version;
        let write = "write a migration ([[migrations]] with a later version), or keep it";
        for id in &changes.removed_questions {
            let message =
                format!("{since} asks `{id}`, and this version does not: projects' answers to it are dropped");
            findings.add(Severity::Error, FILE, message, write);
        }
        for (id, why) in &changes.narrowed_questions {
            let message = format!("`{id}` may refuse what projects answered to {since}: {why}");
            findings.add(Severity::Warning, &subject.asked_at(id), message, write);
        }
        for path in &changes.removed_files {
            let message = format!("{since} has {path}, and this version does not: updates delete it from projects");
            findings.add(Severity::Warning, FILE, message, write);
        }
        for (from, to) in &changes.moved_files {
            let message =
                format!("{from} of {since} is {to} now: updates move it, and what names it in projects stays");
            findings.add(
                Severity::Warning,
                &format!("{}{to}", subject.root()),
                message,
                "write a migration, or say it in the changelog",
            );
        }
    }
}
