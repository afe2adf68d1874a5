//! A catalog, seen by those who keep it: found by words, measured, checked, tested, released, and told to portals.
//!
//! What a developer takes from a catalog is [`crate::blocks`]' affair. Here a catalog is a work tree that somebody edits,
//! and its released versions are that repository's tags.

pub mod activity;
pub mod adopters;
pub mod backstage;
pub mod cases;
pub mod change;
pub mod changelog;
pub mod checkout;
mod error;
pub mod export;
pub mod jinja;
pub mod lint;
pub mod matrix;
pub mod overview;
pub mod portal;
pub mod release;
pub mod search;
pub mod similarity;
pub mod texts;
pub mod trial;

pub use checkout::Checkout;
pub use error::Error;
