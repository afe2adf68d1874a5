//! onramp as people run it: the built binary, on a machine of its own for every test.

mod add;
mod adopt;
mod broken;
mod campaign;
mod catalog;
mod catalog_repository;
mod catalog_tools;
mod cli;
mod company;
mod contribute;
mod cut_off;
mod deploy;
mod docs;
mod docs_generated;
mod engine;
mod hostile;
mod isolation;
mod layers;
mod new;
mod playground;
mod run;
mod sandbox;
mod setup;
mod trust;
mod update;
