//! `onramp catalog list`

use jiff::Timestamp;
use serde::Serialize;

use crate::blocks::catalog::{Broken, Listed};
use crate::blocks::manifest::{Kind, Support};
use crate::catalog::Error;
use crate::catalog::overview::{About, Activity, Overview};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::task::blocking;
use crate::text;

/// List the building blocks of the catalog.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog list
  onramp catalog list --sort activity
  onramp catalog list --json | jq -r '.blocks[].name'
")]
pub struct Arguments {
    /// What the blocks are sorted by
    #[arg(long, value_enum, default_value = "name", hide_possible_values = true, value_name = "name|activity")]
    sort: Sort,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    /// Their names.
    Name,
    /// The `InnerSource` Commons activity score, the liveliest first.
    Activity,
}

#[derive(Serialize)]
struct List {
    catalog: String,
    blocks: Vec<Row>,
    broken: Vec<Broken>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    listed: Listed,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity: Option<Activity>,
}

impl Arguments {
    /// Reads the latest release of every block.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project().ok();
        let catalog = super::open(cx, project.as_ref().map(|project| &project.manifest)).await?;
        let list = blocking(move || -> Result<List, Error> {
            let (listed, broken) = catalog.list()?;
            let mut blocks: Vec<Row> = listed.into_iter().map(|listed| Row { listed, activity: None }).collect();
            if self.sort == Sort::Activity {
                let overview = Overview::of(&catalog, None, Timestamp::now())?;
                for row in &mut blocks {
                    let block = catalog.block(row.listed.name.as_str(), &semver::VersionReq::STAR)?;
                    row.activity = overview.activity(&block, &About::of(&block))?;
                }
                blocks.sort_by_key(|row| std::cmp::Reverse(row.activity.as_ref().map(|activity| activity.score)));
            }
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
        let row = |row: &Row| {
            let block = &row.listed;
            let kind = match block.kind {
                Kind::App => "app",
                Kind::Part => "part",
            };
            let description = match block.support {
                Support::Maintained => block.description.clone(),
                other => format!("{}: {}", other.name(), block.description),
            };
            let mut cells = vec![block.name.to_string(), kind.to_owned(), block.version.to_string()];
            cells.extend(row.activity.as_ref().map(|activity| activity.score.to_string()));
            cells.push(text::neutral_line(&description, 100));
            cells.push(text::neutral_line(&block.owner, 60));
            cells
        };
        let rows: Vec<Vec<String>> = self.blocks.iter().map(row).collect();
        text::table(&rows)
    }
}
