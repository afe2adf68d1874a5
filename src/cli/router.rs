//! `onramp router`: the process that `up` starts for services with names. Nobody types it.

use super::context::Context;
use super::failure::Failure;
use super::output::{self, Verdict};
use crate::sandbox::router;

/// Send requests to services by their names, until the last sandbox with names is gone.
#[derive(clap::Args)]
#[command(hide = true)]
pub struct Arguments {}

impl Arguments {
    /// Listens, says so, and stays.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let ready = |word: &str| {
            output::print(&format!("{word}\n"));
        };
        router::run(cx.engine().await?, &cx.paths, cx.hostnames_port(), ready).await?;
        Ok(Verdict::Ok)
    }
}
