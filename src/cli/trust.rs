//! `onramp trust`

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::blocks::Location;
use crate::images::policy::{Accepted, accepted};
use crate::text::{neutral_line, table};
use crate::trust::{self, Trust};

/// What you allowed: what templates may do beside giving files, and whose signatures on images count.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp trust list
  onramp trust revoke gh:acme/web-template
")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List what you allowed, template by template, and whose signatures you accepted, catalog by catalog
    #[command(before_help = "Examples:
  onramp trust list
  onramp trust list --json
")]
    List {},
    /// Take your word back: the template asks again, and no signature counts until the catalog's keys are accepted again
    #[command(before_help = "Examples:
  onramp trust revoke gh:acme/web-template
  onramp trust revoke https://git.acme.test/platform/catalog.git --dry-run
")]
    Revoke {
        /// The template: a URL, a directory or an abbreviation, as `onramp new` takes it; or a catalog's
        template: String,
    },
}

#[derive(Serialize)]
struct Listing {
    templates: Vec<Listed>,
    catalogs: Vec<Accepting>,
}

#[derive(Clone, Serialize)]
struct Accepting {
    url: String,
    rules: Vec<Accepted>,
}

#[derive(Serialize)]
struct Listed {
    url: String,
    commit: String,
    may: Vec<String>,
}

#[derive(Serialize)]
struct Revoked {
    #[serde(rename = "revoked")]
    template: Option<Listed>,
    catalog: Option<Accepting>,
    dry_run: bool,
}

impl Arguments {
    /// Runs the sub-command.
    pub fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let place = trust::place(&cx.paths);
        let trust = Trust::load(&place)?;
        let listed = |(url, allowed): (&str, &trust::Allowed)| Listed {
            url: url.to_owned(),
            commit: allowed.commit.clone(),
            may: allowed.may.values().cloned().collect(),
        };
        let keys = accepted::place(&cx.paths);
        let catalogs = accepted::all(&keys)?.into_iter().filter(|(_, rules)| !rules.is_empty());
        let catalogs: Vec<Accepting> = catalogs.map(|(url, rules)| Accepting { url, rules }).collect();
        match self.command {
            Command::List {} => cx.report(&Listing { templates: trust.templates().map(listed).collect(), catalogs }),
            Command::Revoke { template } => {
                // A template that moved, or a directory that is gone, is named as the list names it.
                let located = Location::from_argument(&template, &cx.dir);
                let canonical = located.map_or_else(|_| trust::canonical(&template), |place| place.canonical());
                let meant = |url: &str| url == template || url == canonical;
                let found = trust.templates().find(|(url, _)| meant(url)).map(listed);
                let catalog = catalogs.into_iter().find(|catalog| meant(&catalog.url));
                if found.is_none() && catalog.is_none() {
                    let message = format!("you allowed nothing to {}", neutral_line(&template, 200));
                    return Err(Failure::usage(message).next("onramp trust list"));
                }
                if let Some(found) = found.as_ref().filter(|_| !cx.dry_run) {
                    Trust::revoke(&place, &found.url)?;
                }
                if let Some(catalog) = catalog.as_ref().filter(|_| !cx.dry_run) {
                    accepted::revoke(&keys, &catalog.url)?;
                }
                cx.report(&Revoked { template: found, catalog, dry_run: cx.dry_run });
            }
        }
        Ok(Verdict::Ok)
    }
}

impl Report for Listing {
    fn text(&self) -> String {
        let mut out = String::new();
        if !self.templates.is_empty() {
            let mut rows = vec![["TEMPLATE", "COMMIT", "MAY"].map(str::to_owned).to_vec()];
            for listed in &self.templates {
                let commit = neutral_line(listed.commit.get(..7).unwrap_or("-"), 7);
                let mut first = [neutral_line(&listed.url, 200), commit];
                for what in &listed.may {
                    let [url, commit] = std::mem::take(&mut first);
                    rows.push(vec![url, commit, neutral_line(what, 400)]);
                }
            }
            out.push_str(&table(&rows));
        }
        if out.is_empty() {
            out.push_str("you allowed nothing to any template\n");
        }
        out.extend(self.catalogs.iter().map(Accepting::lines));
        out
    }
}

impl Accepting {
    fn lines(&self) -> String {
        let mut out = format!("signatures of {}\n", neutral_line(&self.url, 200));
        for rule in &self.rules {
            let verb = if rule.require_signature { "signed by" } else { "may be signed by" };
            for (key, place) in &rule.keys {
                out.push_str(&format!("  {} {verb} {key} {}\n", rule.scope, neutral_line(place, 80)));
            }
        }
        out
    }
}

impl Report for Revoked {
    fn text(&self) -> String {
        let mut out = String::new();
        if let Some(revoked) = &self.template {
            let verb = if self.dry_run { "would ask" } else { "asks" };
            out.push_str(&format!("{} {verb} again before it does this:\n", neutral_line(&revoked.url, 200)));
            out.extend(revoked.may.iter().map(|what| format!("  {}\n", neutral_line(what, 400))));
        }
        if let Some(catalog) = &self.catalog {
            let verb = if self.dry_run { "would count no more" } else { "count no more" };
            out.push_str(&format!("these {verb} until you accept them again:\n{}", catalog.lines()));
        }
        out
    }
}
