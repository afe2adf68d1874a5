//! `onramp remove`

use serde::Serialize;

use super::block::{self, file_lines};
use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use super::update::catalog_of;
use crate::blocks::removal::Removal;
use crate::blocks::update::Follow;
use crate::task::blocking;
use crate::text;
use crate::trust::{self, Trust};

/// Take a block out of this project.
///
/// Its files go, but for those that were edited, which stay and are named. Its tables go from onramp.toml and onramp.lock.
/// Where something else needs it, nothing is changed. `onramp update --undo` brings everything back.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp remove cache --dry-run
  onramp remove cache
")]
pub struct Arguments {
    /// The block
    block: String,
}

/// What will be removed, and after that what was.
#[derive(Serialize)]
struct Removed {
    project: String,
    block: String,
    files: Vec<String>,
    changed: Vec<String>,
    services: Vec<String>,
    /// Files and services that were edited, and stay.
    kept: Vec<String>,
    /// Files that other blocks have, too.
    shared: Vec<String>,
    done: bool,
    next: Vec<String>,
}

impl Arguments {
    /// Plans the removal, shows it, makes it.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.locked {
            return Err(Failure::usage("a removal changes onramp.lock, which --locked forbids"));
        }
        let place = cx.scaffolded()?;
        let catalog = catalog_of(cx, &place).await?;
        let facts = block::facts(cx, catalog.as_ref(), &place.name(), &place.folder())?.at(&place.root);
        let (cache, offline) = (cx.paths.cache.clone(), cx.offline);
        let trust = Trust::load(&trust::place(&cx.paths))?;
        let work = blocking(move || -> Result<_, crate::blocks::Error> {
            let catalog = catalog.as_ref();
            let follow = Follow { cache: &cache, offline, catalog, place: &place, facts: &facts, trust };
            let removal = Removal::plan(&follow, &place.lock, &self.block)?;
            Ok((place, removal))
        });
        let (place, removal) = work.await?;
        let mut removed = Removed::plan(&removal, &place.name());
        if !cx.proceed(&removed) {
            return Ok(Verdict::Ok);
        }
        removal.apply(&place.root, &cx.paths.state)?;
        removed.done = true;
        cx.report(&removed);
        Ok(Verdict::Ok)
    }
}

impl Removed {
    fn plan(removal: &Removal, project: &str) -> Self {
        let paths = |goes: bool| {
            let changes = removal.changes.iter().filter(move |change| change.after.is_none() == goes);
            changes.map(|change| change.path.to_string()).collect()
        };
        let edited = removal.edited.iter().map(ToString::to_string);
        let services = removal.edited_services.iter().map(|service| format!("onramp.toml [services.{service}]"));
        Self {
            project: project.to_owned(),
            block: removal.name.to_string(),
            files: paths(true),
            changed: paths(false),
            services: removal.services.clone(),
            kept: edited.chain(services).collect(),
            shared: removal.shared.iter().map(ToString::to_string).collect(),
            done: false,
            next: vec!["git diff".to_owned(), "onramp update --undo".to_owned()],
        }
    }
}

impl Report for Removed {
    fn text(&self) -> String {
        let project = text::neutral_line(&self.project, 80);
        let kept = || {
            let edited = file_lines("keep", self.kept.iter().map(String::as_str));
            let shared = file_lines("keep", self.shared.iter().map(String::as_str));
            let edited = edited.into_iter().map(|line| line + "  (edited)");
            edited.chain(shared.into_iter().map(|line| line + "  (another block's, too)"))
        };
        let mut lines = Vec::new();
        if self.done {
            lines.push(format!("{} is removed from {project}; nothing is committed yet", self.block));
            lines.extend(kept());
            lines.extend(self.next.iter().map(|next| format!("  next: {next}")));
        } else {
            lines.push(format!("{} from {project}", self.block));
            lines.extend(self.services.iter().map(|service| format!("  service {service}")));
            lines.extend(file_lines("remove", self.files.iter().map(String::as_str)));
            lines.extend(file_lines("change", self.changed.iter().map(String::as_str)));
            lines.extend(kept());
        }
        lines.join("\n") + "\n"
    }
}
