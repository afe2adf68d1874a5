//! Following a project's files: [`Ear`] tells which changed, [`Reach`] what of the sandbox they change.

mod ear;
pub(super) mod listing;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use ear::{Batch, Ear, Means};

use super::{ServiceId, View};
use crate::error::{Class, Fault};
use crate::files::{self, FileError};

/// Why a project's files cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel watches no more for this user.
    #[error("the system watches no more {} for one user{}", .0.what, .0.now.map(|now| format!(" than {now}")).unwrap_or_default())]
    Limit(Limit),
    /// It watches nothing.
    #[error("the project's files cannot be watched")]
    Failed(#[source] notify::Error),
    /// What watched them has ended.
    #[error("the project's files are not watched any more")]
    Deaf,
    /// The project cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A limit of the kernel.
#[derive(Debug)]
pub struct Limit {
    /// Of what.
    pub what: &'static str,
    /// What it is called under `fs.inotify`.
    pub setting: &'static str,
    /// What it is now, if that can be told.
    pub now: Option<u64>,
}

impl Limit {
    fn read(setting: &'static str, what: &'static str) -> Self {
        let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{setting}"));
        Self { what, setting, now: text.ok().and_then(|text| text.trim().parse().ok()) }
    }

    /// More than any machine has needed so far, or twice what was not enough.
    fn enough(&self) -> u64 {
        let usual = if self.setting == "max_user_instances" { 1024 } else { 524_288 };
        self.now.map_or(usual, |now| usual.max(now.saturating_mul(2)))
    }
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Limit(_) | Self::Failed(_) | Self::Deaf => Class::Env,
            Self::File(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Limit(_) => Some(
                "editors and other watchers count, too; with --poll onramp looks by itself, which takes longer"
                    .to_owned(),
            ),
            Self::Failed(_) => Some("with --poll onramp looks by itself, which takes longer".to_owned()),
            Self::Deaf => None,
            Self::File(error) => error.hint(),
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Limit(limit) => {
                vec![
                    format!("sudo sysctl fs.inotify.{}={}", limit.setting, limit.enough()),
                    "onramp watch --poll".into(),
                ]
            }
            Self::Failed(_) => vec!["onramp watch --poll".into()],
            Self::Deaf => vec!["onramp watch".into()],
            Self::File(error) => error.next(),
        }
    }
}

/// What of a sandbox a change of files can change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The services that are shown some of the files.
    pub shown: BTreeSet<ServiceId>,
    /// Whether there is more to it than what is shown: what is built, and the project's own files. Only a plan tells.
    pub more: bool,
}

impl Reach {
    /// Looks where the files lie, by their paths from the root of the view's project.
    pub fn of(view: &View, files: &BTreeSet<PathBuf>) -> Self {
        let root = &view.project.root;
        // A place that is not there shows nothing.
        let place = |local: &str| files::confined(root, Path::new(local)).ok();
        let mut reach = Self::default();
        let own: Vec<_> = view.members.iter().filter(|member| member.own).collect();
        let shown: Vec<(&ServiceId, Vec<PathBuf>, Option<PathBuf>)> = own
            .iter()
            .map(|member| {
                let places = member.service.sync.keys().filter_map(|local| place(local)).collect();
                (&member.id, places, member.service.build.as_ref().and_then(|build| place(&build.context)))
            })
            .collect();
        for file in files.iter().map(|file| root.join(file)) {
            let mut seen = false;
            for (id, places, context) in &shown {
                if places.iter().any(|place| file.starts_with(place)) {
                    seen = true;
                    reach.shown.insert((*id).clone());
                } else if context.as_ref().is_some_and(|context| file.starts_with(context)) {
                    reach.more = true;
                }
            }
            reach.more |= !seen;
        }
        reach
    }
}
