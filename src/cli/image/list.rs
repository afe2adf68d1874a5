//! `onramp image list`

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::catalogue::{self, Use};
use crate::images::name;
use crate::project::{Lock, Project};
use crate::registry::Registry;
use crate::text;

/// List the company's base images, and how this project uses them.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image list
  onramp image list --json
")]
pub struct Arguments {}

#[derive(Serialize)]
struct Listing {
    registry: String,
    #[serde(flatten)]
    found: catalogue::Listing,
}

impl Arguments {
    /// Asks the registry, the lock and, where one answers, the engine.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        if cx.offline {
            return Err(Failure::usage("--offline: the list is the registry's"));
        }
        let host = cx.settings.registry()?.to_owned();
        let lock = match Project::find(&cx.dir) {
            Ok(project) => Lock::load(&project.root)?,
            Err(crate::project::Error::NoProject { .. }) => Lock::default(),
            Err(error) => return Err(error.into()),
        };
        let registry = Registry::of_user(&host, cx.timeout).await?;
        // Without an engine the list is still worth having.
        let engine = cx.engine().await.ok();
        let found = catalogue::list(&registry, &host, &lock, engine.as_ref()).await?;
        cx.report(&Listing { registry: host, found });
        Ok(Verdict::Ok)
    }
}

impl Report for Listing {
    fn text(&self) -> String {
        let now = Timestamp::now();
        let mut rows = vec![["IMAGE", "DIGEST", "AGE", "SIZE", "USED HERE", "PULLED"].map(str::to_owned).to_vec()];
        for image in &self.found.images {
            let used = match image.used {
                None => "-",
                Some(Use::Locked) => "locked",
                Some(Use::Moved) => "moved since",
            };
            let pulled = image.present.map_or("unknown", |present| if present { "yes" } else { "no" });
            let age = image.created.map_or_else(|| "unknown".to_owned(), |created| text::age(created, now));
            rows.push(vec![
                name::shorten(&image.image, &self.registry),
                image.digest.short().to_owned(),
                age,
                text::bytes(image.size),
                used.to_owned(),
                pulled.to_owned(),
            ]);
        }
        if self.found.images.is_empty() {
            return format!("{} has no base images (base/…)\n", self.registry);
        }
        let mut out = text::table(&rows);
        if self.found.hidden > 0 {
            let _ = writeln!(out, "{} older tags are not shown", self.found.hidden);
        }
        out
    }
}
