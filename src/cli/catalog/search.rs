//! `onramp catalog search`

use serde::Serialize;

use crate::blocks::manifest::Support;
use crate::catalog::overview::{self, About, Overview};
use crate::catalog::{Error, search};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::task::blocking;
use crate::text;

/// Find blocks by words in their names, descriptions, owners, questions and READMEs.
///
/// Every word must be found somewhere; beginnings of words and slips of the finger count. The best hit comes first.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog search php cache
  onramp catalog search redis --json | jq -r '.hits[].name'
")]
pub struct Arguments {
    /// The words
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
}

#[derive(Serialize)]
struct Found {
    catalog: String,
    query: String,
    hits: Vec<Hit>,
}

#[derive(Serialize)]
struct Hit {
    #[serde(flatten)]
    found: search::Hit,
    version: String,
    description: String,
    owner: String,
    support: Support,
}

impl Arguments {
    /// Reads the latest release of every block, and looks.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project().ok();
        let catalog = super::open(cx, project.as_ref().map(|project| &project.manifest)).await?;
        let query = self.words.join(" ");
        let found = blocking(move || -> Result<Found, Error> {
            let blocks = Overview::of(&catalog, Some(Vec::new()), jiff::Timestamp::now())?.blocks()?;
            let documents: Vec<_> = blocks.iter().map(overview::document).collect();
            let hits = search::search(&documents, &query).into_iter().filter_map(|hit| {
                let block = blocks.iter().find(|block| block.id.name.as_str() == hit.name)?;
                let About { description, owner, support, .. } = About::of(block);
                Some(Hit { found: hit, version: block.id.version.to_string(), description, owner, support })
            });
            Ok(Found { catalog: catalog.source().to_owned(), hits: hits.collect(), query })
        })
        .await?;
        cx.report(&found);
        Ok(Verdict::Ok)
    }
}

impl Report for Found {
    fn text(&self) -> String {
        if self.hits.is_empty() {
            return format!("no block of {} has these words\n", text::neutral_line(&self.catalog, 200));
        }
        let row = |hit: &Hit| {
            vec![
                hit.found.name.clone(),
                hit.version.clone(),
                text::neutral_line(&hit.description, 100),
                format!("({})", hit.found.found_in.join(", ")),
            ]
        };
        text::table(&self.hits.iter().map(row).collect::<Vec<_>>())
    }
}
