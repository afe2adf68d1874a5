//! `onramp export compose`

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::compose::write;
use crate::name::Name;
use crate::project::Lock;
use crate::task::blocking;

/// Write the sandbox as a Compose file: what `onramp up` would run, images by digest.
///
/// The values of secrets are in no file: each is a variable, and Compose asks for it. Networks are closed and ports are
/// on 127.0.0.1, as in the sandbox.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp export compose                          to stdout
  onramp export compose --output compose.yaml
  onramp export compose --env staging | docker compose -f - config
")]
pub struct Arguments {
    /// The environment to take the other services from
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Name,
    /// Where to write it [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Exported {
    environment: String,
    services: usize,
    output: Option<PathBuf>,
    text: String,
}

impl Arguments {
    /// Resolves what the sandbox is made of, writes it.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let view = cx.view(&self.environment).await?;
        let output = self.output.map(|output| cx.dir.join(output));
        let directory = match output.as_ref().and_then(|output| output.parent()) {
            // One that is not there yet is called as it was asked for.
            Some(parent) => parent.canonicalize().unwrap_or_else(|_| parent.to_owned()),
            None => view.project.root.clone(),
        };
        let (environment, services) = (view.environment.to_string(), view.members.len());
        let text = blocking(move || -> Result<String, Failure> {
            let lock = Lock::load(&view.project.root)?;
            Ok(write::write(&view, &lock, &directory)?)
        })
        .await?;
        if let Some(output) = output.as_ref().filter(|_| !cx.dry_run) {
            crate::files::write(output, text.as_bytes())?;
        }
        cx.report(&Exported { environment, services, output, text });
        Ok(Verdict::Ok)
    }
}

impl Report for Exported {
    fn text(&self) -> String {
        match &self.output {
            Some(output) => format!("{} services from {} in {}\n", self.services, self.environment, output.display()),
            None => self.text.clone(),
        }
    }
}
