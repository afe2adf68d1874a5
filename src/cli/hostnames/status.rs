//! `onramp hostnames status`

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::sandbox::router::{self, Named, Standing};
use crate::text;

/// Show every name of your sandboxes, of all projects, and whether the router runs.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp hostnames status
  onramp hostnames status --json
")]
pub struct Arguments {}

#[derive(Serialize)]
struct Status {
    /// None where no router runs.
    router: Option<Standing>,
    names: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    named: Named,
    url: Option<String>,
}

impl Arguments {
    /// Asks the engine once.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let engine = cx.engine().await?;
        let router = router::standing(&cx.paths.state, &engine);
        let line = |named: Named| Line { url: router.map(|router| router.url(&named.hostname)), named };
        let names = router::named(&engine, &cx.paths.state).await?.into_iter().map(line).collect();
        cx.report(&Status { router, names });
        Ok(Verdict::Ok)
    }
}

impl Report for Status {
    fn text(&self) -> String {
        let row = |line: &Line| {
            let place = line.url.clone().unwrap_or_else(|| line.named.hostname.to_string());
            let state = if line.named.running { "runs" } else { "does not run" };
            vec![place, text::neutral_line(&line.named.service, 100), state.to_owned()]
        };
        let table = text::table(&self.names.iter().map(row).collect::<Vec<_>>());
        match (&self.router, self.names.is_empty()) {
            (None, true) => {
                "no service has a name; `hostnames = true` in [sandbox] of onramp.toml gives them some\n".to_owned()
            }
            (None, false) => format!("{table}the router is gone; `onramp up` starts it again\n"),
            (Some(router), _) => format!("{table}the router listens at port {} of loopback\n", router.port),
        }
    }
}
