//! `onramp catalog adopters`

use std::path::PathBuf;

use serde::Serialize;

use crate::campaign::target;
use crate::catalog::adopters::{self, Adopters};
use crate::catalog::{Checkout, Error};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::task::blocking;
use crate::text;

/// Find out who uses the catalog's blocks, and in which versions.
///
/// Reads the onramp.lock of each repository: of a work tree as it lies there, else of the default branch. With --write,
/// the catalog's adopters.toml remembers it, and `onramp catalog show` tells it.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp catalog adopters --repos ~/src
  onramp catalog adopters --repos repositories.txt --write
")]
pub struct Arguments {
    /// The repositories: a file with a path or URL a line, or a directory of repositories
    #[arg(long, value_name = "FILE|DIR")]
    repos: PathBuf,
    /// Write adopters.toml at the top of the catalog
    #[arg(long)]
    write: bool,
}

#[derive(Serialize)]
struct Looked {
    catalog: String,
    repositories_read: usize,
    #[serde(flatten)]
    adopters: Adopters,
    written: bool,
}

impl Arguments {
    /// Looks into the repositories.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let targets = target::of(&cx.dir.join(&self.repos))?;
        let (directory, cache, offline) = (cx.dir.clone(), cx.paths.cache.clone(), cx.offline);
        let write = self.write && !cx.dry_run;
        let looking = blocking(move || -> Result<_, Error> {
            let checkout = Checkout::find(&directory)?;
            let root = checkout.root().display().to_string();
            // Whoever used the work tree itself as catalog wrote its directory into the lock.
            let sources = [checkout.address(), root.trim_end_matches('/').to_owned()];
            let (adopters, unread) = adopters::look(&targets, &sources, &cache, offline);
            if write {
                crate::files::write(&checkout.root().join(adopters::FILE), adopters.render().as_bytes())?;
            }
            let looked =
                Looked { catalog: checkout.address(), repositories_read: targets.len(), adopters, written: write };
            Ok((looked, unread))
        });
        let (looked, unread) = cx.waiting("look into the repositories", looking).await?;
        for (name, why) in unread {
            cx.observer.note(&format!("{name} was passed over: {why}"));
        }
        cx.report(&looked);
        Ok(Verdict::Ok)
    }
}

impl Report for Looked {
    fn text(&self) -> String {
        let mut rows = Vec::new();
        for (repository, blocks) in &self.adopters.repositories {
            for (block, version) in blocks {
                rows.push(vec![block.to_string(), version.label(""), text::neutral_line(repository, 200)]);
            }
        }
        rows.sort();
        let mut out = text::table(&rows);
        let adopters = self.adopters.repositories.len();
        out.push_str(&format!("{adopters} of {} repositories use this catalog\n", self.repositories_read));
        if self.written {
            out.push_str(&format!("{} is written; commit it\n", adopters::FILE));
        }
        out
    }
}
