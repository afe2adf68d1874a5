//! onramp as people run it: the built binary, on a machine of its own for every test.

mod broken;
mod company;
mod deploy;
mod engine;
mod isolation;
mod playground;
mod run;
mod sandbox;
