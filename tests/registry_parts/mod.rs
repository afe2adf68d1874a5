//! Registries for tests: a real one, and one that does what no real one can be made to do.

pub mod liar;
pub mod real;
