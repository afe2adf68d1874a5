//! `onramp gate`: the process that `up` starts for services with `egress`. Nobody types it.

use super::context::Context;
use super::failure::Failure;
use super::output::{self, Verdict};
use crate::sandbox::gate;

/// Let the services of a sandbox reach what their `egress` names, until its network is gone.
#[derive(clap::Args)]
#[command(hide = true)]
pub struct Arguments {
    /// The sandbox's name
    sandbox: String,
}

impl Arguments {
    /// Listens, says so, and stays.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if !self.sandbox.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Failure::usage("that is no sandbox's name"));
        }
        let ready = |word: &str| {
            output::print(&format!("{word}\n"));
        };
        gate::run(cx.engine().await?, &cx.paths.state, &self.sandbox, ready).await?;
        Ok(Verdict::Ok)
    }
}
