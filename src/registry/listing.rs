//! What a registry has: its repositories and their tags, page by page.

use reqwest::header::LINK;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::client::Registry;
use super::transport::Request;

/// The largest page of a listing, in bytes.
const PAGE_CAP: u64 = 1024 * 1024;
/// How many names a page has (the distribution project's registry refuses more), and how many pages are read.
const PAGE: usize = 1000;
const PAGES: usize = 50;

impl Registry {
    /// The repositories whose path begins with `prefix`, sorted (`GET /v2/_catalog`).
    pub async fn repositories(&self, prefix: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Option<Vec<String>>,
        }
        let names = |page: Page| page.repositories.unwrap_or_default();
        let mut found = self.pages("/v2/_catalog", "registry:catalog:*", "the list of repositories", names).await?;
        // What is no path could not be asked for either.
        found.retain(|path| path.starts_with(prefix) && self.tagged(path, "x").is_some());
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The tags of a repository, as the registry orders them (`GET /v2/<name>/tags/list`).
    pub async fn tags(&self, path: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let what = format!("the tags of {}", self.checked(path)?);
        let names = |page: Page| page.tags.unwrap_or_default();
        let mut found = self.pages(&format!("/v2/{path}/tags/list"), &self.own.scope(path), &what, names).await?;
        found.retain(|tag| self.tagged(path, tag).is_some());
        Ok(found)
    }

    /// Reads a listing page by page, following only links into the same listing.
    async fn pages<P: DeserializeOwned>(
        &self,
        path: &str,
        scope: &str,
        what: &str,
        names: impl Fn(P) -> Vec<String>,
    ) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        let mut url = self.transport().origin().url(&format!("{path}?n={PAGE}"));
        for _ in 0..PAGES {
            let answer = self.transport().get(&Request::get(what, url.clone(), scope), PAGE_CAP).await?;
            let page = serde_json::from_slice(&answer.body);
            found.extend(names(page.map_err(|error| self.transport().wrong(what, &error.to_string()))?));
            let Some(target) = answer.header(LINK.as_str()).and_then(next_link) else { return Ok(found) };
            let next = url.join(target).map_err(|_| self.transport().wrong(what, "a link to nowhere"))?;
            if !self.transport().origin().owns(&next) || next.path() != path {
                return Err(self.transport().wrong(what, "a link out of the listing"));
            }
            url = next;
        }
        Err(self.transport().wrong(what, "more pages than any honest listing has"))
    }
}

/// The target of a `Link` header's `rel="next"` (RFC 8288).
fn next_link(header: &str) -> Option<&str> {
    let next = header.split(',').find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"))?;
    next.split_once('<')?.1.split_once('>').map(|(target, _)| target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_registries_write_them() {
        assert_eq!(next_link("</v2/_catalog?last=b&n=2>; rel=\"next\""), Some("/v2/_catalog?last=b&n=2"));
        assert_eq!(next_link("</a>; rel=\"prev\", </b>; rel=\"next\""), Some("/b"));
        assert_eq!(next_link("</a>; rel=\"prev\""), None);
    }

    proptest::proptest! {
        #[test]
        fn no_link_makes_the_reader_panic(header in ".*") {
            let _ = next_link(&header);
        }
    }
}
