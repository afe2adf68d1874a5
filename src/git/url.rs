//! `RepoUrl`: where a repository is, refused where giving it to git would be unsafe.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Error;

/// A repository's address: `https://`, `ssh://`, `user@host:path`, `file://` or an absolute path. Plain `http://` only to
/// this machine. Never with a password or token in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepoUrl(String);

impl RepoUrl {
    /// The address as git takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One text for all the ways to write the same address: what trust is recorded under. Host in lower case, no port where
    /// it is the scheme's own, no `.git` and no slash at the end.
    pub fn canonical(&self) -> String {
        let (scheme, authority, path) = match self.0.split_once("://") {
            Some(("file", path)) => return bare_end(path).to_owned(),
            None if self.0.starts_with('/') => return bare_end(&self.0).to_owned(),
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                (scheme, authority, path)
            }
            None => {
                let (authority, path) = self.0.split_once(':').unwrap_or((&self.0, ""));
                ("ssh", authority, path)
            }
        };
        let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
        let host = host.to_ascii_lowercase();
        let own = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => ":22",
        };
        let host = host.strip_suffix(own).unwrap_or(&host);
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let path = bare_end(path.trim_start_matches('/'));
        if path.is_empty() { format!("{scheme}://{user}{host}") } else { format!("{scheme}://{user}{host}/{path}") }
    }

    /// `host` and `owner/name` of a repository on a forge, `.git` dropped.
    pub fn forge_place(&self) -> Option<(&str, &str)> {
        let rest = match self.0.split_once("://") {
            Some(("file", _)) => return None,
            Some((_, rest)) => rest,
            None if self.0.starts_with('/') => return None,
            None => self.0.as_str(),
        };
        let (authority, path) = rest.split_once(['/', ':']).filter(|(_, path)| !path.is_empty())?;
        let host = authority.rsplit('@').next()?;
        // ssh://host:2222/owner/name and http://127.0.0.1:8080/owner/name carry a port.
        let path = match path.split_once('/') {
            Some((port, after)) if self.0.contains("://") && port.parse::<u16>().is_ok() => after,
            _ => path,
        };
        let path = path.trim_matches('/');
        Some((host, path.strip_suffix(".git").unwrap_or(path)))
    }
}

impl FromStr for RepoUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why| Err(Error::BadUrl { url: redact(&crate::text::neutral_line(text, 200)), why });
        if text.is_empty()
            || text.len() > 2000
            || text.starts_with('-')
            || text.chars().any(|c| c.is_control() || c == ' ')
        {
            return bad("it is empty, too long, begins with a dash, or holds spaces or control characters");
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let authority = rest.split('/').next().unwrap_or_default();
            let user = authority.rsplit_once('@').map(|(user, _)| user);
            // For https even a user name alone may be a token.
            if user.is_some_and(|user| user.contains(':') || scheme.starts_with("http")) {
                return bad("it holds credentials; use a credential helper");
            }
            let host = authority.rsplit('@').next().unwrap_or_default();
            if authority.starts_with('-') || host.starts_with('-') {
                return bad("its host begins with a dash");
            }
            // Where some servers take a token.
            if scheme.starts_with("http") && rest.contains(['?', '#']) {
                return bad("it holds a query, which may hold a token");
            }
            return match scheme {
                "https" | "ssh" if !host.is_empty() => Ok(Self(text.to_owned())),
                "file" if rest.starts_with('/') => Ok(Self(text.to_owned())),
                "http" if is_loopback(host) => Ok(Self(text.to_owned())),
                "http" => bad("plain http is only for this machine; use https"),
                _ => bad("use https://, ssh://, user@host:path, file:/// or an absolute path"),
            };
        }
        if text.contains("::") {
            return bad("it names a remote helper");
        }
        let scp_like = text.split_once(':').is_some_and(|(host, path)| !host.contains('/') && !path.is_empty());
        let host = text.split(':').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
        if scp_like && (host.is_empty() || host.starts_with('-')) {
            return bad("its host is empty or begins with a dash");
        }
        if text.starts_with('/') || scp_like {
            return Ok(Self(text.to_owned()));
        }
        bad("use https://, ssh://, user@host:path, file:/// or an absolute path")
    }
}

impl RepoUrl {
    /// The same, with a relative path on this machine made absolute first: for what people type.
    pub fn from_argument(text: &str, here: &Path) -> Result<Self, Error> {
        let relative = PathBuf::from(text);
        if !text.contains(':') && relative.is_relative() && here.join(&relative).is_dir() {
            let path = here.join(relative);
            let path = path.canonicalize().map_err(crate::files::FileError::io("read", &path))?;
            return path.to_string_lossy().parse();
        }
        text.parse()
    }
}

/// Without slashes and `.git` at the end.
fn bare_end(path: &str) -> &str {
    let mut bare = path;
    loop {
        let shorter = bare.trim_end_matches('/');
        let shorter = shorter.strip_suffix(".git").unwrap_or(shorter);
        if shorter.len() == bare.len() {
            return if bare.is_empty() && path.starts_with('/') { "/" } else { bare };
        }
        bare = shorter;
    }
}

/// The address without what may be a password or token: between `://` and `@` of http, after `:` in the user of ssh,
/// and the query. For addresses that other tools wrote into files.
pub fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let http = scheme.to_ascii_lowercase().ends_with("http") || scheme.to_ascii_lowercase().ends_with("https");
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) if http => host.to_owned(),
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    let path = if http { path.split(['?', '#']).next().unwrap_or_default() } else { path };
    format!("{scheme}://{authority}{path}")
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Hides what stands between `://` and `@`, and in a query.
pub(super) fn redact(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(i) = rest.find("://") {
        let (before, after) = rest.split_at(i + 3);
        out.push_str(before);
        let whole = after.find(|c: char| c.is_whitespace() || c == '\'').unwrap_or(after.len());
        let (url, others) = after.split_at(whole);
        let authority = url.find('/').unwrap_or(url.len());
        let (url, hidden) = match url[..authority].rfind('@') {
            Some(at) => (&url[at..], "***"),
            None => (url, ""),
        };
        let (shown, query) = url.split_once('?').map_or((url, ""), |(shown, _)| (shown, "?***"));
        out.extend([hidden, shown, query]);
        rest = others;
    }
    out.push_str(rest);
    out
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_addresses_are_refused() {
        for good in [
            "https://git.acme.test/a/b.git",
            "ssh://git@h:22/a",
            "git@h:a/b.git",
            "/srv/a.git",
            "file:///srv/a.git",
            "http://127.0.0.1:8080/a",
        ] {
            assert!(good.parse::<RepoUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=x",
            "ext::sh -c x",
            "ext::sh",
            "http://h/a",
            "https://u:p@h/a",
            "https://ghp_token@h/a",
            "https://a@b:secret@h/a",
            "ssh://u:p@h/a",
            "a b",
            "ssh://-oProxyCommand=x/a",
            "ftp://h/a",
            "relative/path",
            "https://h/a?private_token=x",
            "https://h/a#x",
            "ssh://git@-oProxyCommand=x/a",
            "git@-oProxyCommand=x:a",
            ":a",
            "@:a",
        ] {
            assert!(bad.parse::<RepoUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn forge_places_are_owner_and_name() {
        let place = |text: &str| text.parse::<RepoUrl>().unwrap().forge_place().map(|(h, p)| format!("{h} {p}"));
        assert_eq!(place("https://git.acme.test/platform/state.git").unwrap(), "git.acme.test platform/state");
        assert_eq!(place("git@github.com:acme/state.git").unwrap(), "github.com acme/state");
        assert_eq!(place("ssh://git@h:2222/acme/state").unwrap(), "h acme/state");
        assert_eq!(place("/srv/state.git"), None);
    }

    #[test]
    fn one_repository_has_one_canonical_address() {
        let canonical = |text: &str| text.parse::<RepoUrl>().unwrap().canonical();
        for (text, expected) in [
            ("https://GitHub.com/Acme/Tpl.git/", "https://github.com/Acme/Tpl"),
            ("https://github.com:443/Acme/Tpl", "https://github.com/Acme/Tpl"),
            ("git@GitHub.com:Acme/Tpl.git", "ssh://git@github.com/Acme/Tpl"),
            ("ssh://git@github.com:22/Acme/Tpl", "ssh://git@github.com/Acme/Tpl"),
            ("ssh://git@github.com:2222/a", "ssh://git@github.com:2222/a"),
            ("file:///srv/a.git", "/srv/a"),
            ("/srv/a/.git", "/srv/a"),
            ("/", "/"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn credentials_are_left_out() {
        for (text, expected) in [
            ("https://u:p@h/a", "https://h/a"),
            ("git+https://tok@h/a", "git+https://h/a"),
            ("https://h/a?private_token=x#y", "https://h/a"),
            ("https://tok:x@y@h", "https://h"),
            ("ssh://git:p@h:22/a", "ssh://git@h:22/a"),
            ("git@h:a", "git@h:a"),
            ("gh:a/b", "gh:a/b"),
        ] {
            assert_eq!(without_credentials(text), expected, "{text}");
        }
    }

    #[test]
    fn credentials_are_hidden() {
        assert_eq!(redact("fatal: 'https://u:p@h/a' and ssh://git@h"), "fatal: 'https://***@h/a' and ssh://***@h");
        assert_eq!(redact("https://h/a?token=x, https://h/b"), "https://h/a?*** https://h/b");
    }

    proptest::proptest! {
        #[test]
        fn what_passes_is_safe_for_git(text in "(--|-o)?(ext::|https?://|ssh://|file://|git@|/)?[-a-zA-Z0-9:@/.?#=]{0,24}|.{0,20}") {
            if let Ok(url) = text.parse::<RepoUrl>() {
                let text = url.as_str();
                proptest::prop_assert!(!text.starts_with('-') && (text.contains("://") || !text.contains("::")));
                proptest::prop_assert!(!text.chars().any(|c| c.is_control() || c == ' '));
                proptest::prop_assert!(!text.starts_with("http") || !text.contains(['?', '#']));
                let authority = text.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
                proptest::prop_assert!(!authority.starts_with('-') && !authority.contains("@-"));
                proptest::prop_assert!(!text.starts_with("http") || !authority.contains('@'));
                let canonical = url.canonical();
                if let Ok(again) = canonical.parse::<RepoUrl>() {
                    proptest::prop_assert_eq!(again.canonical(), canonical);
                }
            }
            let _ = without_credentials(&text);
        }
    }
}
