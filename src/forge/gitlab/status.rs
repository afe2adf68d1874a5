//! Statuses of commits that onramp sets.

use reqwest::Method;
use serde_json::json;

use super::wire::RawStatus;
use super::{GitLab, not_allowed};
use crate::forge::{Error, Status};
use crate::git::Commit;

impl GitLab {
    /// `GET …/repository/commits/{sha}/statuses?name=…`, the last word of that name. Then, if need be, `POST …/statuses/{sha}`.
    pub(super) async fn said_now(&self, commit: &Commit, status: &Status) -> Result<bool, Error> {
        let what = format!("set a status of {}", commit.short());
        let state = if status.passed { "success" } else { "failed" };
        let mut url = self.http.place.url(&["repository", "commits", commit.as_str(), "statuses"]);
        url.query_pairs_mut().append_pair("name", &status.context).append_pair("per_page", "100");
        let before: Vec<RawStatus> = self.http.get(url, &what).await?;
        // One for each pipeline of the commit: all of them are to say it.
        if !before.is_empty() && before.iter().all(|said| said.says(status, state)) {
            return Ok(false);
        }
        let body = json!({ "state": state, "name": status.context, "description": status.description });
        let told = self.http.tell(Method::POST, &["statuses", commit.as_str()], &what, &body).await;
        told.map(|()| true).map_err(|error| not_allowed(error, &what))
    }
}
