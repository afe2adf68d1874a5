//! Asking for reviews. What comes of it is told; it undoes nothing of a pull request that is there.

use super::{Forge, PullRequest, Reviewer};
use crate::text::neutral_line;

/// Who is asked now, and who could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// By login, team or mail address.
    pub asked: Vec<String>,
    /// As they were written, with the forge's reason where it gave one.
    pub unasked: Vec<String>,
}

/// Asks these people and teams, as a block's `owner` or a CODEOWNERS file writes them, to look at a pull request: all but its
/// author, and nobody twice.
pub async fn ask(forge: &dyn Forge, pull: &PullRequest, names: &[String]) -> Asked {
    let (mut wanted, mut done) = (Vec::new(), Asked::default());
    for name in names {
        match Reviewer::of(name) {
            Some(reviewer) if reviewer.name() == pull.author.id => {}
            Some(reviewer) if pull.reviewers.iter().any(|asked| asked == reviewer.name()) => {
                done.asked.push(reviewer.name().to_owned());
            }
            Some(reviewer) => wanted.push(reviewer),
            None => done.unasked.push(neutral_line(name, 80)),
        }
    }
    wanted.sort();
    wanted.dedup();
    if wanted.is_empty() {
        return done;
    }
    match forge.ask_review(pull.number, wanted.clone()).await {
        Ok(now) => {
            let names = wanted.iter().map(|reviewer| reviewer.name().to_owned());
            let (yes, no): (Vec<String>, Vec<String>) = names.partition(|name| now.reviewers.contains(name));
            done.asked.extend(yes);
            done.unasked.extend(no);
        }
        // The pull request is there; who looks at it can be said by hand.
        Err(error) => done.unasked.extend(wanted.iter().map(|reviewer| format!("{} ({error})", reviewer.name()))),
    }
    done
}
