//! `onramp status`

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::sandbox::status::{self, ServiceStatus};
use crate::sandbox::view;
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
}

impl Arguments {
    /// Asks the engine once.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let id = view::id(&cx.project()?);
        let services = status::services(&cx.engine().await?, &id).await?;
        let up = services.iter().any(|service| service.running);
        cx.report(&Status { sandbox: id.to_string(), up, services });
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
        format!("sandbox {}\n{}", self.sandbox, text::table(&rows))
    }
}
