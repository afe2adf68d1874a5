//! `onramp status`

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::sandbox::status::{self, ServiceStatus};
use crate::sandbox::{gate, router, view};
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
    services: Vec<Service>,
    gate: Option<gate::Standing>,
    router: Option<router::Standing>,
}

#[derive(Serialize)]
struct Service {
    #[serde(flatten)]
    status: ServiceStatus,
    /// Where it answers by name; none where it has none, or the router is gone.
    named: Option<String>,
}

impl Arguments {
    /// Asks the engine once.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let id = view::id(&cx.project()?);
        let engine = cx.engine().await?;
        let services = status::services(&engine, &id).await?;
        let up = services.iter().any(|service| service.running);
        let reaching = services.iter().any(|service| service.running && !service.egress.is_empty());
        let gate = reaching.then(|| gate::standing(&cx.paths.state, id.as_str()));
        let named = services.iter().any(|service| service.hostname.is_some());
        let router = if named { router::standing(&cx.paths.state, &engine) } else { None };
        let service = |status: ServiceStatus| Service {
            named: router.zip(status.hostname.as_ref()).map(|(router, name)| router.url(name)),
            status,
        };
        let services = services.into_iter().map(service).collect();
        cx.report(&Status { sandbox: id.to_string(), up, services, gate, router });
        Ok(Verdict::Ok)
    }
}

impl Report for Status {
    fn text(&self) -> String {
        if self.services.is_empty() {
            return format!("sandbox {} is not up; `onramp up` starts it\n", self.sandbox);
        }
        let row = |Service { status, named }: &Service| {
            let place = named.as_ref().or(status.address.as_ref()).cloned().unwrap_or_else(|| "-".to_owned());
            vec![format!("  {}", status.service), place, status.status.clone()]
        };
        let rows: Vec<Vec<String>> = self.services.iter().map(row).collect();
        let mut out = format!("sandbox {}\n{}", self.sandbox, text::table(&rows));
        for Service { status: service, .. } in &self.services {
            if let Some(told) = &service.with {
                out.push_str(&format!("  {} runs with {told}\n", service.service));
            }
        }
        for Service { status: service, .. } in self.services.iter().filter(|service| !service.status.egress.is_empty())
        {
            out.push_str(&format!("  {} reaches {}\n", service.service, service.egress.join(", ")));
        }
        if self.gate.is_some_and(|gate| gate.listens.is_none()) {
            out.push_str("  the gate to them is gone; `onramp up` opens it again\n");
        }
        if self.router.is_none() && self.services.iter().any(|service| service.status.hostname.is_some()) {
            out.push_str("  the router to their names is gone; `onramp up` starts it again\n");
        }
        out
    }
}
