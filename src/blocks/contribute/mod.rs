//! What a project changed in files of a block, turned back into the block's source and proposed to its owners.
//!
//! Nothing is guessed: a change whose place in the source is not certain is named and left out, and what is taken is
//! proved by rendering it again, with the project's answers and with others.

pub mod align;
pub mod back;
pub mod edit;
pub mod file;
pub mod hunk;
pub mod plan;
pub mod propose;
pub mod prove;
mod repeat;
pub mod restore;
mod together;
pub mod trace;
mod variants;

pub use plan::{Contribution, Inputs, LeftOut, Taken, plan};
