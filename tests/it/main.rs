//! onramp as people run it: the built binary, on a machine of its own for every test.

mod add;
mod catalog;
mod catalog_repository;
mod new;
mod run;
