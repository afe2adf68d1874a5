//! What can go wrong between a catalog and a project.

use std::path::PathBuf;

use super::block::BlockId;
use super::manifest::Kind;
use super::{fetch, location, transaction, undo};
use crate::document::DocumentError;
use crate::error::{Class, Fault};
use crate::files::FileError;
use crate::git;
use crate::name::Name;
use crate::template;
use crate::tree::TreePath;

/// What can go wrong with building blocks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git failed.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// It is no place of a template.
    #[error(transparent)]
    Location(#[from] location::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file says something wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The template, an answer or the rendering is wrong.
    #[error(transparent)]
    Template(#[from] template::Error),
    /// The catalog has no such block.
    #[error("there is no block `{}` in {catalog}", crate::text::neutral_line(name, 60))]
    NoBlock {
        /// What was asked for.
        name: String,
        /// Where.
        catalog: String,
        /// The nearest name that there is.
        meant: Option<String>,
    },
    /// No released version is what was asked for.
    #[error("no released version of `{name}` matches {requirement}")]
    NoVersion {
        /// The block.
        name: Name,
        /// What was asked for.
        requirement: semver::VersionReq,
        /// What there is, newest first.
        released: Vec<crate::version::Version>,
    },
    /// The block was asked to do what the other kind does.
    #[error("`{name}` is {}", match kind { Kind::App => "an app: it starts a project of its own", Kind::Part => "a part: it is added to a project" })]
    OtherKind {
        /// The block.
        name: Name,
        /// What it is.
        kind: Kind,
    },
    /// The block itself is wrong.
    #[error("block {block} is wrong: {place}: {message}")]
    Wrong {
        /// Its name and version.
        block: String,
        /// The file in the block, and the line where it is known.
        place: String,
        /// What is wrong there.
        message: String,
    },
    /// What the block renders is no project.
    #[error("block {block} is wrong")]
    Rendered {
        /// Its name and version.
        block: String,
        /// What is wrong with the rendered file.
        source: DocumentError,
    },
    /// Where the new project would go, something is.
    #[error("{} {what}", target.display())]
    Occupied {
        /// The target.
        target: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// Files that the block brings are there already.
    #[error("the project has {}", paths.iter().map(|(path, owner, _)| match owner {
        Some(owner) => format!("{path} (from {owner})"),
        None => path.to_string(),
    }).collect::<Vec<_>>().join(", "))]
    Present {
        /// The files: which, the block that owns each, and whether it could be merged by structure.
        paths: Vec<(TreePath, Option<String>, bool)>,
    },
    /// Files that some file systems could not tell from others.
    #[error(
        "on some file systems these are one path: {}",
        list(&paths.iter().map(|(path, other)| format!("{path} and {other}")).collect::<Vec<_>>())
    )]
    Alike {
        /// The files: what a block brings, what is there.
        paths: Vec<(TreePath, TreePath)>,
    },
    /// Two blocks of one project want a file.
    #[error("both {owner} and {block} bring {path}")]
    Shared {
        /// The file.
        path: TreePath,
        /// The block that comes first.
        owner: String,
        /// The other one.
        block: Name,
    },
    /// A template's place from which no block's name can be made.
    #[error("no name can be made of {}", crate::text::neutral_line(location, 200))]
    NoName {
        /// Where it is.
        location: String,
    },
    /// What a template is fetched from failed.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// A project's files could not be changed.
    #[error(transparent)]
    Transaction(#[from] transaction::Error),
    /// A project's files could not be changed, or what that replaces could not be kept.
    #[error(transparent)]
    Change(#[from] undo::Error),
    /// A block will require another one that the project does not have.
    #[error("{block} requires {required} {requirement}, which the project does not have")]
    Lacking {
        /// Its name and version.
        block: String,
        /// What it requires.
        required: Name,
        /// Which version of it.
        requirement: semver::VersionReq,
    },
    /// Other blocks require the one that shall go.
    #[error("{} requires {block}", list(by))]
    Required {
        /// The block.
        block: Name,
        /// Those that require it.
        by: Vec<Name>,
    },
    /// What stays in a project needs services that a block brought.
    #[error(
        "{block} brought what is needed: {}",
        needed.iter().map(|(service, by)| format!("{by} needs {service}")).collect::<Vec<_>>().join(", ")
    )]
    Needed {
        /// The block.
        block: Name,
        /// Each service, and who needs it.
        needed: Vec<(String, String)>,
    },
    /// The project was not rendered from such a block.
    #[error("the project has no block `{}`", crate::text::neutral_line(name, 60))]
    NotThere {
        /// What was asked for.
        name: String,
        /// The blocks that it has.
        known: Vec<Name>,
    },
    /// Conflicts of an update that nobody decided yet.
    #[error("conflicts are left in {}", list(paths))]
    Unresolved {
        /// The files.
        paths: Vec<TreePath>,
    },
    /// Blocks require each other in a circle.
    #[error("blocks require each other: {}", chain.join(" → "))]
    Circle {
        /// The blocks, the first one again at the end.
        chain: Vec<String>,
    },
    /// A block that another one requires is there in a version that does not do.
    #[error("{block} requires {required} {requirement}, and the project has {found}")]
    Unmet {
        /// Which block requires.
        block: String,
        /// Which block it requires.
        required: Name,
        /// What it must be.
        requirement: semver::VersionReq,
        /// What it is.
        found: crate::version::Version,
    },
    /// A table that the block brings is there already.
    #[error("the project's onramp.toml already has [{table}]")]
    Taken {
        /// `services.cache`.
        table: String,
    },
}

impl Error {
    /// The block is wrong, there.
    pub fn wrong(block: &BlockId, place: &str, message: &str) -> Self {
        Self::Wrong { block: block.to_string(), place: place.to_owned(), message: message.to_owned() }
    }
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::Git(error) => error.class(),
            Self::Location(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Document(error) => error.class(),
            Self::Template(error) => error.class(),
            Self::Fetch(error) => error.class(),
            Self::Transaction(error) => error.class(),
            Self::Change(error) => error.class(),
            Self::NoBlock { .. }
            | Self::NoVersion { .. }
            | Self::OtherKind { .. }
            | Self::NoName { .. }
            | Self::NotThere { .. } => Class::Usage,
            Self::Unresolved { .. } => Class::Failed,
            Self::Rendered { source, .. } => source.class(),
            Self::Wrong { .. } | Self::Circle { .. } => Class::Config,
            Self::Occupied { .. }
            | Self::Present { .. }
            | Self::Alike { .. }
            | Self::Shared { .. }
            | Self::Unmet { .. }
            | Self::Lacking { .. }
            | Self::Required { .. }
            | Self::Needed { .. }
            | Self::Taken { .. } => Class::Conflict,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Location(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Document(error) => error.hint(),
            Self::NoBlock { meant, .. } => meant.as_ref().map(|meant| format!("did you mean `{meant}`?")),
            Self::NoVersion { released, .. } if released.is_empty() => {
                Some("it is not released yet: a release is a tag <name>/vX.Y.Z".to_owned())
            }
            Self::NoVersion { released, .. } => Some(format!("released: {}", list(released))),
            Self::Template(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            Self::Transaction(error) => error.hint(),
            Self::Change(error) => error.hint(),
            Self::Rendered { source, .. } => source.hint(),
            Self::Wrong { .. } | Self::Circle { .. } => {
                Some("nothing was changed; the block's owner can correct it".to_owned())
            }
            Self::Present { paths } if paths.iter().all(|(_, _, mergeable)| *mergeable) => {
                Some("nothing was changed; --merge adds what the block brings to these files".to_owned())
            }
            Self::Occupied { .. } => {
                Some("onramp writes to a new or empty directory, and overwrites nothing".to_owned())
            }
            Self::Present { .. } => {
                Some("nothing was changed; move them away, or take what you need from the block by hand".to_owned())
            }
            Self::NotThere { known, .. } if known.is_empty() => Some("onramp.lock names none".to_owned()),
            Self::NotThere { known, .. } => Some(format!("it has {}", list(known))),
            Self::Unresolved { .. } => Some(
                "decide what each of them shall say, take the markers out, remove what lies beside them as .rej"
                    .to_owned(),
            ),
            Self::Alike { .. } => Some("nothing was changed; rename one of each two".to_owned()),
            Self::Required { by, .. } => Some(format!("nothing was changed; remove {} first", list(by))),
            Self::Needed { .. } => Some("nothing was changed; take the service out of what needs it first".to_owned()),
            Self::Taken { .. } | Self::Shared { .. } | Self::Unmet { .. } | Self::Lacking { .. } => {
                Some("nothing was changed".to_owned())
            }
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Git(error) => error.next(),
            Self::Location(error) => error.next(),
            Self::File(error) => error.next(),
            Self::Document(error) => error.next(),
            Self::Template(error) => error.next(),
            Self::Fetch(error) => error.next(),
            Self::Transaction(error) => error.next(),
            Self::Change(error) => error.next(),
            Self::Lacking { required, .. } => vec![format!("onramp add {required}")],
            Self::Unresolved { .. } => vec!["onramp update --undo".to_owned()],
            Self::Unmet { required, .. } => vec![format!("onramp update {required}")],
            Self::NoBlock { .. } => vec!["onramp catalog list".to_owned()],
            Self::NoVersion { name, .. } => vec![format!("onramp catalog show {name}")],
            Self::OtherKind { name, kind: Kind::App } => vec![format!("onramp new {name}")],
            Self::OtherKind { name, kind: Kind::Part } => vec![format!("onramp add {name}")],
            _ => Vec::new(),
        }
    }
}

fn list(values: &[impl ToString]) -> String {
    let mut words: Vec<String> = values.iter().take(10).map(ToString::to_string).collect();
    if values.len() > words.len() {
        words.push("…".to_owned());
    }
    words.join(", ")
}
