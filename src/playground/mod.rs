//! The playground: a whole practice company on one machine, all of it real, all of it labelled.
//!
//! A registry container with base images built from the built-in catalog, a catalog repository with released blocks, a
//! state repository whose production runs two apps, and the `local` forge inside that.

mod company;
pub mod down;
pub mod status;
pub mod up;

use std::net::TcpListener;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::document::{self, DocumentError};
use crate::engine;
use crate::error::{Class, Fault};
use crate::files::{self, FileError};
use crate::git;
use crate::paths::Paths;
use crate::reference::Digest;

/// The port that is tried first for the registry: the one that registries are known by.
const USUAL_PORT: u16 = 5000;

/// Where a playground is. There is one a user (one for each data directory).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Playground {
    /// Its directory.
    pub home: PathBuf,
    /// Its name on the engine, from its directory.
    pub id: String,
    /// The loopback port of its registry.
    pub port: u16,
}

/// `playground.toml`: what a playground must not forget.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    schema: u32,
    port: u16,
}

impl Playground {
    /// The user's playground, if there is one.
    pub fn find(paths: &Paths) -> Result<Option<Self>, DocumentError> {
        let home = paths.data.join("playground");
        match document::load::<Remembered>(&home.join("playground.toml")) {
            Ok(remembered) => Ok(Some(Self::at(home, remembered.port))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The user's playground; where there is none, a new one with a free port for its registry. Nothing is written.
    pub fn find_or_choose(paths: &Paths) -> Result<Self, Error> {
        if let Some(found) = Self::find(paths)? {
            return Ok(found);
        }
        let free = |port| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
        let address = free(USUAL_PORT).or_else(|_| free(0)).map_err(|_| Error::NoPort)?;
        Ok(Self::at(paths.data.join("playground"), address.port()))
    }

    fn at(home: PathBuf, port: u16) -> Self {
        let id = Digest::of(home.as_os_str().as_encoded_bytes()).short()[..8].to_owned();
        Self { home, id, port }
    }

    /// Writes down what must not be forgotten.
    fn remember(&self) -> Result<(), FileError> {
        let text = format!(
            "# The playground of `onramp playground`; `onramp playground down` removes it.\nschema = 1\nport = {}\n",
            self.port
        );
        files::write(&self.home.join("playground.toml"), text.as_bytes())
    }

    /// `127.0.0.1:5000`.
    pub fn registry(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The catalog's bare repository.
    pub fn catalog(&self) -> PathBuf {
        self.home.join("catalog.git")
    }

    /// The state's bare repository.
    pub fn state(&self) -> PathBuf {
        self.home.join("state.git")
    }

    /// The name of its registry's container and volume.
    fn registry_container(&self) -> String {
        format!("onramp-playground-{}-registry", self.id)
    }
}

/// What can go wrong with the playground.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no playground on this machine")]
    NotUp,
    /// No loopback port is free.
    #[error("no port on 127.0.0.1 is free for the registry")]
    NoPort,
    /// What the registry's container publishes would not be on this machine's loopback.
    #[error("the engine at {host} is on another machine, and a company needs its registry on this one")]
    Elsewhere {
        /// The engine.
        host: String,
    },
    /// The registry container does not answer.
    #[error("the playground's registry does not answer at {address}")]
    RegistrySilent {
        /// Its address.
        address: String,
        /// Its container's last lines.
        log: Vec<String>,
    },
    /// A template in this binary is wrong.
    #[error("the built-in template {what} is wrong: {why}")]
    Template {
        /// The template.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// An image could not be made.
    #[error(transparent)]
    Image(#[from] crate::images::build::Error),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// A block failed to render.
    #[error(transparent)]
    Block(#[from] crate::blocks::Error),
    /// The state repository is wrong.
    #[error(transparent)]
    State(#[from] crate::state::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file says something wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NotUp => Class::Usage,
            Self::NoPort | Self::Elsewhere { .. } | Self::RegistrySilent { .. } => Class::Env,
            Self::Template { .. } => Class::Bug,
            _ => self.inner().map_or(Class::Bug, Fault::class),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::RegistrySilent { log, .. } if !log.is_empty() => Some(format!("its last lines:\n{}", log.join("\n"))),
            // The engine thinks of a project's `publish`; here the port is the one that every address of the company has.
            Self::Engine(engine::Error::PortTaken { .. }) => Some(
                "the company's registry has this port; free it, or make a new company after `playground down`".into(),
            ),
            _ => self.inner().and_then(Fault::hint),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NotUp => vec!["onramp playground up".into()],
            Self::Elsewhere { .. } => vec!["DOCKER_HOST=unix:///var/run/docker.sock onramp playground up".into()],
            _ => self.inner().map(Fault::next).unwrap_or_default(),
        }
    }
}

impl Error {
    /// The fault of another room that this passes on.
    fn inner(&self) -> Option<&dyn Fault> {
        match self {
            Self::Image(error) => Some(error),
            Self::Engine(error) => Some(error),
            Self::Registry(error) => Some(error),
            Self::Git(error) => Some(error),
            Self::Block(error) => Some(error),
            Self::State(error) => Some(error),
            Self::File(error) => Some(error),
            Self::Document(error) => Some(error),
            _ => None,
        }
    }
}
