//! What can be wrong with what `--with` asks for.

use std::path::{Path, PathBuf};

use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::name::Name;
use crate::text::did_you_mean;
use crate::{forge, git, images, project, state};

/// What can go wrong with mixing other people's changes in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text does not say what it means.
    #[error("--with {text}: {why}")]
    Unclear {
        /// What was asked for, neutral.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The project's own services run from its code.
    #[error("{app} is this project itself: its services run from the code that stands here")]
    Own {
        /// The app.
        app: Name,
    },
    /// Nothing says what the app is.
    #[error("--with needs a state repository, which says what {app} is")]
    NoState {
        /// The app.
        app: Name,
    },
    /// The environment does not have the app.
    #[error("{environment} does not declare the app {app}")]
    NoApp {
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
        /// The apps that it declares.
        known: Vec<Name>,
    },
    /// The app does not have the service.
    #[error("{app} has no service {service} in {environment}")]
    NoService {
        /// The app.
        app: Name,
        /// The service.
        service: Name,
        /// The environment.
        environment: Name,
        /// Those that it has.
        known: Vec<Name>,
    },
    /// Several services, and which is meant cannot be told.
    #[error("{app} has {} services in {environment}, and {asked} does not say which is meant", known.len())]
    Which {
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
        /// What was asked for.
        asked: String,
        /// Those that it has.
        known: Vec<Name>,
    },
    /// Two that are about one service.
    #[error("{one} and {other} are both about {service}")]
    Twice {
        /// The first.
        one: String,
        /// The second.
        other: String,
        /// The service.
        service: String,
    },
    /// A service that the sandbox does not run.
    #[error("{asked}: this sandbox does not run {service}")]
    NotInIt {
        /// What was asked for.
        asked: String,
        /// The service.
        service: String,
        /// What of other apps it runs.
        known: Vec<String>,
    },
    /// An image of something else.
    #[error("{image} is not of {declared}, which {environment} declares for {service}")]
    OtherRepository {
        /// What was asked for.
        image: String,
        /// The repository that is declared.
        declared: String,
        /// The environment.
        environment: Name,
        /// The service.
        service: String,
    },
    /// A pull request that is merged or was given up.
    #[error("pull request {number} is {standing}")]
    NotOpen {
        /// Its number.
        number: u64,
        /// `merged` or `closed`.
        standing: &'static str,
    },
    /// A pull request about something else.
    #[error("pull request {number} does not change {app} in {environment}{}", if also.is_empty() { String::new() } else { format!("; it changes {}", also.join(", ")) })]
    NotAbout {
        /// Its number.
        number: u64,
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
        /// The files that it changes, at most a few.
        also: Vec<String>,
    },
    /// A pull request that changes the app, and not the service that was named.
    #[error("pull request {number} does not change {service} in {environment}")]
    NotOfPull {
        /// Its number.
        number: u64,
        /// The service.
        service: String,
        /// The environment.
        environment: Name,
        /// The services of the app that it changes.
        changes: Vec<Name>,
    },
    /// Nobody wrote down where the source is.
    #[error("{path} does not say where the source of {app} is, so its branch {branch} cannot be found")]
    NoSource {
        /// The app's declaration in the state repository.
        path: String,
        /// The app.
        app: Name,
        /// The branch.
        branch: String,
    },
    /// The source has no such branch.
    #[error("{url} has no branch {branch}")]
    NoBranch {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// One that may have been meant.
        meant: Option<String>,
    },
    /// The directory holds nothing that can be built.
    #[error("{} holds neither an onramp.toml nor a Dockerfile", path.display())]
    NothingThere {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is another app's.
    #[error("{} is the project {found}, not {app}", path.display())]
    OtherProject {
        /// The directory.
        path: PathBuf,
        /// The project's name.
        found: Name,
        /// The app that was asked for.
        app: Name,
    },
    /// The project builds nothing that the environment has.
    #[error("{} builds none of the services of {app} that {environment} declares", path.display())]
    NothingBuilt {
        /// The directory.
        path: PathBuf,
        /// The app.
        app: Name,
        /// The environment.
        environment: Name,
    },
    /// A base image that the other project's lock does not pin.
    #[error("{image} is not in {}", path.display())]
    NotLocked {
        /// The image.
        image: String,
        /// The other project's lock.
        path: PathBuf,
    },
    /// The same of a branch: its files lie in onramp's cache, where nobody mends them.
    #[error("{image} is not in the onramp.lock of {asked}")]
    BranchNotLocked {
        /// The image.
        image: String,
        /// What was asked for.
        asked: String,
    },
    /// Git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The forge failed.
    #[error(transparent)]
    Forge(#[from] forge::Error),
    /// The registry failed, or does not have it.
    #[error(transparent)]
    Image(#[from] images::Error),
    /// The other project says something wrong.
    #[error(transparent)]
    Project(#[from] project::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The state repository says something wrong.
    #[error(transparent)]
    State(#[from] state::Error),
}

impl Error {
    fn inner(&self) -> Option<&dyn Fault> {
        Some(match self {
            Self::Git(error) => error,
            Self::Forge(error) => error,
            Self::Image(error) => error,
            Self::Project(error) => error,
            Self::File(error) => error,
            Self::State(error) => error,
            _ => return None,
        })
    }
}

impl Fault for Error {
    fn class(&self) -> Class {
        if let Some(inner) = self.inner() {
            return inner.class();
        }
        match self {
            Self::NoSource { .. }
            | Self::NothingBuilt { .. }
            | Self::NotLocked { .. }
            | Self::BranchNotLocked { .. } => Class::Config,
            Self::NotOpen { .. } => Class::Conflict,
            _ => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        let listed = |known: &[Name]| known.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        Some(match self {
            Self::Unclear { .. } => {
                "write auth=pr:12, auth=branch:NAME, auth=sha256:…, auth=REGISTRY/NAME:TAG or a directory, auth=../auth"
                    .into()
            }
            Self::Own { .. } => "check out the branch that is to be tested".into(),
            Self::NoApp { app, known, .. } => match did_you_mean(app.as_str(), known.iter().map(Name::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("it has: {}", listed(known)),
            },
            Self::NoService { known, .. } => format!("it has: {}", listed(known)),
            Self::Which { app, known, .. } => {
                let forms: Vec<String> = known.iter().map(|service| format!("--with {app}/{service}=…")).collect();
                format!("write {}", forms.join(" or "))
            }
            Self::NotInIt { known, .. } if known.is_empty() => "it runs nothing of other apps".into(),
            Self::NotInIt { known, .. } => format!("of other apps it runs: {}", known.join(", ")),
            Self::OtherRepository { .. } => {
                "what is built elsewhere comes in as a directory: --with APP=../DIRECTORY".into()
            }
            Self::NotOpen { standing: "merged", .. } => "what it proposed is declared: `onramp up` runs it".into(),
            Self::NotOpen { .. } => "it was given up".into(),
            Self::NoSource { path, app, .. } if Path::new(path).extension().is_none_or(|end| end != "toml") => {
                format!("check the branch out and name its directory: --with {app}=../{app}")
            }
            Self::NoSource { path, app, .. } => format!(
                "write `source = \"https://…\"` above the services in {path} of the state repository,\nor check the branch out and name its directory: --with {app}=../{app}"
            ),
            Self::NoBranch { meant: Some(meant), .. } => format!("did you mean `{meant}`?"),
            Self::NotOfPull { changes, .. } => format!("of that app it changes: {}", listed(changes)),
            Self::NothingThere { .. } => "name a checkout of the app, or a directory with its Dockerfile".into(),
            Self::OtherProject { found, .. } => format!("to mix {found} in, write --with {found}=…"),
            Self::NothingBuilt { .. } => {
                "its onramp.toml has no `build` for them; an image is named as --with APP=REGISTRY/NAME:TAG".into()
            }
            Self::NotLocked { .. } => "its lock pins the base images that it is built on".into(),
            Self::BranchNotLocked { .. } => {
                "its repository must commit its onramp.lock, which pins the base images that it is built on".into()
            }
            _ => return self.inner()?.hint(),
        })
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::NotOpen { .. } | Self::NotAbout { .. } => vec!["onramp pr list".into()],
            Self::NotOfPull { number, .. } => vec![format!("onramp pr show {number}")],
            Self::NotLocked { path, .. } => {
                let directory = path.parent().unwrap_or(path);
                vec![format!("onramp -C {} image lock", directory.display())]
            }
            Self::NoState { .. } => vec!["onramp join CATALOG".into()],
            _ => self.inner().map(Fault::next).unwrap_or_default(),
        }
    }
}
