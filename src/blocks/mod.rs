//! Building blocks: found in a catalog, asked about, rendered, and made into a project or added to one.
//!
//! A block comes from a repository that anybody in the company may change, so nothing in it is trusted: its texts are
//! made neutral before a terminal sees them, its templates run with limits, its paths stay inside the project.

pub mod addition;
pub mod adopt;
pub mod block;
pub mod builtin;
pub mod cache;
pub mod catalog;
pub mod contribute;
mod error;
pub mod facts;
pub mod fetch;
pub mod held;
pub mod layer;
pub mod location;
pub mod manifest;
pub mod nested;
pub mod outdated;
pub mod removal;
pub mod require;
pub mod scaffold;
mod spelling;
mod staging;
pub mod takeover;
pub mod transaction;
pub mod undo;
pub mod update;

pub use addition::Addition;
pub use block::{Block, BlockId};
pub use catalog::Catalog;
pub use error::Error;
pub use facts::Facts;
pub use layer::Layer;
pub use location::Location;
pub use manifest::{Kind, Manifest};
pub use scaffold::Creation;
pub use transaction::Transaction;
