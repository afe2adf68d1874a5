//! Which engine is meant, by what Docker's own client goes by: `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the context that its
//! settings name, then the usual socket.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Address, Error};
use crate::files;
use crate::reference::Digest;
use crate::text::neutral_line;

/// The largest of Docker's own settings files, in bytes.
const CAP: u64 = 1024 * 1024;
/// The context that is none: the usual socket.
const DEFAULT: &str = "default";

/// `config.json`, so far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    current_context: Option<String>,
}

/// `contexts/meta/<sha256 of the name>/meta.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host")]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    unverified: bool,
}

impl Address {
    /// The engine that is meant, by these variables and Docker's settings in `DOCKER_CONFIG` or `~/.docker`.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let settings = set("DOCKER_CONFIG").map(PathBuf::from);
        let settings = settings.or_else(|| Some(Path::new(&set("HOME")?).join(".docker")));
        if let Some(host) = set("DOCKER_HOST") {
            let keys = || set("DOCKER_CERT_PATH").map(PathBuf::from).or(settings);
            let keys = set("DOCKER_TLS_VERIFY").and_then(|_| keys());
            return Ok(Self::of(&host, keys.as_deref())?.said_by("DOCKER_HOST"));
        }
        // Without a home there are no settings; what lies where the command runs are not the user's.
        let Some(settings) = settings else { return Ok(Self::usual()) };
        if let Some(name) = set("DOCKER_CONTEXT") {
            return Self::of_context(&settings, &name, "DOCKER_CONTEXT");
        }
        let path = settings.join("config.json");
        // One that is empty, damaged or another user's names none: Docker's client, too, goes on without it.
        let config = read::<Config>(&path).ok().flatten();
        let name = config.and_then(|config| config.current_context).filter(|name| !name.is_empty());
        name.map_or_else(|| Ok(Self::usual()), |name| Self::of_context(&settings, &name, &path.display().to_string()))
    }

    fn of_context(settings: &Path, name: &str, origin: &str) -> Result<Self, Error> {
        if name == DEFAULT {
            return Ok(Self::usual());
        }
        let shown = neutral_line(name, 100);
        let digest = Digest::of(name.as_bytes());
        let path = settings.join("contexts/meta").join(digest.hex()).join("meta.json");
        let missing = || Error::NoContext { origin: origin.to_owned(), name: shown.clone() };
        let Endpoint { host, unverified } = read::<Meta>(&path)?.ok_or_else(missing)?.endpoints.docker;
        let keys = settings.join("contexts/tls").join(digest.hex()).join("docker");
        let keys = Some(keys).filter(|keys| keys.is_dir());
        if unverified && host.starts_with("tcp://") && keys.is_some() {
            return Err(Error::Unprotected { host: neutral_line(&host, 200) });
        }
        Ok(Self::of(&host, keys.as_deref())?.said_by(&format!("docker context {shown}")))
    }
}

/// One of Docker's files; none where it is not there.
fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, Error> {
    let wrong = |detail: String| Error::BadFile { path: path.to_owned(), detail };
    match files::read(path, CAP) {
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(wrong(crate::error::chain(&error))),
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
            // Its words may quote what is in the file.
            wrong(format!("that is not what Docker writes (line {}, column {})", error.line(), error.column()))
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Way;
    use super::*;
    use crate::error::{Class, Fault};

    /// Docker's settings of a user, and the variables that are set.
    struct User(tempfile::TempDir, BTreeMap<&'static str, String>);

    impl User {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let variables = [("HOME", home.path().display().to_string())].into();
            Self(home, variables)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(".docker").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn context(&self, name: &str, host: &str) -> String {
            let hash = Digest::of(name.as_bytes()).hex().to_owned();
            let meta = format!(
                r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
            );
            self.write(&format!("contexts/meta/{hash}/meta.json"), &meta);
            hash
        }

        fn with(mut self, name: &'static str, value: &str) -> Self {
            self.1.insert(name, value.to_owned());
            self
        }

        fn finds(&self) -> Result<Address, Error> {
            Address::find(|name| self.1.get(name).cloned())
        }

        fn host(&self) -> String {
            self.finds().unwrap().host().to_owned()
        }
    }

    #[test]
    fn the_first_of_variable_context_and_settings_counts() {
        let user = User::new();
        assert_eq!(user.finds().unwrap(), Address::usual());
        user.context("mine", "unix:///mine.sock");
        user.context("theirs", "ssh://build");
        assert_eq!(user.finds().unwrap(), Address::usual(), "a context that nobody chose");
        user.write("config.json", r#"{"auths":{},"currentContext":"mine"}"#);
        assert_eq!(user.host(), "unix:///mine.sock");
        let user = user.with("DOCKER_CONTEXT", "theirs");
        assert_eq!(user.host(), "ssh://build");
        assert_eq!(user.finds().unwrap().origin(), Some("docker context theirs"));
        let user = user.with("DOCKER_HOST", "unix:///set.sock");
        assert_eq!(user.host(), "unix:///set.sock");
        assert_eq!(user.finds().unwrap().origin(), Some("DOCKER_HOST"));
        let user = user.with("DOCKER_HOST", "").with("DOCKER_CONTEXT", "default");
        assert_eq!(user.finds().unwrap(), Address::usual(), "the default context is the usual socket");
    }

    #[test]
    fn keys_are_where_the_client_looks_for_them() {
        let user = User::new();
        let keys = |user: &User| match user.finds().unwrap().way() {
            Way::Tls(tls) => tls.files.clone(),
            other => panic!("{other:?}"),
        };
        let hash = user.context("far", "tcp://build.acme.test:2376");
        let user = user.with("DOCKER_CONTEXT", "far");
        assert_eq!(user.finds().unwrap_err().class(), Class::Security, "without keys it would be plain");
        user.write(&format!("contexts/tls/{hash}/docker/ca.pem"), "");
        assert_eq!(keys(&user), user.0.path().join(".docker/contexts/tls").join(&hash).join("docker"));
        let meta = user.0.path().join(".docker/contexts/meta").join(&hash).join("meta.json");
        let text = std::fs::read_to_string(&meta).unwrap().replace("\"SkipTLSVerify\":false", "\"SkipTLSVerify\":true");
        std::fs::write(&meta, text).unwrap();
        assert_eq!(user.finds().unwrap_err().class(), Class::Security, "what is not verified is not used");

        let user = user.with("DOCKER_HOST", "tcp://build:2376");
        assert_eq!(user.finds().unwrap_err().class(), Class::Security);
        let user = user.with("DOCKER_TLS_VERIFY", "1");
        assert_eq!(keys(&user), user.0.path().join(".docker"));
        let user = user.with("DOCKER_CERT_PATH", "/keys");
        assert_eq!(keys(&user), Path::new("/keys"));
    }

    #[test]
    fn what_the_settings_lack_or_say_wrong_is_told() {
        let user = User::new();
        user.write("config.json", r#"{"currentContext":"gone"}"#);
        let error = user.finds().unwrap_err();
        assert!(
            error.to_string().ends_with("config.json names the docker context `gone`, which is not there"),
            "{error}"
        );
        assert_eq!((error.class(), error.next()), (Class::Config, vec!["docker context ls".to_owned()]));
        for damaged in ["", "{", "\"sekrit\""] {
            user.write("config.json", damaged);
            assert_eq!(user.finds().unwrap().host(), Address::usual().host(), "{damaged:?}");
        }
        let hash = user.context("mine", "ssh://build");
        user.write(&format!("contexts/meta/{hash}/meta.json"), "{\"Endpoints\": \"sekrit\"}");
        user.write("config.json", r#"{"currentContext":"mine"}"#);
        let error = user.finds().unwrap_err();
        assert!(matches!(error, Error::BadFile { .. }) && error.class() == Class::Config, "{error}");
        assert!(
            error.to_string().ends_with("meta.json: that is not what Docker writes (line 1, column 22)"),
            "{error}"
        );
    }
}
