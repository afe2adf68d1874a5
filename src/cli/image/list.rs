//! `onramp image list`

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::catalogue::{self, BaseImage, Catalogue, Freshness, Use, Which};
use crate::images::name;
use crate::project::{Lock, Project};
use crate::registry::Registry;
use crate::text;

/// For how long an answer of the registry about what changes is good enough for a list.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// List the company's base images, newest first, and how this project uses them.
///
/// One line stands for a repository: its highest release, and the tags that this project uses. What the registry said is
/// remembered for five minutes, and what a digest holds for good.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image list
  onramp image list --tags php       every tag of the images whose name holds `php`
  onramp image list --refresh        ask the registry, whatever is remembered
  onramp image list --json
")]
pub struct Arguments {
    /// Only images whose name holds one of these
    names: Vec<String>,
    /// Every tag: the 50 highest of each image, 2,000 in all
    #[arg(long)]
    tags: bool,
    /// Ask the registry, whatever is remembered
    #[arg(long, conflicts_with = "offline")]
    refresh: bool,
}

#[derive(Serialize)]
struct Shown {
    registry: String,
    tags: bool,
    #[serde(flatten)]
    found: catalogue::Listing,
}

impl Arguments {
    /// Asks the registry or the memory, the lock and, where one answers, the engine.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let host = cx.settings.registry()?.to_owned();
        let lock = lock(cx)?;
        let freshness = if self.refresh { Freshness::Now } else { super::freshness(cx, FRESH) };
        let registry = Registry::of_user(&host, &cx.registries).await?;
        let catalogue = Catalogue::open(registry, &host, &cx.paths.cache, freshness);
        // Without an engine the list is still worth having.
        let held = match cx.engine().await {
            Ok(engine) => Some(engine.digests().await?),
            Err(_) => None,
        };
        let which = Which { names: self.names, tags: self.tags };
        let found = cx.waiting("ask the registry", catalogue.list(&which, &lock, held.as_ref())).await;
        // What was learnt before a failure need not be asked for again.
        let _ = catalogue.remember();
        cx.report(&Shown { registry: host, tags: which.tags, found: found? });
        Ok(Verdict::Ok)
    }
}

/// The lock of the project that the command runs in; an empty one elsewhere.
pub(super) fn lock(cx: &Context) -> Result<Lock, Failure> {
    match Project::find(&cx.dir) {
        Ok(project) => Ok(Lock::load(&project.root)?),
        Err(crate::project::Error::NoProject { .. }) => Ok(Lock::default()),
        Err(error) => Err(error.into()),
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let now = Timestamp::now();
        let head = ["IMAGE", "VERSION", "AGE", "SIZE", "PLATFORM", "OWNER", "DIGEST", "USED HERE", "PULLED", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.found.images.iter().map(|image| row(image, &self.registry, now)));
        if self.found.images.is_empty() && self.found.unreadable.is_empty() {
            return format!("{} has no base images like that (base/…)\n", self.registry);
        }
        let mut out = text::table(&rows);
        for odd in &self.found.unreadable {
            let _ = writeln!(out, "not read: {}: {}", name::shorten(&odd.image, &self.registry), odd.why);
        }
        if self.found.hidden > 0 {
            let _ = writeln!(out, "{} lower tags are not shown; name an image to see more of it", self.found.hidden);
        } else if !self.tags {
            out.push_str("--tags shows every tag\n");
        }
        if now.duration_since(self.found.as_of) > SignedDuration::from_mins(1) {
            let _ = writeln!(out, "as of {} ago; --refresh asks again", text::age(self.found.as_of, now));
        }
        out
    }
}

fn row(image: &BaseImage, registry: &str, now: Timestamp) -> Vec<String> {
    let used = match image.used {
        None => "-",
        Some(Use::Locked) => "locked",
        Some(Use::Moved) => "moved since",
    };
    let pulled = image.present.map_or("unknown", |present| if present { "yes" } else { "no" });
    let unknown = || "-".to_owned();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    vec![
        name::shorten(&image.image, registry),
        image.about.version.as_deref().map_or_else(unknown, |version| text::shorten(version, 24)),
        image.created.map_or_else(|| "unknown".to_owned(), |created| text::age(created, now)),
        text::bytes(image.size),
        image.platforms.join(","),
        image.about.owner.as_deref().map_or_else(unknown, |owner| text::shorten(owner, 32)),
        image.digest.short().to_owned(),
        used.to_owned(),
        pulled.to_owned(),
        image.about.warning(today).unwrap_or_default(),
    ]
}
