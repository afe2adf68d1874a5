//! The repositories of an organisation.
//!
//! <https://docs.github.com/en/rest/repos/repos#list-organization-repositories>

use reqwest::Method;
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
        let mut url = self.place.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["orgs", organisation, "repos"]);
        }
        url.query_pairs_mut().append_pair("per_page", "100").append_pair("sort", "full_name");
        let mut found = Vec::new();
        let mut next = Some(url);
        for _ in 0..PAGES {
            let Some(url) = next else { break };
            let response = self.call(Method::GET, url, what, None).await.map_err(|error| match error {
                Error::NotFound { host, .. } => {
                    let what = format!("organisation {}", neutral_line(organisation, 80));
                    Error::NotFound { host, what }
                }
                other => other,
            })?;
            next = super::next_page(response.headers());
            let page: Vec<RawRepository> = self.parsed(response, what).await?;
            let open = page.into_iter().filter(|repository| repository.archived != Some(true));
            for address in open.filter_map(|repository| repository.clone_url) {
                found.push(address.parse()?);
            }
        }
        Ok(found)
    }
}
