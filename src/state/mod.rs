//! The state repository: what every environment runs, read at one commit, and the edits that propose a change to it.

pub mod diff;
pub mod edit;
pub mod environment;
pub mod format;
pub mod freeze;
pub mod keys;
pub mod lint;
pub mod policy;
pub mod unmet;

use std::path::{Path, PathBuf};

pub use environment::AppState;
pub use format::Format;
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
/// The most that the declarations of one environment may take, in bytes.
const ENVIRONMENT_CAP: u64 = 256 * 1024 * 1024;

/// Git's mode of a symbolic link.
const LINK: i32 = 0o120_000;

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
    /// A declaration, or a directory on the way to it, is a link.
    #[error("{path} is a symbolic link: what it leads to is not what the environment declares")]
    Link {
        /// The path, and the commit.
        path: String,
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
            Self::NoRules { .. } | Self::NotText { .. } | Self::Link { .. } => Class::Config,
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
            Self::NotText { .. } | Self::Link { .. } => None,
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
        let before = self.mirror.head().ok();
        self.mirror.refresh(offline)?;
        let now = self.mirror.head().ok();
        if now.is_some() && now != before {
            self.mirror.index_history();
        }
        Ok(())
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
        let format = match self.rules(commit) {
            Ok(rules) => rules.format,
            Err(Error::NoRules { .. }) => Format::default(),
            Err(error) => return Err(error),
        };
        self.declared_in(&format, commit, environment, app)
    }

    /// The same in this format, whatever `state.toml` says at the commit: for what is proposed, which is read as what it would replace.
    pub fn declared_in(
        &self,
        format: &Format,
        commit: &Commit,
        environment: &Name,
        app: &Name,
    ) -> Result<Option<AppState>, Error> {
        let path = format.path(environment, app);
        if let Some(link) = self.mirror.link_on(commit, &path)? {
            return Err(Error::Link { path: shown(&link, commit).display().to_string() });
        }
        let Some(text) = self.text(commit, &path)? else { return Ok(None) };
        Ok(Some(read(format, commit, (environment, app), path, text)?))
    }

    /// The apps that an environment declares at a commit, by name.
    pub fn apps(&self, commit: &Commit, environment: &Name) -> Result<Vec<Name>, Error> {
        let format = self.format(commit, environment)?;
        let directory = format.directory(environment);
        let paths = self.mirror.paths(commit, &directory)?;
        let mut apps: Vec<Name> =
            paths.iter().filter_map(|path| app_of(&format, environment, &inside(&directory, path))).collect();
        apps.sort();
        Ok(apps)
    }

    /// Everything that an environment declares at a commit, by app.
    pub fn everything(&self, commit: &Commit, environment: &Name) -> Result<Vec<(Name, AppState)>, Error> {
        self.wanted(commit, environment, &mut |_| true)
    }

    /// The same of those declarations that are wanted, each shown first.
    pub fn wanted(
        &self,
        commit: &Commit,
        environment: &Name,
        wanted: &mut dyn FnMut(Listed<'_>) -> bool,
    ) -> Result<Vec<(Name, AppState)>, Error> {
        let format = self.format(commit, environment)?;
        let directory = format.directory(environment);
        let wanted = |path: &str, stamp: &str| {
            let path = inside(&directory, path);
            app_of(&format, environment, &path).is_some_and(|app| wanted(Listed { app: &app, path: &path, stamp }))
        };
        let mut apps = Vec::new();
        for (file, mode, contents) in self.mirror.files(commit, &directory, ENVIRONMENT_CAP, wanted)? {
            let path = inside(&directory, &file);
            let Some(app) = app_of(&format, environment, &path) else { continue };
            if mode == LINK {
                return Err(Error::Link { path: shown(&path, commit).display().to_string() });
            }
            let text = utf8(&path, commit, contents)?;
            let state = read(&format, commit, (environment, &app), path, text)?;
            apps.push((app, state));
        }
        apps.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(apps)
    }

    /// How an environment's declarations are written.
    fn format(&self, commit: &Commit, environment: &Name) -> Result<Format, Error> {
        let rules = self.rules(commit)?;
        rules.environment(environment)?;
        Ok(rules.format)
    }

    /// Every file under a directory at a commit: path from there, git's file mode, contents; at most `cap` bytes in all. None where
    /// there is no such directory.
    pub fn directory(&self, commit: &Commit, path: &str, cap: u64) -> Result<Vec<(String, i32, Vec<u8>)>, Error> {
        Ok(self.mirror.files(commit, path, cap, |_, _| true)?)
    }

    /// The text of a file at a commit; none where there is no such file.
    pub fn text(&self, commit: &Commit, path: &str) -> Result<Option<String>, Error> {
        let contents = self.mirror.read(commit, path, crate::document::CAP)?;
        contents.map(|contents| utf8(path, commit, contents)).transpose()
    }
}

/// A declaration that was not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The app.
    pub app: &'a Name,
    /// The file.
    pub path: &'a str,
    /// What git calls it. The same stamp is the same text.
    pub stamp: &'a str,
}

/// A file in a directory, from the root of the repository.
fn inside(directory: &str, file: &str) -> String {
    if directory.is_empty() { file.to_owned() } else { format!("{directory}/{file}") }
}

/// The app that a file declares in an environment.
fn app_of(format: &Format, environment: &Name, path: &str) -> Option<Name> {
    let (of, app) = format.place(path)?.ok()?;
    (of == *environment).then_some(app)
}

/// A declaration as it stands at a commit.
fn read(
    format: &Format,
    commit: &Commit,
    (environment, app): (&Name, &Name),
    path: String,
    text: String,
) -> Result<AppState, DocumentError> {
    let format::Declared { services, source } = format.read(&shown(&path, commit), environment, app, &text)?;
    Ok(AppState { services, source, path, text })
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
