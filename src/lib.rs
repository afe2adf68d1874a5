//! onramp: test my change, alone, against what runs in production; then propose the deployment as a pull request.
//!
//! Four kinds of rooms, and imports only point downwards:
//!
//! - [`cli`] takes arguments, asks, shows, prints. One short file a command.
//! - the domain, what onramp knows: [`blocks`], [`catalog`], [`template`], [`trust`], [`merge`], [`images`], [`project`],
//!   [`compose`], [`sandbox`], [`state`], [`release`], [`playground`], [`doctor`].
//! - the outside: [`engine`], [`registry`], [`forge`], [`git`]; each hides one system behind our words.
//! - the ground: [`directory`], [`document`], [`error`], [`event`], [`files`], [`name`], [`paths`], [`reference`],
//!   [`settings`], [`task`], [`text`], [`tree`], [`turn`], [`version`].
//!
//! `docs/architecture.md` tells how a command flows through them.

pub mod cli;

pub mod blocks;
pub mod campaign;
pub mod catalog;
pub mod compose;
pub mod doctor;
pub mod images;
pub mod merge;
pub mod playground;
pub mod project;
pub mod release;
pub mod sandbox;
pub mod state;
pub mod template;
pub mod trust;

pub mod engine;
pub mod forge;
pub mod git;
pub mod registry;

pub mod directory;
pub mod document;
pub mod error;
pub mod event;
pub mod files;
pub mod name;
pub mod paths;
pub mod reference;
pub mod settings;
pub mod task;
pub mod text;
pub mod tree;
pub mod turn;
pub mod version;
