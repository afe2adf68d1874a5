//! What a check of a change found, as a status of its commit. Pure.

use super::{Error, Finding};
use crate::forge::Status;
use crate::text::neutral_line;

/// What the status is called: what a branch's protection asks for.
pub const CONTEXT: &str = "onramp/policy";

/// The status of what was found. What could not be checked did not pass: it takes the place of an earlier word that may no
/// longer hold.
pub fn status(found: &Result<Vec<Finding>, Error>) -> Status {
    let (passed, description) = match found {
        Ok(findings) if findings.is_empty() => {
            (true, "nothing is missing of what policy asks for before approvals".to_owned())
        }
        Ok(findings) => (false, told(findings)),
        Err(error) => (false, neutral_line(&format!("it cannot be checked: {error}"), Status::LONGEST)),
    };
    Status { context: CONTEXT.to_owned(), passed, description }
}

/// The first thing that is missing, and how many more are.
fn told(findings: &[Finding]) -> String {
    let line = |finding: &Finding, message: &str| format!("{}: {message}", finding.of);
    let mut all = findings.iter().flat_map(|f| f.unmet.iter().map(move |unmet| line(f, &unmet.message)));
    let first = all.next().unwrap_or_default();
    let more = match all.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    neutral_line(&first, Status::LONGEST - more.chars().count()) + &more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Cure, Unmet};

    fn finding(of: &str, messages: &[&str]) -> Finding {
        let unmet = |message: &&str| Unmet { rule: "after", message: (*message).to_owned(), cure: Cure::Another };
        Finding { of: of.to_owned(), unmet: messages.iter().map(unmet).collect() }
    }

    #[test]
    fn a_status_is_one_harmless_line_that_every_forge_takes() {
        assert!(status(&Ok(Vec::new())).passed);
        let one = status(&Ok(vec![finding("production/shop", &["it soaks"])]));
        assert_eq!((one.passed, one.description.as_str()), (false, "production/shop: it soaks"));
        let long = "\u{1b}[31m\n\u{1f600}".repeat(60);
        let many = status(&Ok(vec![finding("a", &[&long, "b"]), finding("c", &["d"])]));
        assert_eq!(many.description.chars().count(), 140);
        assert!(many.description.ends_with("… (and 2 more)"), "{many:?}");
        assert!(!many.description.contains(crate::text::is_unsafe), "{many:?}");
        let error = Error::TooMany { count: 3 };
        let unknown = status(&Err(error));
        assert!(
            !unknown.passed && unknown.description.starts_with("it cannot be checked: 3 apps would change"),
            "{unknown:?}"
        );
    }
}
