//! `onramp parity`

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::name::Name;
use crate::sandbox::parity::{self, Parity, Standing};
use crate::text;

/// Show how far the sandbox equals an environment, service by service, fact by fact.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp parity
  onramp parity staging --json
")]
pub struct Arguments {
    /// The environment to compare with
    #[arg(default_value = "production")]
    environment: Name,
}

impl Arguments {
    /// Looks at the containers and compares.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let (view, engine) = tokio::try_join!(cx.view(&self.environment), cx.engine())?;
        let observed = parity::observe(&engine, &view.id).await?;
        cx.report(&parity::compare(view.environment, &view.members, &observed));
        Ok(Verdict::Ok)
    }
}

impl Report for Parity {
    fn text(&self) -> String {
        let mut rows = Vec::new();
        for service in &self.services {
            rows.push(vec![service.service.to_string()]);
            for fact in &service.facts {
                let standing = match fact.standing {
                    Standing::Equal => console::style("equal").green(),
                    Standing::Overridden => console::style("overridden here").yellow(),
                    Standing::Unknown => console::style("unknown").dim(),
                };
                rows.push(vec![format!("  {}", fact.fact), standing.to_string(), fact.why.clone()]);
            }
        }
        format!("{}{}\n", text::table(&rows), self.line())
    }
}
