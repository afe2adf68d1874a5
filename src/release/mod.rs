//! Releases: proposing what the project is now to an environment, and merging what its policy lets through.

pub mod background;
pub mod contents;
pub mod deployment;
pub mod diff;
pub mod draft;
pub mod excuse;
pub mod gate;
pub mod history;
pub mod image;
pub mod leak;
pub mod metrics;
pub mod overview;
pub mod page;
pub mod promotion;
pub mod proof;
pub mod proposal;
pub mod provenance;
pub mod rehearsal;
pub mod rollback;
pub mod statement;
pub mod story;
pub mod trailers;
pub mod verdict;

use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::git::Commit;
use crate::name::Name;
use crate::reference::ImageRef;
use crate::state::unmet::DRAFT;
use crate::text::did_you_mean;
use crate::{engine, forge, git, sandbox, state};

pub use deployment::{Evidence, Plan};
pub use draft::{Draft, Section};
pub use gate::{Finding, Gate};
pub use trailers::Trailers;

/// What stands in a branch's name in the place of an app where it proposes a release train: no app is called so.
pub const TRAIN: &str = "_all";

/// The branch of the state repository that proposes a change to an app in an environment, or with [`TRAIN`] to several.
pub fn branch_of(environment: &Name, app: &str) -> String {
    format!("deploy/{environment}/{app}")
}

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
    /// A promotion leads from one environment to another.
    #[error("{environment} cannot be promoted to itself")]
    Itself {
        /// The environment.
        environment: Name,
    },
    /// An environment does not have the app.
    #[error("{environment} does not declare the app {app}")]
    NotDeclared {
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
        /// The apps that it has.
        known: Vec<Name>,
    },
    /// What is declared by a tag may be another image tomorrow.
    #[error("services.{service} of {app} is declared by the tag of {image}, and only a digest is promoted")]
    NoDigest {
        /// The app.
        app: Name,
        /// The service.
        service: Name,
        /// The image.
        image: Box<ImageRef>,
    },
    /// More than one pull request can tell.
    #[error("{count} apps would change; one release train takes {} at most", trailers::MOST)]
    TooMany {
        /// How many.
        count: usize,
    },
    /// There was no such deployment.
    #[error("{environment} knows {deployments} earlier deployment{} of {app} to go back by", if *deployments == 1 { "" } else { "s" })]
    NothingBefore {
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
        /// How many there are to go back by.
        deployments: usize,
    },
    /// The default branch never declared that.
    #[error("{environment} never declared {app} as {} has it", commit.short())]
    NeverDeclared {
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
        /// Where it was looked for.
        commit: Commit,
    },
    /// What `--skip` names is not what stands before the environment.
    #[error("{skipped} is not what comes before {environment}")]
    NotBefore {
        /// The environment that is deployed to.
        environment: Name,
        /// What it comes after, if anything.
        after: Option<Name>,
        /// What was to be left out.
        skipped: Name,
    },
    /// The environment takes nothing past the one before.
    #[error("{environment} takes no hotfix: its policy has no `hotfix = true`")]
    NoHotfix {
        /// The environment.
        environment: Name,
    },
    /// Something that nobody may read would be sent.
    #[error("{place} holds {what}")]
    Leak {
        /// Which text.
        place: String,
        /// What it holds, without saying it.
        what: String,
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
            Self::NothingToReplace { .. }
            | Self::WhichImage { .. }
            | Self::Itself { .. }
            | Self::NotDeclared { .. }
            | Self::TooMany { .. }
            | Self::NothingBefore { .. }
            | Self::NeverDeclared { .. }
            | Self::NotBefore { .. } => Class::Usage,
            Self::CheckFailed { .. } | Self::ProbeFailed { .. } => Class::Failed,
            Self::Reference(_)
            | Self::NoKeyFile { .. }
            | Self::NotLocked { .. }
            | Self::NoDigest { .. }
            | Self::NothingToDeploy { .. }
            | Self::NothingToProbe { .. } => Class::Config,
            Self::Uncommitted { .. } | Self::Outdated { .. } => Class::Conflict,
            Self::Refused { .. } | Self::NoHotfix { .. } | Self::Leak { .. } => Class::Security,
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
            Self::NotDeclared { app, known, .. } => {
                let meant = did_you_mean(app.as_str(), known.iter().map(Name::as_str));
                meant.map(|meant| format!("did you mean `{meant}`?"))
            }
            Self::TooMany { .. } => Some("name some of the apps, and the others in a second train".to_owned()),
            Self::NotBefore { environment, after, .. } => Some(match after {
                Some(after) => format!("{environment} comes after {after}"),
                None => format!("nothing comes before {environment}: deploy without --skip"),
            }),
            Self::NoHotfix { environment } => {
                Some(format!("deploy to what comes before {environment}, or have its policy changed in state.toml"))
            }
            Self::Leak { .. } => Some("no branch was pushed; take it out, or make the variable a secret".to_owned()),
            Self::Refused { findings, .. } => {
                // A draft is held by no policy.
                let by_policy = findings.iter().flat_map(|finding| &finding.unmet).any(|unmet| unmet.rule != DRAFT);
                by_policy.then(|| {
                    "the policy is the one in state.toml on the base branch, not in the pull request".to_owned()
                })
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
            Self::NothingBefore { environment, app, .. } | Self::NeverDeclared { environment, app, .. } => {
                vec![format!("onramp release history {app} {environment}")]
            }
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
