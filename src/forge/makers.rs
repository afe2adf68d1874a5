//! Who made what a pull request proposes, as servers tell it whose people have logins: their accounts by mail address.

use serde::Deserialize;

use super::PullRequest;
use crate::git::Commit;

/// A commit, as GitHub, Gitea and Forgejo tell it. Whose mail address is no account's has no login.
#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) sha: Commit,
    author: Option<Login>,
    committer: Option<Login>,
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    login: Option<String>,
}

/// The pull request with the makers of all that it proposes. None where its commits end before the one that is proposed: a server tells
/// so many and no more, or another one was pushed between two questions.
pub(super) fn with(pull: PullRequest, commits: Vec<Made>) -> Option<PullRequest> {
    if !commits.is_empty() && !commits.iter().any(|made| made.sha == pull.head_commit) {
        return None;
    }
    let people = commits.into_iter().flat_map(|made| [made.author, made.committer]);
    let mut makers: Vec<String> = people.flatten().filter_map(|person| person.login).collect();
    makers.sort();
    makers.dedup();
    Some(PullRequest { makers, ..pull })
}
