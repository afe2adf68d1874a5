//! The service schema that `onramp.toml` and the state repository share.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::egress::Endpoint;
use super::limits::Limits;
pub use super::seed::{Seed, SeedCommand};
use crate::name::Name;
use crate::reference::ImageRef;

/// Where images of databases look for what fills an empty one, by the convention of Docker's official images.
pub const SEEDS: &str = "/docker-entrypoint-initdb.d";

/// Where in the container the seed file is that comes after so many others: images apply them in the order of their names.
pub fn seed_place(before: usize, file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("{SEEDS}/{:03}-{name}", before + 1)
}

/// One service: of a project (with `build`, `sync`, `seed`, `fallback`, `publish`) or of an environment (with `image`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The image to run. In an environment by digest; in a project it overrides the environment's, in sandboxes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// Project only: the image to run until the environment declares this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<ImageRef>,
    /// Project only: this service is under development here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// The port that the service listens on, in its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Project only: the loopback port to publish it on; chosen by the engine when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<u16>,
    /// How many run in the environment. A sandbox runs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The platform that the environment runs it on, `linux/amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The program to run instead of the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The program that migrates data before this image takes over: run once in it whenever the container is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrate: Option<Vec<String>>,
    /// Who runs it instead of the image's own user: a name or number of the image, and maybe a group, `www-data:www-data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How much it may take.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Capabilities that it has beside the usual ones: [`super::safety::MORE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// The hosts and ports outside that it reaches; where absent, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Vec<Endpoint>>,
    /// Whether nothing writes to the image's files; where absent, as the image says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Directories in the container that are empty at its start, in memory, and gone with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<String>,
    /// Services that must be ready before this one starts: `db`, or another app's `auth/api`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    /// When the service counts as ready; where absent, when its port answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// Directory in the container whose contents outlive the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Project only: what fills empty `data`.
    #[serde(default, skip_serializing_if = "Seed::is_empty")]
    pub seed: Seed,
    /// Environment only: the Puppet code that its machines are made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puppet: Option<Puppet>,
    /// Project only: a program of the service that prints what must be the same before a deployment and after it was rolled
    /// back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Vec<String>>,
    /// Project only: directories of the project shown in the container, so that an edit needs no rebuild.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sync: BTreeMap<String, Shown>,
}

/// Where a directory of the project is shown in a container, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a path in the container, or { target = \"/path\", mode = \"copy\" }")]
pub enum Shown {
    /// There: the directory itself.
    At(String),
    /// There, in this way.
    By(ShownBy),
}

/// A directory of the project in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownBy {
    /// The directory in the container.
    pub target: String,
    /// How it comes there.
    #[serde(default)]
    pub mode: SyncMode,
}

/// How a directory of the project comes into a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// It is mounted: an edit is there at once.
    #[default]
    Bind,
    /// It is copied by `up`, and what changes by `watch`: where the engine cannot mount it, or mounts are slow.
    Copy,
}

impl Shown {
    /// The directory in the container.
    pub fn target(&self) -> &String {
        match self {
            Self::At(target) | Self::By(ShownBy { target, .. }) => target,
        }
    }

    /// How it comes there.
    pub fn mode(&self) -> SyncMode {
        match self {
            Self::At(_) => SyncMode::Bind,
            Self::By(by) => by.mode,
        }
    }
}

/// How a service under development is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Directory of the project with the Dockerfile in it.
    #[serde(default = "here")]
    pub context: String,
    /// The base image, given to the Dockerfile as build argument `BASE`, pinned by `onramp.lock`.
    pub base: ImageRef,
}

fn here() -> String {
    ".".to_owned()
}

/// Puppet code, in the state repository at the commit of the declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Puppet {
    /// A directory of the state repository, laid out as one of Puppet's environments: `manifests`, `modules`, `hiera.yaml`.
    pub code: String,
    /// What is applied, in that directory.
    #[serde(default = "site")]
    pub manifest: String,
}

fn site() -> String {
    "manifests/site.pp".to_owned()
}

/// When a service is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// Path that answers 2xx or 3xx over HTTP on the service's port.
    pub http: String,
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a text, { secret = \"app/name\" } or { secret = \"app/name\", file = true }")]
pub enum EnvValue {
    /// Written in the file.
    Plain(String),
    /// Held by the environment's secret store; in a sandbox a value made for it.
    Secret(Secret),
}

/// The name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// `app/name`.
    pub secret: String,
    /// Whether the variable is the path of a file that holds it, and not the secret itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub file: bool,
}

/// Whether a variable of this name is meant to be known to few.
pub fn is_secret_name(variable: &str) -> bool {
    const WORDS: [&str; 7] = ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIALS", "APIKEY"];
    let upper = variable.to_ascii_uppercase();
    WORDS.iter().any(|word| upper.contains(word)) || ["_KEY", "_PASS", "_PWD"].iter().any(|end| upper.ends_with(end))
}

/// A service that another one needs: of the same app, or `app/service`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Need {
    /// The other app; none for the same one.
    pub app: Option<Name>,
    /// The service.
    pub service: Name,
}

impl FromStr for Need {
    type Err = crate::name::NotAName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('/') {
            Some((app, service)) => Self { app: Some(app.parse()?), service: service.parse()? },
            None => Self { app: None, service: text.parse()? },
        })
    }
}

impl TryFrom<String> for Need {
    type Error = crate::name::NotAName;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Need> for String {
    fn from(need: Need) -> Self {
        need.to_string()
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.app {
            Some(app) => write!(f, "{app}/{}", self.service),
            None => write!(f, "{}", self.service),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_keep_their_order() {
        let files = ["db/z.sql", "a.sql"].map(Path::new);
        let places: Vec<String> = files.into_iter().enumerate().map(|(at, file)| seed_place(at, file)).collect();
        assert_eq!(places, ["/docker-entrypoint-initdb.d/001-z.sql", "/docker-entrypoint-initdb.d/002-a.sql"]);
    }

    #[test]
    fn names_tell_what_is_secret() {
        for name in ["DB_PASSWORD", "mysql_root_password", "APP_KEY", "GITHUB_TOKEN", "DB_PASS", "APP_SECRET_BASE"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["DB_HOST", "COMPASS", "KEYBOARD", "DB_USER"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
