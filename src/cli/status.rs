//! `onramp status`

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::sandbox::status::{self, ServiceStatus};
use crate::sandbox::{gate, view};
use crate::text;

/// Show what runs in this project's sandbox, and where it answers.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp status
  onramp status --json
")]
pub struct Arguments {}

#[derive(Serialize)]
struct Status {
    sandbox: String,
    up: bool,
    services: Vec<ServiceStatus>,
    gate: Option<gate::Standing>,
}

impl Arguments {
    /// Asks the engine once.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let id = view::id(&cx.project()?);
        let services = status::services(&cx.engine().await?, &id).await?;
        let up = services.iter().any(|service| service.running);
        let reaching = services.iter().any(|service| service.running && !service.egress.is_empty());
        let gate = reaching.then(|| gate::standing(&cx.paths.state, id.as_str()));
        cx.report(&Status { sandbox: id.to_string(), up, services, gate });
        Ok(Verdict::Ok)
    }
}

impl Report for Status {
    fn text(&self) -> String {
        if self.services.is_empty() {
            return format!("sandbox {} is not up; `onramp up` starts it\n", self.sandbox);
        }
        let row = |service: &ServiceStatus| {
            let address = service.address.clone().unwrap_or_else(|| "-".to_owned());
            vec![format!("  {}", service.service), address, service.status.clone()]
        };
        let rows: Vec<Vec<String>> = self.services.iter().map(row).collect();
        let mut out = format!("sandbox {}\n{}", self.sandbox, text::table(&rows));
        for service in self.services.iter().filter(|service| !service.egress.is_empty()) {
            out.push_str(&format!("  {} reaches {}\n", service.service, service.egress.join(", ")));
        }
        if self.gate.is_some_and(|gate| gate.listens.is_none()) {
            out.push_str("  the gate to them is gone; `onramp up` opens it again\n");
        }
        out
    }
}
