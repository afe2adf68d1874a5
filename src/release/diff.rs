//! The change that a pull request proposes, as a unified diff.

use similar::TextDiff;

use super::Error;
use crate::forge::PullRequest;
use crate::git::Commit;
use crate::state::State;

/// The most of a diff that is shown, in bytes.
const CAP: usize = 64 * 1024;
/// The largest file that is compared, in bytes.
const FILE_CAP: u64 = 1024 * 1024;

/// The difference between what both histories share and what is proposed. As raw as its files: neutralise it for a
/// terminal.
pub fn of(state: &State, pull: &PullRequest) -> Result<String, Error> {
    let mirror = state.mirror();
    let base = mirror.resolve(&format!("refs/heads/{}", pull.base_branch))?;
    let head = mirror.resolve(pull.head_commit.as_str())?;
    let shared = match pull.state {
        crate::forge::Standing::Open | crate::forge::Standing::Closed => mirror.merge_base(&base, &head)?,
        // What is merged shares everything; what it brought is what its own commit changed.
        crate::forge::Standing::Merged => mirror.parents(&head)?.into_iter().next().unwrap_or_else(|| head.clone()),
    };
    let read = |commit: &Commit, path: &str| -> Result<String, Error> {
        let contents = mirror.read(commit, path, FILE_CAP)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&contents).into_owned())
    };
    let mut text = String::new();
    for path in mirror.changed(&shared, &head)? {
        let (old, new) = (read(&shared, &path)?, read(&head, &path)?);
        let diff = TextDiff::from_lines(&old, &new);
        text.push_str(&diff.unified_diff().header(&format!("a/{path}"), &format!("b/{path}")).to_string());
        if text.len() > CAP {
            text.truncate(text.floor_char_boundary(CAP));
            text.push_str("\n… and more\n");
            break;
        }
    }
    Ok(text)
}
