//! Where a repository's API is, and what the repository is called there.

use reqwest::Url;

use super::Error;
use crate::git::RepoUrl;
use crate::settings::ForgeKind;
use crate::text::neutral_line;

/// A repository on a forge: where its API is, and what it is called there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) kind: ForgeKind,
    pub(super) api: Url,
    pub(super) host: String,
    /// `owner/name`; on GitLab groups may lie in groups.
    pub(super) path: String,
}

impl Place {
    /// The place of the repository at `repository`, on the API at `api`. Where none is set it is GitHub's own, and for
    /// the other kinds the one of the repository's host.
    ///
    /// Plain `http` is refused except to this machine, and so is an API of another host than the repository's.
    pub fn of(kind: ForgeKind, api: Option<&str>, repository: &RepoUrl) -> Result<Self, Error> {
        let wrong = |detail: String| Error::Setting { detail };
        let nowhere = || wrong(format!("{repository} is on no {}; `local` is the forge for it", kind.title()));
        let (repository_host, path) = repository.forge_place().ok_or_else(nowhere)?;
        let text = match (api, kind) {
            (Some(api), _) => api.to_owned(),
            (None, ForgeKind::Github) => "https://api.github.com".to_owned(),
            (None, ForgeKind::Gitlab) => format!("{}/api/v4", origin(repository, repository_host)),
            (None, ForgeKind::Gitea) => format!("{}/api/v1", origin(repository, repository_host)),
            (None, ForgeKind::Local) => return Err(nowhere()),
        };
        let shown = neutral_line(&text, 200);
        let api = Url::parse(&text).map_err(|_| wrong(format!("`{shown}` is no URL")))?;
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
        // A name without a dot is an alias from somebody's ssh configuration.
        let same =
            repository_host == bare || repository_host == format!("ssh.{bare}") || !repository_host.contains('.');
        if !same {
            return Err(wrong(format!("its API is on {bare}, the state repository on {repository_host}")));
        }
        let path = below(&api, repository, path);
        if !is_path(kind, path) {
            return Err(wrong(format!("{repository} does not end in owner/name")));
        }
        let host = api.port().map_or_else(|| bare.to_owned(), |port| format!("{bare}:{port}"));
        let path = path.to_owned();
        Ok(Self { kind, api, host, path })
    }

    /// The place of an organisation on GitHub's API at `api`: of a repository that no organisation has.
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
        Self::of(ForgeKind::Github, api, &format!("https://{host}/{organisation}/-").parse()?)
    }

    /// The host that tokens are for: `github.com`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The owner of the repository.
    pub(super) fn owner(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(owner, _)| owner)
    }

    /// The name of the repository, without its owner.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    /// The URL of a path under the repository's, each segment escaped.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let repository: Vec<&str> = match self.kind {
            // GitLab takes the whole path as one escaped segment.
            ForgeKind::Gitlab => vec!["projects", &self.path],
            _ => std::iter::once("repos").chain(self.path.split('/')).collect(),
        };
        self.under(&repository, segments)
    }

    /// The URL of a path that belongs to no repository.
    pub(super) fn above(&self, segments: &[&str]) -> Url {
        self.under(&[], segments)
    }

    /// GitHub's other API: `/graphql` of api.github.com, `/api/graphql` of a server whose REST API is at `/api/v3`.
    pub(super) fn graphql(&self) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            if self.api.path().trim_end_matches('/').ends_with("/v3") {
                path.pop();
            }
            path.push("graphql");
        }
        url
    }

    fn under(&self, first: &[&str], then: &[&str]) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(first).extend(then);
        }
        url
    }

    /// Whether a URL is on the API's own origin: nothing else gets the token.
    pub(super) fn owns(&self, url: &Url) -> bool {
        url.origin() == self.api.origin()
    }
}

/// Scheme, host and port that a repository's API is at: those of its own address where that is one for http.
fn origin(repository: &RepoUrl, host: &str) -> String {
    let own = Url::parse(repository.as_str()).ok().filter(|url| url.scheme().starts_with("http"));
    own.map_or_else(|| format!("https://{host}"), |url| url.origin().ascii_serialization())
}

/// A repository's path on a forge that lies below a path of its host: `https://acme.test/gitlab/group/state`. Addresses for
/// ssh do not have that path.
fn below<'a>(api: &Url, repository: &RepoUrl, path: &'a str) -> &'a str {
    let root = api.path().trim_matches('/');
    let root = ["api/v4", "api/v1", "api/v3"].iter().find_map(|version| root.strip_suffix(version)).unwrap_or_default();
    if root.is_empty() || !repository.as_str().starts_with("http") {
        return path;
    }
    path.strip_prefix(root).unwrap_or(path)
}

fn is_path(kind: ForgeKind, path: &str) -> bool {
    let part = |text: &str| {
        let fits =
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        fits && text != "." && text != ".."
    };
    let depth = path.split('/').count();
    path.split('/').all(part) && (depth == 2 || kind == ForgeKind::Gitlab && (2..=21).contains(&depth))
}

pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_is_beside_rest() {
        for (api, graphql) in [
            ("https://api.github.com", "https://api.github.com/graphql"),
            ("https://api.acme.ghe.com/", "https://api.acme.ghe.com/graphql"),
            ("https://git.acme.test/api/v3", "https://git.acme.test/api/graphql"),
            ("https://git.acme.test/api/v3/", "https://git.acme.test/api/graphql"),
        ] {
            let host = api.trim_start_matches("https://").trim_start_matches("api.").split('/').next().unwrap();
            let repository = format!("https://{host}/acme/state.git").parse().unwrap();
            let place = Place::of(ForgeKind::Github, Some(api), &repository).unwrap();
            assert_eq!(place.graphql().as_str(), graphql);
            assert!(place.owns(&place.graphql()), "the token goes there");
        }
    }

    fn place(api: Option<&str>, repository: &str) -> Result<Place, Error> {
        Place::of(ForgeKind::Github, api, &repository.parse().unwrap())
    }

    #[test]
    fn a_place_is_an_owner_and_a_name_on_one_host() {
        let github = place(None, "git@github.com:acme/state.git").unwrap();
        assert_eq!((github.host(), github.path.as_str(), github.owner()), ("github.com", "acme/state", "acme"));
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

    #[test]
    fn the_other_forges_are_where_the_repository_is() {
        let at = |kind, api, repository: &str| {
            Place::of(kind, api, &repository.parse().unwrap()).map(|place| place.url(&["x"]).to_string())
        };
        let (gitlab, gitea) = (ForgeKind::Gitlab, ForgeKind::Gitea);
        for (kind, api, repository, url) in [
            (
                gitlab,
                None,
                "git@gitlab.com:acme/ops/state.git",
                "https://gitlab.com/api/v4/projects/acme%2Fops%2Fstate/x",
            ),
            (gitea, None, "https://git.acme.test:3000/a/b.git", "https://git.acme.test:3000/api/v1/repos/a/b/x"),
            (gitea, None, "ssh://git@git.acme.test:2222/a/b", "https://git.acme.test/api/v1/repos/a/b/x"),
            (
                gitlab,
                Some("https://acme.test/gitlab/api/v4"),
                "https://acme.test/gitlab/a/b",
                "https://acme.test/gitlab/api/v4/projects/a%2Fb/x",
            ),
            (
                gitlab,
                Some("https://acme.test/gitlab/api/v4"),
                "git@acme.test:a/b",
                "https://acme.test/gitlab/api/v4/projects/a%2Fb/x",
            ),
        ] {
            assert_eq!(at(kind, api, repository).unwrap(), url, "{repository}");
        }
        assert!(at(gitea, None, "https://git.acme.test/a/b/c").is_err(), "Gitea has no groups in groups");
        assert!(at(gitlab, None, "https://git.acme.test/a/../c").is_err());
        assert!(at(gitlab, None, "/srv/state.git").is_err());
        assert!(at(gitlab, Some("https://gitlab.com/api/v4"), "https://git.acme.test/a/b").is_err());
    }
}
