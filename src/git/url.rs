//! `RepoUrl`: where a repository is, refused where giving it to git would be unsafe.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Error;

/// A repository's address: `https://`, `ssh://`, `user@host:path`, `file://` or an absolute path. Plain `http://` only to
/// this machine. Never with a password in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepoUrl(String);

impl RepoUrl {
    /// The address as git takes it.
    pub fn as_str(&self) -> &str {
        &self.0
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
            if authority.starts_with('-') {
                return bad("its host begins with a dash");
            }
            let host = authority.rsplit('@').next().unwrap_or_default();
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

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Hides what stands between `://` and `@`.
pub(super) fn redact(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(i) = rest.find("://") {
        let (before, after) = rest.split_at(i + 3);
        out.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace() || c == '\'').unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(at) => {
                out.push_str("***");
                rest = &after[at..];
            }
            None => rest = after,
        }
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
    fn credentials_are_hidden() {
        assert_eq!(redact("fatal: 'https://u:p@h/a' and ssh://git@h"), "fatal: 'https://***@h/a' and ssh://***@h");
    }
}
