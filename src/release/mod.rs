//! Releases: proposing what the project is now to an environment, and merging what its policy lets through.

pub mod contents;
pub mod deployment;
pub mod diff;
pub mod gate;
pub mod image;
pub mod overview;
pub mod proof;
pub mod proposal;
pub mod provenance;
pub mod rehearsal;
pub mod statement;
pub mod story;
pub mod trailers;

use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::name::Name;
use crate::reference::ImageRef;
use crate::{engine, forge, git, sandbox, state};

pub use deployment::{Evidence, Plan};
pub use gate::{Finding, Gate};
pub use trailers::Trailers;

/// What can go wrong with a release.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The state repository says something wrong.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] crate::files::FileError),
    /// A file says something wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The forge failed.
    #[error(transparent)]
    Forge(#[from] forge::Error),
    /// A registry failed.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// A key or a signature is none.
    #[error(transparent)]
    Signature(#[from] crate::images::signature::Error),
    /// A policy names a key that is not there.
    #[error("state.toml names the key {path}, and the state repository's base branch has no such file")]
    NoKeyFile {
        /// The file.
        path: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A sandbox failed.
    #[error(transparent)]
    Sandbox(Box<sandbox::Error>),
    /// A deployment that replaces nothing has nothing to be rehearsed.
    #[error("{environment} does not declare {app} yet, so a deployment replaces nothing that could be down meanwhile")]
    NothingToReplace {
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
    },
    /// Nothing answers that a probe could ask.
    #[error("none of the services of {app} that the deployment replaces has a `port`, so a probe has nothing to ask")]
    NothingToProbe {
        /// The app.
        app: Name,
    },
    /// One digest for several images.
    #[error("the deployment has images of {}, and a digest does not say which it is of", services.iter().map(Name::as_str).collect::<Vec<_>>().join(", "))]
    WhichImage {
        /// Their services.
        services: Vec<Name>,
    },
    /// What must be the same cannot be told.
    #[error("the `check` of {service} failed before the deployment: {how}")]
    CheckFailed {
        /// The service.
        service: String,
        /// Its exit code, or that it never ended.
        how: String,
    },
    /// What a probe would ask is not answered well as it is.
    #[error("the probe of {service} failed before the deployment: {how}")]
    ProbeFailed {
        /// The environment.
        environment: Name,
        /// The service.
        service: Name,
        /// The path, and its status line or why there is none.
        how: String,
    },
    /// A name could not be made into an image reference.
    #[error(transparent)]
    Reference(#[from] crate::reference::ParseError),
    /// What would be deployed is not what is committed.
    #[error("a deployment is of a commit, and these files are not committed: {}", files.join(", "))]
    Uncommitted {
        /// The files.
        files: Vec<String>,
    },
    /// `onramp.lock` does not say which digest an image is.
    #[error("onramp.lock has no digest for {image}, which services.{service} names")]
    NotLocked {
        /// The image.
        image: ImageRef,
        /// The service.
        service: Name,
    },
    /// The project builds nothing.
    #[error("{app} has nothing to deploy: no service in onramp.toml has `build`")]
    NothingToDeploy {
        /// The app.
        app: Name,
    },
    /// The base branch went on, and the change does not fit it any more.
    #[error("pull request {number} changes the same lines as {base} has meanwhile: {}", paths.join(", "))]
    Outdated {
        /// The pull request.
        number: u64,
        /// The base branch.
        base: String,
        /// The files.
        paths: Vec<String>,
        /// The environment that it is about.
        environment: Option<Name>,
    },
    /// The environments' policy does not let the change through.
    #[error("pull request {number} may not be merged yet: {}", list(findings))]
    Refused {
        /// The pull request.
        number: u64,
        /// What is missing, where.
        findings: Vec<Finding>,
    },
}

impl From<sandbox::Error> for Error {
    fn from(error: sandbox::Error) -> Self {
        Self::Sandbox(Box::new(error))
    }
}

fn list(findings: &[Finding]) -> String {
    let messages: Vec<&str> = findings.iter().flat_map(|f| &f.unmet).map(|unmet| unmet.message.as_str()).collect();
    messages.join("; ")
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Git(error) => error.class(),
            Self::State(error) => error.class(),
            Self::Document(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Forge(error) => error.class(),
            Self::Registry(error) => error.class(),
            Self::Signature(error) => error.class(),
            Self::Engine(error) => error.class(),
            Self::Sandbox(error) => error.class(),
            Self::NothingToReplace { .. } | Self::WhichImage { .. } => Class::Usage,
            Self::CheckFailed { .. } | Self::ProbeFailed { .. } => Class::Failed,
            Self::Reference(_)
            | Self::NoKeyFile { .. }
            | Self::NotLocked { .. }
            | Self::NothingToDeploy { .. }
            | Self::NothingToProbe { .. } => Class::Config,
            Self::Uncommitted { .. } | Self::Outdated { .. } => Class::Conflict,
            Self::Refused { .. } => Class::Security,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Document(error) => error.hint(),
            Self::Forge(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Signature(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Sandbox(error) => error.hint(),
            Self::ProbeFailed { .. } => Some("`--probe` names a path that answers 2xx or 3xx now".to_owned()),
            Self::Outdated { .. } => {
                Some("deploying the app to that environment again proposes it anew, on what is declared now".to_owned())
            }
            Self::Refused { .. } => {
                Some("the policy is the one in state.toml on the base branch, not in the pull request".to_owned())
            }
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Git(error) => error.next(),
            Self::State(error) => error.next(),
            Self::Forge(error) => error.next(),
            Self::Registry(error) => error.next(),
            Self::Signature(error) => error.next(),
            Self::Engine(error) => error.next(),
            Self::Sandbox(error) => error.next(),
            Self::NothingToReplace { environment, .. } => vec![format!("onramp deploy {environment}")],
            Self::ProbeFailed { environment, .. } => {
                vec![format!("onramp rehearse deploy {environment} --probe /PATH")]
            }
            Self::Uncommitted { .. } => vec!["git add -A && git commit".to_owned()],
            Self::Outdated { environment, .. } => {
                let environment = environment.as_ref().map_or("<env>", Name::as_str);
                vec![format!("onramp deploy {environment}")]
            }
            Self::NotLocked { .. } => vec!["onramp image pull".to_owned()],
            Self::Refused { number, findings } => gate::commands(*number, findings),
            _ => Vec::new(),
        }
    }
}

/// The commit that a deployment of the project at `root` is of: all of it must be committed.
pub fn source(root: &std::path::Path) -> Result<(git::Worktree, git::Commit), Error> {
    let worktree = git::Worktree::find(root)?;
    let commit = worktree.commit()?.clone();
    let files = worktree.changed(root)?;
    if files.is_empty() { Ok((worktree, commit)) } else { Err(Error::Uncommitted { files }) }
}
