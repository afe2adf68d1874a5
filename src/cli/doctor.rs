//! `onramp doctor`

use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::doctor::{self, Finding};

/// Check this machine, all at once; each failure comes with the command that cures it.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp doctor
  onramp doctor --json
")]
pub struct Arguments {}

/// What the checks found.
#[derive(Serialize)]
pub struct Findings {
    well: bool,
    findings: Vec<Finding>,
}

impl Findings {
    /// Sums up.
    pub fn new(findings: Vec<Finding>) -> Self {
        Self { well: findings.iter().all(|finding| finding.well), findings }
    }

    /// OK, or FAILED where a check failed.
    pub fn verdict(&self) -> Verdict {
        if self.well { Verdict::Ok } else { Verdict::Failed }
    }
}

impl Arguments {
    /// Examines and reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let findings = Findings::new(doctor::examine(&cx.machine(), cx.forge_access()).await);
        cx.report(&findings);
        Ok(findings.verdict())
    }
}

impl Report for Findings {
    fn text(&self) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            let mark = if finding.well { console::style("✓").green() } else { console::style("✗").red() };
            out.push_str(&format!("{mark} {:<8} {}\n", finding.check, finding.detail));
            if let Some(cure) = &finding.cure {
                out.push_str(&format!("  {} {cure}\n", console::style("cure:").cyan()));
            }
        }
        out
    }
}
