//! `onramp parity`

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::name::Name;
use crate::sandbox::parity::{Fact, Look, Parity, Standing};
use crate::text;

/// Show how far the sandbox equals an environment, service by service, fact by fact.
///
/// A fact is equal; overridden here, by a line of onramp.toml or for the reason that is told; missing here; or unknown, where
/// nobody can tell. The score is the share of the equal ones in all but the unknown ones.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp parity
  onramp parity staging --json
  onramp parity --min 90            fail below 90 %
")]
pub struct Arguments {
    /// The environment to compare with
    #[arg(default_value = "production")]
    environment: Name,
    /// Fail where the score is below this many percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min: Option<u8>,
}

/// Parity, and what was asked of it.
#[derive(Serialize)]
struct Measured {
    #[serde(flatten)]
    parity: Parity,
    parity_line: String,
    min: Option<u8>,
    passed: bool,
}

impl Arguments {
    /// Looks at the containers, compares, and holds the score against what was asked for.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let (view, engine) = tokio::try_join!(cx.view(&self.environment), cx.engine())?;
        let parity = Parity::of(&engine, &view, Look::IntoImages).await?;
        let passed = self.min.is_none_or(|min| parity.score.reaches(min));
        cx.report(&Measured { parity_line: parity.summary().to_string(), parity, min: self.min, passed });
        Ok(if passed { Verdict::Ok } else { Verdict::Failed })
    }
}

impl Report for Measured {
    fn text(&self) -> String {
        let mut rows = Vec::new();
        for service in &self.parity.services {
            rows.push(vec![service.service.to_string()]);
            rows.extend(service.facts.iter().map(row));
        }
        let mut out = format!("{}{}\n", text::table(&rows), self.parity_line);
        if let Some(min) = self.min.filter(|_| !self.passed) {
            out.push_str(&format!("{}\n", console::style(format!("less than the {min} % of --min")).red()));
        }
        out
    }
}

fn row(fact: &Fact) -> Vec<String> {
    let standing = match fact.standing {
        Standing::Equal => console::style("equal").green(),
        Standing::Overridden => console::style("overridden here").yellow(),
        Standing::Missing => console::style("missing here").red(),
        Standing::Unknown => console::style("unknown").dim(),
    };
    let why = match &fact.by {
        Some(line) => format!("{line}: {}", fact.why),
        None => fact.why.clone(),
    };
    vec![format!("  {}", fact.fact), standing.to_string(), why]
}
