//! `onramp catalog export`

use std::path::PathBuf;

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;

use crate::catalog::{Checkout, Error, backstage, export, portal};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::task::blocking;

/// Tell portals of the catalog's blocks: SAP's project portal for `InnerSource`, or Backstage.
///
/// Reads the work tree of the catalog that the command stands in. What only a forge knows (stars, forks, issues) comes
/// from a repos.json that a crawler wrote, and counts as none without one.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog export --format repos.json --output portal/repos.json
  onramp catalog export --format backstage > catalog-info.yaml
  onramp catalog export web --format backstage --output blocks/web/catalog-info.yaml
")]
pub struct Arguments {
    /// Blocks, by name or directory [default: all]
    #[arg(value_name = "BLOCK")]
    blocks: Vec<String>,
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// Where to write it [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What a crawler knows of the repositories [default: repos.json in the catalog]
    #[arg(long, value_name = "FILE")]
    portal: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// SAP's project portal for `InnerSource`.
    #[value(name = "repos.json")]
    #[serde(rename = "repos.json")]
    Repos,
    /// Backstage's catalog-info.yaml.
    Backstage,
}

#[derive(Serialize)]
struct Exported {
    format: Format,
    blocks: usize,
    output: Option<PathBuf>,
    text: String,
}

impl Arguments {
    /// Reads the blocks, writes their entries.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let directory = cx.dir.clone();
        let output = self.output.as_ref().map(|output| cx.dir.join(output));
        let given = self.portal.as_ref().map(|path| super::portal(&cx.dir.join(path))).transpose()?;
        let (format, wanted, place) = (self.format, self.blocks, output.clone());
        let exported = blocking(move || -> Result<Exported, Failure> {
            let checkout = Checkout::find(&directory)?;
            let names = checkout.choose(&wanted, &directory)?;
            let text = match format {
                Format::Backstage => backstage::write(&export::entities(&checkout, &names)?),
                Format::Repos => {
                    let own = checkout.root().join("repos.json");
                    let known = match given {
                        Some(known) => known,
                        None if own.is_file() => super::portal(&own)?,
                        None => Vec::new(),
                    };
                    portal::write(&export::repositories(&checkout, &names, &known, Timestamp::now())?)
                }
            };
            Ok(Exported { format, blocks: names.len(), output: place, text })
        })
        .await?;
        if let Some(output) = output.filter(|_| !cx.dry_run) {
            crate::files::write(&output, exported.text.as_bytes()).map_err(Error::from)?;
        }
        cx.report(&exported);
        Ok(Verdict::Ok)
    }
}

impl Report for Exported {
    fn text(&self) -> String {
        match &self.output {
            Some(output) => format!("{} blocks in {}\n", self.blocks, output.display()),
            // Other people's words, but for a file and not for a terminal: JSON and YAML escape what steers one.
            None => self.text.clone(),
        }
    }
}
