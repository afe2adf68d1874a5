//! `onramp trust`

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Report, Verdict};
use crate::blocks::Location;
use crate::text::{neutral_line, table};
use crate::trust::{self, Trust};

/// What you allowed templates to do: run commands, use Python, read outside, send.
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
    /// List what you allowed, template by template
    #[command(before_help = "Examples:
  onramp trust list
  onramp trust list --json
")]
    List {},
    /// Take your word back: the template asks again
    #[command(before_help = "Examples:
  onramp trust revoke gh:acme/web-template
  onramp trust revoke https://git.acme.test/tpl --dry-run
")]
    Revoke {
        /// The template: a URL, a directory or an abbreviation, as `onramp new` takes it
        template: String,
    },
}

#[derive(Serialize)]
struct Listing {
    templates: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    url: String,
    commit: String,
    may: Vec<String>,
}

#[derive(Serialize)]
struct Revoked {
    revoked: Listed,
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
        match self.command {
            Command::List {} => cx.report(&Listing { templates: trust.templates().map(listed).collect() }),
            Command::Revoke { template } => {
                // A template that moved, or a directory that is gone, is named as the list names it.
                let located = Location::from_argument(&template, &cx.dir);
                let canonical = located.map_or_else(|_| trust::canonical(&template), |place| place.canonical());
                let meant = |url: &str| url == template || url == canonical;
                let Some(found) = trust.templates().find(|(url, _)| meant(url)).map(listed) else {
                    let message = format!("you allowed nothing to {}", neutral_line(&template, 200));
                    return Err(Failure::usage(message).next("onramp trust list"));
                };
                if !cx.dry_run {
                    Trust::revoke(&place, &found.url)?;
                }
                cx.report(&Revoked { revoked: found, dry_run: cx.dry_run });
            }
        }
        Ok(Verdict::Ok)
    }
}

impl Report for Listing {
    fn text(&self) -> String {
        if self.templates.is_empty() {
            return "you allowed nothing to any template\n".to_owned();
        }
        let mut rows = vec![["TEMPLATE", "COMMIT", "MAY"].map(str::to_owned).to_vec()];
        for listed in &self.templates {
            let commit = neutral_line(listed.commit.get(..7).unwrap_or("-"), 7);
            let mut first = [neutral_line(&listed.url, 200), commit];
            for what in &listed.may {
                let [url, commit] = std::mem::take(&mut first);
                rows.push(vec![url, commit, neutral_line(what, 400)]);
            }
        }
        table(&rows)
    }
}

impl Report for Revoked {
    fn text(&self) -> String {
        let verb = if self.dry_run { "would ask" } else { "asks" };
        let may: Vec<String> = self.revoked.may.iter().map(|what| format!("  {}\n", neutral_line(what, 400))).collect();
        format!("{} {verb} again before it does this:\n{}", neutral_line(&self.revoked.url, 200), may.concat())
    }
}
