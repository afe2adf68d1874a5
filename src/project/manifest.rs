//! `onramp.toml`: what a project is, read and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::safety;
use super::service::{EnvValue, Secret, Service, Shown};
use super::test::{self, Test};
use crate::document::{self, DocumentError};
use crate::files;
use crate::name::Name;
use crate::reference::ImageRef;

/// The file's name.
pub const FILE: &str = "onramp.toml";

/// The contents of `onramp.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// 1.
    pub schema: u32,
    /// The project's name, which is its app's name in the state repository.
    pub name: Name,
    /// URL of the catalog its blocks come from.
    pub catalog: Option<String>,
    /// Its building blocks.
    #[serde(default)]
    pub blocks: BTreeMap<Name, BlockUse>,
    /// Its services: those under development, and what it says about others.
    #[serde(default)]
    pub services: BTreeMap<Name, Service>,
    /// Its tests.
    #[serde(default)]
    pub tests: BTreeMap<Name, Test>,
    /// What its sandboxes may do.
    #[serde(default)]
    pub sandbox: SandboxRules,
}

/// A building block that the project uses.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockUse {
    /// Semantic version requirement.
    pub version: semver::VersionReq,
    /// The answers to its questions.
    #[serde(default)]
    pub answers: toml::Table,
}

/// The `[sandbox]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxRules {
    /// Whether the sandbox's services may reach the network outside. They may not unless this says so.
    #[serde(default)]
    pub egress: bool,
    /// Whether services that answer by HTTP have names of their own: `https://web.<sandbox>.localhost/`.
    #[serde(default)]
    pub hostnames: bool,
}

/// A manifest and where it was found.
#[derive(Clone, Debug)]
pub struct Project {
    /// The project's directory, absolute.
    pub root: PathBuf,
    /// Its `onramp.toml`.
    pub manifest: Manifest,
    /// The text that it was read from.
    pub text: String,
}

impl Project {
    /// Finds and reads the project that `start` lies in: the nearest directory upwards with an `onramp.toml`.
    pub fn find(start: &Path) -> Result<Self, super::Error> {
        let start = start.canonicalize().map_err(files::FileError::io("read", start))?;
        let root = start
            .ancestors()
            .find(|dir| dir.join(FILE).is_file())
            .ok_or_else(|| super::Error::NoProject { start: start.clone() })?;
        let path = root.join(FILE);
        let text = files::read_text(&path, document::CAP)?;
        let manifest = parse(&path, &text)?;
        Ok(Self { root: root.to_owned(), manifest, text })
    }
}

impl Manifest {
    /// The references by tag that the project itself writes: what its lock pins.
    pub fn tagged_images(&self) -> BTreeSet<ImageRef> {
        let images = self.services.values().flat_map(|service| {
            let base = service.build.as_ref().map(|build| &build.base);
            base.into_iter().chain(&service.image).chain(&service.fallback)
        });
        images.filter(|image| image.digest().is_none()).cloned().collect()
    }
}

/// Parses and checks the text of an `onramp.toml`.
pub fn parse(path: &Path, text: &str) -> Result<Manifest, DocumentError> {
    let parsed = document::parse(path, text);
    if !matches!(parsed, Err(DocumentError::Newer { .. })) {
        // Its keys are unknown here, and that would be said first.
        safety::check(path, text)?;
    }
    let manifest: Manifest = parsed?;
    let wrong = |needle: &str, message: String| document::wrong_at(path, text, needle, message);
    for (name, service) in &manifest.services {
        let table = format!("[services.{name}]");
        check_service(service).map_err(|message| wrong(&table, format!("services.{name}: {message}")))?;
        if let Some(image) = service.image.as_ref().or(service.fallback.as_ref())
            && service.build.is_some()
        {
            return Err(wrong(&table, format!("services.{name} has both `build` and `{image}`: keep one")));
        }
        if manifest.sandbox.egress && service.egress.as_ref().is_some_and(|list| !list.is_empty()) {
            let message =
                format!("services.{name}: `egress` names hosts while `[sandbox] egress = true` opens all: keep one");
            return Err(wrong(&table, message));
        }
        for (key, is_set) in [("replicas", service.replicas.is_some()), ("puppet", service.puppet.is_some())] {
            if is_set {
                return Err(wrong(&table, format!("services.{name}: `{key}` belongs to an environment")));
            }
        }
    }
    test::check(&manifest).map_err(|mistake| {
        let meant = mistake.meant.map(|meant| format!("did you mean `{meant}`?"));
        wrong(&format!("[tests.{}]", mistake.test), mistake.message).hinted(meant)
    })?;
    Ok(manifest)
}

/// The checks that every service must pass, wherever it is declared.
pub fn check_service(service: &Service) -> Result<(), String> {
    if let Some(key) = service.env.keys().find(|key| key.is_empty() || key.contains(['=', '\0'])) {
        return Err(format!("`{}` is no environment variable's name", key.escape_debug()));
    }
    let is_path = |secret: &Secret| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
        secret.secret.len() <= 200 && secret.secret.split('/').all(part)
    };
    let secrets = service.env.values().filter_map(|value| match value {
        EnvValue::Secret(secret) if secret.file => Some(secret),
        _ => None,
    });
    let secrets: Vec<&Secret> = secrets.collect();
    if let Some(secret) = secrets.iter().find(|secret| !is_path(secret)) {
        return Err(format!("the secret `{}` can be no file: its name is no path", secret.secret.escape_debug()));
    }
    let in_it = |file: &Secret, other: &Secret| {
        other.secret.strip_prefix(&file.secret).is_some_and(|rest| rest.starts_with('/'))
    };
    if let Some(file) = secrets.iter().find(|file| secrets.iter().any(|other| in_it(file, other))) {
        return Err(format!(
            "the secret `{}` can be no file: another one lies in a directory of that name",
            file.secret
        ));
    }
    if let Some(ready) = &service.ready {
        if service.port.is_none() {
            return Err("`ready` needs a `port`".to_owned());
        }
        if !ready.http.starts_with('/') || ready.http.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("`ready.http` is a path that begins with `/`".to_owned());
        }
    }
    let below = |path: &&String| path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.starts_with('-');
    let paths = service.puppet.iter().flat_map(|puppet| [&puppet.code, &puppet.manifest]);
    if let Some(path) = paths.into_iter().find(|path| !below(path)) {
        return Err(format!("`puppet`: `{}` is no path below the state repository", path.escape_debug()));
    }
    if service.port == Some(0) || service.publish == Some(0) {
        return Err("a port is 1 to 65535".to_owned());
    }
    if service.publish.is_some() && service.port.is_none() {
        return Err("`publish` needs a `port`".to_owned());
    }
    if let Some(user) = service.user.as_ref().filter(|user| !is_user(user)) {
        return Err(format!("`{}` is no user: write a name or a number, with a group `33:33`", user.escape_debug()));
    }
    if !service.seed.is_empty() && service.data.is_none() {
        return Err("`seed` needs `data`: seeds are applied to empty data".to_owned());
    }
    let programs = [("migrate", &service.migrate), ("check", &service.check)];
    if let Some((key, _)) = programs.into_iter().find(|(_, program)| program.as_ref().is_some_and(Vec::is_empty)) {
        return Err(format!("`{key}` is empty"));
    }
    if service.migrate.is_some() && !service.seed.is_empty() {
        return Err(
            "`migrate` with `seed`: it would run before the data is there; let the service that uses it migrate"
                .to_owned(),
        );
    }
    if service.seed.command().is_some_and(<[String]>::is_empty) {
        return Err("`seed.command` is empty".to_owned());
    }
    if service.read_only == Some(true) && !service.seed.files().is_empty() {
        return Err("`read_only` with seed files: they are put among the image's files; use `seed = { command = … }`"
            .to_owned());
    }
    let targets = service.data.iter().chain(service.sync.values().map(Shown::target)).chain(&service.tmpfs);
    if let Some(target) = targets.into_iter().find(|t| !t.starts_with('/') || t.contains(':') || t.contains("..")) {
        return Err(format!("`{}` is not an absolute path in the container", target.escape_debug()));
    }
    Ok(())
}

/// Whether an engine can read it: a name or a number, and maybe one of a group.
pub(crate) fn is_user(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    text.splitn(2, ':').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(Path::new("onramp.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        let head = "schema = 1\nname = \"shop\"\n";
        let cases = [
            (
                "[services.web]\nport = 80\nready = { http = \"health\" }\n",
                "onramp.toml:3:1: services.web: `ready.http` is a path that begins with `/`",
            ),
            (
                "[services.db]\nseed = [\"a.sql\"]\n",
                "onramp.toml:3:1: services.db: `seed` needs `data`: seeds are applied to empty data",
            ),
            (
                "[services.db]\ndata = \"/d\"\nseed = { command = [] }\n",
                "onramp.toml:3:1: services.db: `seed.command` is empty",
            ),
            ("[services.web]\nmigrate = []\n", "onramp.toml:3:1: services.web: `migrate` is empty"),
            (
                "[services.db]\ndata = \"/d\"\nseed = [\"a.sql\"]\nmigrate = [\"m\"]\n",
                "onramp.toml:3:1: services.db: `migrate` with `seed`: it would run before the data is there; let the service that uses it migrate",
            ),
            (
                "[services.web]\nenv = { A = { secret = \"shop/db\", file = true }, B = { secret = \"shop/db/key\", file = true } }\n",
                "onramp.toml:3:1: services.web: the secret `shop/db` can be no file: another one lies in a directory of that name",
            ),
            ("[services.db]\ndata = \"/d\"\nseed = { comand = [\"a\"] }\n", "onramp.toml:5:10: unknown key `comand`"),
            (
                "[services.db]\nread_only = true\ndata = \"/d\"\nseed = [\"a.sql\"]\n",
                "onramp.toml:3:1: services.db: `read_only` with seed files: they are put among the image's files; use `seed = { command = … }`",
            ),
            (
                "[services.web]\nport = 80\ntmpfs = [\"cache\"]\n",
                "onramp.toml:3:1: services.web: `cache` is not an absolute path in the container",
            ),
            (
                "[services.web]\nenv = { A = { secret = \"../a\", file = true } }\n",
                "onramp.toml:3:1: services.web: the secret `../a` can be no file: its name is no path",
            ),
            (
                "[services.web]\negress = [\"a.test:443\", \"b.test\"]\n",
                "onramp.toml:4:10: `b.test` is no host and port: the port is missing, as in api.example.com:443",
            ),
            (
                "[services.web]\nuser = \"www data\"\n",
                "onramp.toml:3:1: services.web: `www data` is no user: write a name or a number, with a group `33:33`",
            ),
            (
                "[services.web]\nlimits = { memory = \"1 MB\" }\n",
                "onramp.toml:4:21: `1 MB` is less than the 6 MiB that an engine gives at least",
            ),
            (
                "[tests.unit]\nin = \"web\"\nrun = [\"true\"]\n",
                "onramp.toml:3:1: tests.unit runs in `web`, which [services] does not have",
            ),
            (
                "[services.web]\n[tests.unit]\nin = \"web\"\nrun = [\"true\"]\ntimeout = \"soon\"\n",
                "onramp.toml:7:11: `soon` is no length of time: write it as 500ms, 30s, 2m or 7d",
            ),
            (
                "[services.web]\nneeds = [\"a/b/c\"]\n",
                "onramp.toml:4:9: `b/c` is not a name: use 1 to 40 lower-case letters, digits and single dashes, beginning with a letter",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(message(&format!("{head}{text}")), expected);
        }
    }
}
