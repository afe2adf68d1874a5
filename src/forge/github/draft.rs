//! Making a pull request a draft, or ready: GitHub's REST API cannot.
//!
//! <https://docs.github.com/en/graphql/reference/mutations>: `convertPullRequestToDraft`, `markPullRequestReadyForReview`. GraphQL
//! answers 200 where it refuses something, too, and says so in `errors`.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use super::wire::RawPull;
use crate::forge::Error;
use crate::text::neutral_line;

/// What makes one a draft, and what makes it ready. Each is given `id`, and answers as `turned`.
pub const MUTATIONS: [&str; 2] = [
    "mutation($id: ID!) { turned: convertPullRequestToDraft(input: {pullRequestId: $id}) { pullRequest { isDraft } } }",
    "mutation($id: ID!) { turned: markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }",
];

#[derive(Deserialize)]
struct RawAnswer {
    #[serde(default)]
    data: Option<RawData>,
    #[serde(default)]
    errors: Option<Vec<RawError>>,
}

#[derive(Deserialize)]
struct RawData {
    #[serde(default)]
    turned: Option<RawTurned>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTurned {
    #[serde(default)]
    pull_request: Option<RawDraft>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDraft {
    is_draft: bool,
}

#[derive(Deserialize)]
struct RawError {
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    message: String,
}

impl GitHub {
    /// A pull request as a draft, or ready, if it is not.
    pub(super) async fn turned(&self, raw: RawPull, draft: bool) -> Result<RawPull, Error> {
        if raw.draft.unwrap_or_default() == draft {
            return Ok(raw);
        }
        let [to_draft, to_ready] = MUTATIONS;
        let (query, how) = if draft { (to_draft, "a draft") } else { (to_ready, "ready") };
        let what = format!("make pull request {} {how}", raw.number);
        let id = raw.node_id.as_deref().ok_or_else(|| self.http.unreachable(&what, "it has no `node_id`"))?;
        let body = json!({ "query": query, "variables": { "id": id } });
        let url = self.http.place.graphql();
        let answer: RawAnswer = self.http.send_to(Method::POST, url, &what, &body).await?;
        if let Some(error) = answer.errors.into_iter().flatten().next() {
            return Err(self.refused(&error, what));
        }
        let now = answer.data.and_then(|data| data.turned).and_then(|turned| turned.pull_request);
        match now {
            Some(now) if now.is_draft == draft => Ok(RawPull { draft: Some(draft), ..raw }),
            _ => Err(self.http.unreachable(&what, "its answer does not say that it is")),
        }
    }

    fn refused(&self, error: &RawError, what: String) -> Error {
        let (kind, host) = (self.http.place.kind, self.http.place.host().to_owned());
        let detail = neutral_line(&error.message, 500);
        match error.r#type.as_deref() {
            Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => Error::Forbidden { kind, host, what, detail },
            Some("NOT_FOUND") => Error::NotFound { kind, host, what },
            Some("RATE_LIMITED") => Error::Limited { host, reset: "within the hour".to_owned() },
            _ => Error::Invalid { host, what, status: 200, detail },
        }
    }
}
