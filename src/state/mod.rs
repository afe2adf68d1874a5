//! The state repository: what every environment runs, read at one commit, and the edits that propose a change to it.

pub mod diff;
pub mod edit;
pub mod environment;
pub mod freeze;
pub mod lint;
pub mod policy;
pub mod unmet;

use std::path::{Path, PathBuf};

pub use environment::AppState;
pub use policy::{Environment, Policy, Rules};
pub use unmet::{Cure, Facts, Registered, Unmet, unmet};

use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::git::{self, Commit, Mirror, RepoUrl, Wanted};
use crate::name::Name;
use crate::text::did_you_mean;
use crate::tree::{Cap, Tree};

/// The file with the environments and their policy.
pub const RULES: &str = "state.toml";
/// The directory that holds a directory for each environment.
pub const ENVIRONMENTS: &str = "environments";
/// The most that the declarations of one environment may take, in bytes.
const ENVIRONMENT_CAP: u64 = 256 * 1024 * 1024;

/// What can be wrong with a state repository.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// A file says something wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The repository has no `state.toml`.
    #[error("{url} has no {RULES} at {}", commit.short())]
    NoRules {
        /// The repository.
        url: String,
        /// Where it was looked for.
        commit: Commit,
    },
    /// `state.toml` does not have this environment.
    #[error("there is no environment `{name}`")]
    NoEnvironment {
        /// What was asked for.
        name: Name,
        /// What there is, in promotion order.
        known: Vec<Name>,
    },
    /// A file is not text.
    #[error("{path} is not UTF-8 text (byte {offset})")]
    NotText {
        /// The file, and the commit.
        path: String,
        /// Where the first bad byte is, from 0.
        offset: usize,
    },
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Git(error) => error.class(),
            Self::Document(error) => error.class(),
            Self::NoRules { .. } | Self::NotText { .. } => Class::Config,
            Self::NoEnvironment { .. } => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Document(error) => error.hint(),
            Self::NoRules { .. } => Some(format!("is it a state repository? {RULES} names the environments")),
            Self::NoEnvironment { name, known } => {
                let all: Vec<&str> = known.iter().map(Name::as_str).collect();
                let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
                Some(match did_you_mean(name.as_str(), known.iter().map(Name::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`? {RULES} has: {all}"),
                    None => format!("{RULES} has: {all}"),
                })
            }
            Self::NotText { .. } => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Git(error) => error.next(),
            Self::NoRules { .. } => vec!["onramp doctor".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// The state repository, through its mirror in the cache.
#[derive(Clone, Debug)]
pub struct State {
    mirror: Mirror,
}

impl State {
    /// The state repository at `url`. Nothing is fetched yet.
    pub fn open(cache: &Path, url: RepoUrl, wanted: Wanted) -> Self {
        Self { mirror: Mirror::new(cache, url, wanted) }
    }

    /// A checkout of a state repository, as it is committed; none where the directory is no repository.
    pub fn in_place(directory: &Path) -> Result<Option<Self>, Error> {
        Ok(Mirror::in_place(directory)?.map(|mirror| Self { mirror }))
    }

    /// Its mirror: for history, commits in memory and pushes.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Fetches, or with `offline` makes sure that something was fetched before.
    pub fn refresh(&self, offline: bool) -> Result<(), Error> {
        Ok(self.mirror.refresh(offline)?)
    }

    /// The commit that the default branch stands on: what is declared now.
    pub fn head(&self) -> Result<Commit, Error> {
        Ok(self.mirror.head()?)
    }

    /// The commit that a tag, a branch, `HEAD` or (the beginning of) a commit id names.
    pub fn find(&self, name: &str) -> Result<Commit, Error> {
        Ok(self.mirror.reader()?.find(name)?)
    }

    /// Everything that is in it at a commit.
    pub fn tree(&self, commit: &Commit) -> Result<Tree, Error> {
        Ok(self.mirror.reader()?.take(commit, "", Cap::TEMPLATE)?.tree)
    }

    /// The environments and their policy at a commit.
    pub fn rules(&self, commit: &Commit) -> Result<Rules, Error> {
        let missing = || Error::NoRules { url: self.mirror.url().to_string(), commit: commit.clone() };
        let text = self.text(commit, RULES)?.ok_or_else(missing)?;
        Ok(policy::parse(&shown(RULES, commit), &text)?)
    }

    /// What an environment declares for an app at a commit; none where it does not declare the app.
    pub fn app(&self, commit: &Commit, environment: &Name, app: &Name) -> Result<Option<AppState>, Error> {
        self.rules(commit)?.environment(environment)?;
        self.declared(commit, environment, app)
    }

    /// The same without looking whether `state.toml` has the environment: for commits of its history.
    pub fn declared(&self, commit: &Commit, environment: &Name, app: &Name) -> Result<Option<AppState>, Error> {
        let path = path_of(environment, app);
        let Some(text) = self.text(commit, &path)? else { return Ok(None) };
        Ok(Some(environment::parse(path, commit, text)?))
    }

    /// The apps that an environment declares at a commit, by name.
    pub fn apps(&self, commit: &Commit, environment: &Name) -> Result<Vec<Name>, Error> {
        self.rules(commit)?.environment(environment)?;
        let files = self.mirror.list(commit, &format!("{ENVIRONMENTS}/{environment}"))?;
        Ok(files.iter().filter_map(|file| file.strip_suffix(".toml")?.parse().ok()).collect())
    }

    /// Everything that an environment declares at a commit, by app.
    pub fn everything(&self, commit: &Commit, environment: &Name) -> Result<Vec<(Name, AppState)>, Error> {
        self.rules(commit)?.environment(environment)?;
        let directory = format!("{ENVIRONMENTS}/{environment}");
        let mut apps = Vec::new();
        for (file, _, contents) in self.mirror.files(commit, &directory, ENVIRONMENT_CAP)? {
            let Some(app) = file.strip_suffix(".toml").and_then(|name| name.parse::<Name>().ok()) else { continue };
            let path = path_of(environment, &app);
            let text = utf8(&path, commit, contents)?;
            apps.push((app, environment::parse(path, commit, text)?));
        }
        Ok(apps)
    }

    /// Every file under a directory at a commit: path from there, git's file mode, contents; at most `cap` bytes in all. None where
    /// there is no such directory.
    pub fn directory(&self, commit: &Commit, path: &str, cap: u64) -> Result<Vec<(String, i32, Vec<u8>)>, Error> {
        Ok(self.mirror.files(commit, path, cap)?)
    }

    /// The text of a file at a commit; none where there is no such file.
    pub fn text(&self, commit: &Commit, path: &str) -> Result<Option<String>, Error> {
        let contents = self.mirror.read(commit, path, crate::document::CAP)?;
        contents.map(|contents| utf8(path, commit, contents)).transpose()
    }
}

/// Where an environment declares an app.
pub fn path_of(environment: &Name, app: &Name) -> String {
    format!("{ENVIRONMENTS}/{environment}/{app}.toml")
}

/// What errors call a file at a commit.
fn shown(path: &str, commit: &Commit) -> PathBuf {
    PathBuf::from(format!("{path} at {}", commit.short()))
}

fn utf8(path: &str, commit: &Commit, contents: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(contents).map_err(|error| Error::NotText {
        path: shown(path, commit).display().to_string(),
        offset: error.utf8_error().valid_up_to(),
    })
}
