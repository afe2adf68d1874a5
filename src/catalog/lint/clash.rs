//! Files that are one file where case or Unicode spelling does not count.

use std::collections::BTreeMap;

use super::{Findings, Rule, Severity, Subject};
use crate::catalog::change::rendered_part;

/// The rule.
pub struct Clash;

impl Rule for Clash {
    fn id(&self) -> &'static str {
        "case-clash"
    }

    fn about(&self) -> &'static str {
        "two files, or a file and a directory, differ only in case or in Unicode spelling"
    }

    fn check(&self, subject: &Subject<'_>, findings: &mut Findings) {
        let root = subject.root();
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let rendered = rendered_part(subject.block);
        for path in rendered.paths() {
            let ends = path.as_str().match_indices('/').map(|(end, _)| end).chain([path.as_str().len()]);
            for end in ends {
                let part = &path.as_str()[..end];
                let folded = crate::text::folded(part);
                match seen.get(&*folded) {
                    None => {
                        seen.insert(folded.into_owned(), part.to_owned());
                    }
                    Some(other) if other != part => {
                        let message = format!("`{part}` and `{other}` are one path on macOS and Windows");
                        findings.add(Severity::Error, &format!("{root}{path}"), message, "rename one of them");
                        break;
                    }
                    Some(_) => {}
                }
            }
        }
    }
}
