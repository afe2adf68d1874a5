//! `onramp outdated`

use serde::Serialize;

use super::block;
use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::update::catalog_of;
use crate::blocks::fetch::Moved;
use crate::blocks::outdated::{Behind, Outdated};
use crate::blocks::update::Follow;
use crate::task::blocking;
use crate::text;
use crate::trust::{self, Trust};

/// Show which blocks of this project have newer versions.
///
/// Per block: the version that the project has, the newest that onramp.toml allows, the newest at all; tags that were moved
/// or removed since; answers that onramp.toml gives otherwise; conflicts that an update left. Of a template without
/// releases, whether its source has changed.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp outdated
  onramp outdated --check     ends with 1 if there is something to update
")]
pub struct Arguments {
    /// End with 1 if something is outdated or left to decide
    #[arg(long)]
    check: bool,
}

/// How far the project is behind.
#[derive(Serialize)]
struct Shown {
    project: String,
    outdated: bool,
    #[serde(flatten)]
    found: Outdated,
    next: Vec<String>,
}

impl Arguments {
    /// Looks at every block's versions.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let place = cx.scaffolded()?;
        let catalog = catalog_of(cx, &place).await?;
        let facts = block::facts(cx, catalog.as_ref(), &place.name(), &place.folder())?.at(&place.root);
        let (cache, offline) = (cx.paths.cache.clone(), cx.offline);
        let trust = Trust::load(&trust::place(&cx.paths))?;
        let work = blocking(move || -> Result<(String, Outdated), crate::blocks::Error> {
            let mut lock = place.lock.clone();
            let catalog = catalog.as_ref();
            let follow = Follow { cache: &cache, offline, catalog, place: &place, facts: &facts, trust };
            follow.take_over(&crate::directory::Directory::open(&place.root)?, &mut lock)?;
            Ok((place.name(), Outdated::find(&follow, &lock)?))
        });
        let (project, found) = work.await?;
        let outdated = found.is_behind();
        let next = if outdated { vec!["onramp update --dry-run".to_owned()] } else { Vec::new() };
        cx.report(&Shown { project, outdated, found, next });
        Ok(if self.check && outdated { Verdict::Failed } else { Verdict::Ok })
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        if self.found.blocks.is_empty() {
            return format!("{} has no blocks\n", text::neutral_line(&self.project, 80));
        }
        let mut rows = vec![["BLOCK", "HAS", "ALLOWED", "NEWEST", ""].map(str::to_owned).to_vec()];
        for block in &self.found.blocks {
            let version = |version: &Option<crate::version::Version>| match version {
                Some(version) => text::neutral_line(&version.label(""), 40),
                None => "-".to_owned(),
            };
            rows.push(vec![
                block.name.to_string(),
                text::neutral_line(&block.version.label(&block.commit), 40),
                version(&block.newest_declared),
                version(&block.newest),
                remarks(block),
            ]);
        }
        let mut out = text::table(&rows);
        for path in &self.found.conflicts {
            out.push_str(&format!("  conflict left in {}\n", text::neutral_line(path.as_str(), 200)));
        }
        for next in &self.next {
            out.push_str(&format!("  next: {next}\n"));
        }
        out
    }
}

/// What else is to be said of a block.
fn remarks(block: &Behind) -> String {
    let mut remarks = Vec::new();
    match &block.moved {
        Some(Moved { tag, now: Some(_), .. }) => remarks.push(format!("the tag {tag} was moved")),
        Some(Moved { tag, now: None, .. }) => remarks.push(format!("the tag {tag} is gone")),
        None => {}
    }
    if block.changed {
        remarks.push("no releases; its source has changed".to_owned());
    }
    if !block.answers.is_empty() {
        let ids: Vec<&str> = block.answers.keys().map(String::as_str).collect();
        remarks.push(format!("onramp.toml answers otherwise: {}", ids.join(", ")));
    }
    remarks.extend(block.unknown.iter().map(|why| format!("unknown: {why}")));
    text::neutral_line(&remarks.join("; "), 200)
}
