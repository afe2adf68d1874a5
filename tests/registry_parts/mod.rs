//! Registries for tests: a real one, and one that does what no real one can be made to do.

#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod counted;
pub mod engine;
pub mod front;
pub mod liar;
pub mod narrow;
pub mod real;
