//! The repositories of an organisation.
//!
//! <https://docs.github.com/en/rest/repos/repos#list-organization-repositories>

use serde::Deserialize;

use super::GitHub;
use crate::forge::Error;
use crate::git::RepoUrl;
use crate::text::neutral_line;

/// The most pages that are read, at 100 repositories each.
const PAGES: usize = 200;

#[derive(Deserialize)]
struct RawRepository {
    clone_url: Option<String>,
    #[serde(default)]
    archived: Option<bool>,
}

impl GitHub {
    /// `GET /orgs/{org}/repos`: those that are not archived, by the address that git takes.
    pub async fn repositories(&self, organisation: &str) -> Result<Vec<RepoUrl>, Error> {
        let what = "list the organisation's repositories";
        let mut url = self.http.place.above(&["orgs", organisation, "repos"]);
        url.query_pairs_mut().append_pair("per_page", "100").append_pair("sort", "full_name");
        let found = self.http.some_pages::<RawRepository>(url, what, PAGES).await.map_err(|error| match error {
            Error::NotFound { kind, host, .. } => {
                let what = format!("organisation {}", neutral_line(organisation, 80));
                Error::NotFound { kind, host, what }
            }
            other => other,
        })?;
        let open = found.0.into_iter().filter(|repository| repository.archived != Some(true));
        Ok(open
            .filter_map(|repository| repository.clone_url)
            .map(|address| address.parse())
            .collect::<Result<_, _>>()?)
    }
}
