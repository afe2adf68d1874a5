//! Where a repository's API is, and what the repository is called there.

use reqwest::Url;

use crate::forge::Error;
use crate::git::RepoUrl;
use crate::text::neutral_line;

/// A repository on a GitHub: where its API is, and what it is called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) api: Url,
    pub(super) host: String,
    pub(super) owner: String,
    pub(super) name: String,
}

impl Place {
    /// The place of the repository at `repository`, on the API at `api` (GitHub's own when none).
    ///
    /// Plain `http` is refused except to this machine, and so is an API of another host than the repository's.
    pub fn of(api: Option<&str>, repository: &RepoUrl) -> Result<Self, Error> {
        let wrong = |detail: String| Error::Setting { detail };
        let text = api.unwrap_or("https://api.github.com");
        let shown = neutral_line(text, 200);
        let api = Url::parse(text).map_err(|_| wrong(format!("`{shown}` is no URL")))?;
        let host = api.host_str().ok_or_else(|| wrong(format!("`{shown}` names no host")))?;
        let loopback = is_loopback(host);
        if !(api.scheme() == "https" || api.scheme() == "http" && loopback) {
            return Err(wrong(format!("`{shown}` would send the token unencrypted; use https")));
        }
        if !api.username().is_empty() || api.password().is_some() || api.query().is_some() || api.fragment().is_some() {
            return Err(wrong("the API's URL holds more than a host and a path".to_owned()));
        }
        let bare = match host {
            "api.github.com" => "github.com",
            _ if host.ends_with(".ghe.com") => host.strip_prefix("api.").unwrap_or(host),
            _ => host,
        };
        let (repository_host, path) = repository
            .forge_place()
            .ok_or_else(|| wrong(format!("{repository} is on no GitHub; `local` is the forge for it")))?;
        // A name without a dot is an alias from somebody's ssh configuration.
        let same =
            repository_host == bare || repository_host == format!("ssh.{bare}") || !repository_host.contains('.');
        if !same {
            return Err(wrong(format!("its API is on {bare}, the state repository on {repository_host}")));
        }
        let part = |text: &str| {
            let fits =
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            fits && text != "." && text != ".."
        };
        let (owner, name) = path
            .split_once('/')
            .filter(|(owner, name)| part(owner) && part(name))
            .ok_or_else(|| wrong(format!("{repository} does not end in owner/name")))?;
        let host = api.port().map_or_else(|| bare.to_owned(), |port| format!("{bare}:{port}"));
        let (owner, name) = (owner.to_owned(), name.to_owned());
        Ok(Self { api, host, owner, name })
    }

    /// The place of an organisation on the API at `api`: of a repository that no organisation has.
    pub fn of_organisation(api: Option<&str>, organisation: &str) -> Result<Self, Error> {
        let wrong = |detail: String| Error::Setting { detail };
        let shown = neutral_line(organisation, 80);
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if organisation.is_empty() || organisation.len() > 100 || !organisation.bytes().all(fits) {
            return Err(wrong(format!("`{shown}` is no organisation")));
        }
        let host = api.and_then(|api| Url::parse(api).ok()).and_then(|url| url.host_str().map(str::to_owned));
        let host = host.unwrap_or_else(|| "github.com".to_owned());
        let host = if host == "api.github.com" { "github.com" } else { &host };
        let host = host.strip_prefix("api.").filter(|rest| rest.ends_with(".ghe.com")).unwrap_or(host);
        Self::of(api, &format!("https://{host}/{organisation}/-").parse()?)
    }

    /// The host that tokens are for: `github.com`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL of a path under the repository's, each segment escaped.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["repos", self.owner.as_str(), self.name.as_str()]).extend(segments);
        }
        url
    }

    /// Whether a URL is on the API's own origin: nothing else gets the token.
    pub(super) fn owns(&self, url: &Url) -> bool {
        url.origin() == self.api.origin()
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(api: Option<&str>, repository: &str) -> Result<Place, Error> {
        Place::of(api, &repository.parse().unwrap())
    }

    #[test]
    fn a_place_is_an_owner_and_a_name_on_one_host() {
        let github = place(None, "git@github.com:acme/state.git").unwrap();
        assert_eq!((github.host(), github.owner.as_str(), github.name.as_str()), ("github.com", "acme", "state"));
        assert_eq!(
            github.url(&["branches", "a/b c"]).as_str(),
            "https://api.github.com/repos/acme/state/branches/a%2Fb%20c"
        );
        let enterprise = place(Some("https://git.acme.test/api/v3/"), "https://git.acme.test/p/s").unwrap();
        assert_eq!(enterprise.url(&["pulls"]).as_str(), "https://git.acme.test/api/v3/repos/p/s/pulls");
        assert_eq!(place(Some("https://api.acme.ghe.com"), "https://acme.ghe.com/a/b").unwrap().host(), "acme.ghe.com");
        assert!(place(None, "git@work:acme/state.git").is_ok(), "an ssh alias");
        let of = |api: Option<&str>, organisation: &str| Place::of_organisation(api, organisation);
        assert_eq!(of(None, "acme").unwrap().host(), "github.com");
        assert_eq!(of(Some("https://git.acme.test/api/v3"), "acme").unwrap().host(), "git.acme.test");
        assert_eq!(of(Some("https://api.acme.ghe.com"), "acme").unwrap().host(), "acme.ghe.com");
        assert!(of(None, "../acme").is_err() && of(None, "").is_err());
        for (api, repository) in [
            (None, "https://git.acme.test/a/b"),
            (None, "/srv/state.git"),
            (Some("http://git.acme.test/api/v3"), "https://git.acme.test/a/b"),
            (Some("https://user:pw@git.acme.test"), "https://git.acme.test/a/b"),
            (Some("https://git.acme.test?x"), "https://git.acme.test/a/b"),
            (Some("git.acme.test"), "https://git.acme.test/a/b"),
            (None, "https://github.com/only-owner"),
            (None, "https://github.com/a/b/c"),
            (None, "https://github.com/../x"),
        ] {
            let error = place(api, repository).unwrap_err();
            assert!(matches!(error, Error::Setting { .. }), "{api:?} {repository}");
        }
    }
}
