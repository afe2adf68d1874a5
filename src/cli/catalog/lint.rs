//! `onramp catalog lint`

use serde::Serialize;

use crate::catalog::lint::{self, Finding, Severity};
use crate::catalog::trial::golden;
use crate::catalog::{Checkout, Error};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::name::Name;
use crate::task::blocking;

/// Find what is wrong with blocks before anybody uses them.
///
/// Looks at the work tree of the catalog that the command stands in (or `-C DIR`), or of a repository that is one Copier or
/// Cookiecutter template. Errors end it as FAILED; warnings and notes do not.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog lint
  onramp catalog lint web blocks/cache
  onramp catalog lint --json | jq -r '.findings[] | \"\\(.place) \\(.message)\"'
")]
pub struct Arguments {
    /// Blocks, by name or directory [default: all]
    #[arg(value_name = "BLOCK")]
    blocks: Vec<String>,
}

#[derive(Serialize)]
struct Linted {
    catalog: String,
    blocks: Vec<Name>,
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<Finding>,
}

impl Arguments {
    /// Looks at the blocks.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let directory = cx.dir.clone();
        let linted = blocking(move || -> Result<Linted, Error> {
            let checkout = Checkout::find(&directory)?;
            let blocks = checkout.choose(&self.blocks, &directory)?;
            let mut findings = Vec::new();
            for name in &blocks {
                let known: Vec<_> = golden::read(&checkout, name)?.into_iter().map(|golden| golden.answers).collect();
                findings.extend(lint::block(&checkout, name, &known)?);
            }
            let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
            Ok(Linted {
                catalog: checkout.root().display().to_string(),
                errors: count(Severity::Error),
                warnings: count(Severity::Warning),
                notes: count(Severity::Note),
                blocks,
                findings,
            })
        })
        .await?;
        cx.report(&linted);
        Ok(if linted.errors > 0 { Verdict::Failed } else { Verdict::Ok })
    }
}

impl Report for Linted {
    fn text(&self) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Error => console::style(finding.severity.name()).red().bold(),
                Severity::Warning => console::style(finding.severity.name()).yellow().bold(),
                Severity::Note => console::style(finding.severity.name()).cyan(),
            };
            out.push_str(&format!("{}: {severity}: {} [{}]\n", finding.place, finding.message, finding.rule));
            out.push_str(&format!("  cure: {}\n", finding.cure));
        }
        let many = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        out.push_str(&format!(
            "{}: {}, {}, {}\n",
            many(self.blocks.len(), "block"),
            many(self.errors, "error"),
            many(self.warnings, "warning"),
            many(self.notes, "note")
        ));
        out
    }
}
