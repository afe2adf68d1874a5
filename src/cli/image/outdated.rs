//! `onramp image outdated`

use std::collections::BTreeSet;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::output::{Report, Verdict};
use crate::images::name;
use crate::images::outdated::{self, Catalogues, Declared, Finding, Standing};
use crate::images::tree::By;
use crate::name::Name;
use crate::project::Lock;
use crate::reference::ImageRef;
use crate::sandbox::View;
use crate::text;

/// For how long an answer of the registry is good enough here.
const FRESH: SignedDuration = SignedDuration::from_mins(1);

/// Show what of this project's images is behind: newer versions, tags that moved, what production runs, bases that moved.
///
/// Per image of the project and of its sandbox: a later tag of the same flavour (by semantic version); another digest
/// behind the tag than the locked one; another image of the same repository in the environment, run or built on there; and
/// whether the image that it builds on moved on since (by `org.opencontainers.image.base.*`, else by its layers).
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp image outdated
  onramp image outdated --check          end with 1 if something is behind
  onramp image outdated --env staging
")]
pub struct Arguments {
    /// End with 1 if something is behind
    #[arg(long)]
    check: bool,
    /// The environment to compare with
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Name,
}

#[derive(Serialize)]
struct Shown {
    registry: String,
    behind: bool,
    images: Vec<Standing>,
    next: Vec<String>,
}

impl Arguments {
    /// Asks the registries that the project and the company name.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let view = cx.view(&self.environment).await?;
        let (lock, needed) = (Lock::load(&view.project.root)?, view.tagged());
        let declared = declared(&view);
        let company = cx.settings.registry().ok();
        let own = needed.iter().chain(declared.images.values());
        let hosts: BTreeSet<&str> = own.map(ImageRef::registry).chain(company).collect();
        let freshness = super::freshness(cx, FRESH);
        let catalogues = Catalogues::open(hosts, &cx.paths.cache, freshness, &cx.registries).await?;
        let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let looks = outdated::find(&catalogues, &lock, &needed, &declared, today);
        let images = cx.waiting("ask the registry", looks).await;
        catalogues.remember();
        let images = images?;
        let behind = images.iter().any(|standing| standing.findings.iter().any(Finding::is_behind));
        let registry = company.unwrap_or_default().to_owned();
        let next = next(&images);
        cx.report(&Shown { registry, behind, images, next });
        Ok(if self.check && behind { Verdict::Failed } else { Verdict::Ok })
    }
}

/// What the environment runs of the sandbox's services.
fn declared(view: &View) -> Declared {
    let members = view.members.iter();
    let images = members.filter_map(|member| Some((member.id.to_string(), member.declared.clone()?.image?)));
    Declared { environment: view.environment.environment.clone(), images: images.collect() }
}

/// What to run next: one command of each kind.
fn next(images: &[Standing]) -> Vec<String> {
    let any = |wanted: fn(&Finding) -> bool| images.iter().any(|standing| standing.findings.iter().any(wanted));
    let mut next = Vec::new();
    let moved = any(|finding| matches!(finding, Finding::Moved { .. } | Finding::Gone { now: Some(_) }));
    if moved || any(|finding| matches!(finding, Finding::Environment { later: Some(true), .. })) {
        next.push("onramp image lock --update".to_owned());
    }
    next
}

impl Report for Shown {
    fn text(&self) -> String {
        let now = Timestamp::now();
        let mut out = String::new();
        for standing in &self.images {
            let locked = standing.locked.as_ref().map_or("not locked", |digest| digest.short());
            let age = standing.created.map_or_else(String::new, |created| format!(", {} old", text::age(created, now)));
            let name = name::shorten(&standing.image, &self.registry);
            let verdict = if standing.findings.is_empty() { ": up to date" } else { "" };
            let _ = writeln!(out, "{name} ({locked}{age}){verdict}");
            for finding in &standing.findings {
                let _ = writeln!(out, "  {}", sentence(finding, &self.registry));
            }
        }
        if self.images.is_empty() {
            out.push_str("this project names no image by tag\n");
        }
        for next in &self.next {
            let _ = writeln!(out, "next: {next}");
        }
        out
    }
}

fn sentence(finding: &Finding, registry: &str) -> String {
    match finding {
        Finding::Gone { now: Some(now) } => {
            format!("what is locked is gone from the registry; the tag is {} now", now.short())
        }
        Finding::Gone { now: None } => "what is locked is gone from the registry, and so is the tag".to_owned(),
        Finding::Moved { now, created } => {
            let made = created.map_or_else(String::new, |created| format!(", made {}", created.strftime("%Y-%m-%d")));
            format!("the tag moved to {}{made}", now.short())
        }
        Finding::TagGone => "the tag is gone from the registry".to_owned(),
        Finding::Newer { image, step } => {
            let step = format!("{step:?}").to_lowercase();
            format!("newer version {} ({step})", name::shorten(image, registry))
        }
        Finding::Environment { environment, service, runs, later } => {
            let how = match later {
                Some(true) => format!("behind {environment}"),
                Some(false) => format!("ahead of {environment}"),
                None => format!("other than {environment}"),
            };
            format!("{how}: {service} runs or builds on {}", runs.short())
        }
        Finding::Base { image, built_on, now, by } => {
            let was = built_on.as_ref().map_or("an older one", |digest| digest.short());
            let seen = if *by == By::Layers { " (seen in its layers)" } else { "" };
            format!("its base {} moved from {was} to {}{seen}", name::shorten(image, registry), now.short())
        }
        Finding::Warning { text } => text.clone(),
        Finding::Unknown { why } => format!("unknown: {why}"),
    }
}
