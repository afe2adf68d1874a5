//! `onramp catalog list`

use serde::Serialize;

use crate::blocks::catalog::{Broken, Listed};
use crate::blocks::manifest::Kind;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::task::blocking;
use crate::text;

/// List the building blocks of the catalog.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog list
  onramp catalog list --json | jq -r '.blocks[].name'
")]
pub struct Arguments {}

#[derive(Serialize)]
struct List {
    catalog: String,
    blocks: Vec<Listed>,
    broken: Vec<Broken>,
}

impl Arguments {
    /// Reads the latest release of every block.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project().ok();
        let catalog = super::open(cx, project.as_ref().map(|project| &project.manifest)).await?;
        let list = blocking(move || -> Result<List, crate::blocks::Error> {
            let (blocks, broken) = catalog.list()?;
            Ok(List { catalog: catalog.source().to_owned(), blocks, broken })
        })
        .await?;
        for broken in &list.broken {
            cx.observer.note(&format!("{} cannot be used: {}", broken.name, broken.why));
        }
        cx.report(&list);
        Ok(Verdict::Ok)
    }
}

impl Report for List {
    fn text(&self) -> String {
        if self.blocks.is_empty() {
            return format!(
                "no block is released in {} (a release is a tag <name>/vX.Y.Z)\n",
                text::neutral_line(&self.catalog, 200)
            );
        }
        let row = |block: &Listed| {
            let kind = match block.kind {
                Kind::App => "app",
                Kind::Part => "part",
            };
            vec![
                block.name.to_string(),
                kind.to_owned(),
                block.version.to_string(),
                text::neutral_line(&block.description, 100),
                text::neutral_line(&block.owner, 60),
            ]
        };
        let rows: Vec<Vec<String>> = self.blocks.iter().map(row).collect();
        text::table(&rows)
    }
}
