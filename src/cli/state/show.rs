//! `onramp state show`

use serde::Serialize;

use super::Side;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Report, Verdict};
use crate::git::Commit;
use crate::name::Name;
use crate::reference::Digest;
use crate::state::diff::Declared;
use crate::state::policy::{Environment, Merge};
use crate::task::blocking;
use crate::text::{did_you_mean, table};

/// Show the environments and what they ask for, or what one of them declares.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp state show
  onramp state show production
  onramp state show production@1a2b3c4 shop --json
")]
pub struct Arguments {
    /// An environment, maybe as it was at a commit: `production`, `production@1a2b3c4`
    #[arg(value_name = "ENV[@COMMIT]")]
    side: Option<Side>,
    /// Only this app
    app: Option<Name>,
}

/// The environments in promotion order.
#[derive(Serialize)]
struct Environments {
    commit: Commit,
    environments: Vec<Line>,
}

/// One environment, and what it asks of a change.
#[derive(Serialize)]
struct Line {
    name: Name,
    after: Option<Name>,
    merge: Merge,
    approvals: usize,
    evidence: Vec<Name>,
    soak: Option<String>,
    freeze: Vec<String>,
    apps: usize,
}

/// What an environment declares.
#[derive(Serialize)]
struct Shown {
    environment: Name,
    commit: Commit,
    apps: Declared,
}

impl Arguments {
    /// Reads the state repository and shows it.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let state = super::open(cx).await?;
        let Some(side) = self.side else {
            let read = move || -> Result<Environments, Failure> {
                let commit = state.head()?;
                let rules = state.rules(&commit)?;
                let line = |environment: Environment| -> Result<Line, Failure> {
                    let apps = state.apps(&commit, &environment.name)?.len();
                    Ok(Line::new(environment, apps))
                };
                let environments = rules.environments.into_iter().map(line).collect::<Result<_, _>>()?;
                Ok(Environments { commit, environments })
            };
            cx.report(&blocking(read).await?);
            return Ok(Verdict::Ok);
        };
        let shown = blocking(move || -> Result<Shown, Failure> {
            let found = side.find(&state)?;
            let Some(environment) = found.environment else {
                return Err(Failure::usage(format!("{} is a commit, not an environment", found.commit.short()))
                    .hint(format!("write ENVIRONMENT@{}", found.commit.short())));
            };
            let mut apps = super::declared(&state, &found.commit, &environment)?;
            if let Some(app) = &self.app {
                let Some(only) = apps.remove(app) else {
                    let meant = did_you_mean(app.as_str(), apps.keys().map(Name::as_str));
                    let failure = Failure::usage(format!("{environment} does not declare the app {app}"));
                    return Err(match meant {
                        Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                        None => failure,
                    });
                };
                apps = [(app.clone(), only)].into();
            }
            Ok(Shown { environment, commit: found.commit, apps })
        });
        cx.report(&shown.await?);
        Ok(Verdict::Ok)
    }
}

impl Line {
    fn new(environment: Environment, apps: usize) -> Self {
        let Environment { name, after, policy } = environment;
        Self {
            name,
            after,
            merge: policy.merge,
            approvals: policy.approvals,
            evidence: policy.evidence,
            soak: policy.soak.map(|soak| format!("{:#}", soak.0)),
            freeze: policy.freeze.iter().map(|window| window.as_str().to_owned()).collect(),
            apps,
        }
    }
}

impl Report for Environments {
    fn text(&self) -> String {
        let head = ["environment", "after", "merge", "approvals", "evidence", "soak", "freeze", "apps"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        rows.extend(self.environments.iter().map(|line| {
            let evidence: Vec<&str> = line.evidence.iter().map(Name::as_str).collect();
            vec![
                line.name.to_string(),
                line.after.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                if line.merge == Merge::Auto { "auto" } else { "manual" }.to_owned(),
                line.approvals.to_string(),
                or_none(evidence.join(" ")),
                line.soak.clone().unwrap_or_else(|| "-".to_owned()),
                or_none(line.freeze.join(", ")),
                line.apps.to_string(),
            ]
        }));
        table(&rows)
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let head = ["app", "service", "image", "port", "replicas", "needs"].map(str::to_owned).to_vec();
        let mut rows = vec![head];
        for (app, services) in &self.apps {
            for (name, service) in services {
                let image = service.image.as_ref();
                let digest =
                    image.and_then(|image| image.digest().map(Digest::short).or(image.tag())).unwrap_or_default();
                let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
                let needs: Vec<String> = service.needs.iter().map(ToString::to_string).collect();
                rows.push(vec![
                    app.to_string(),
                    name.to_string(),
                    format!("{} {digest}", image.map_or("", |image| image.path())),
                    number(service.port.map(u32::from)),
                    number(service.replicas),
                    if needs.is_empty() { "-".to_owned() } else { needs.join(" ") },
                ]);
            }
        }
        if rows.len() == 1 { format!("{} declares nothing\n", self.environment) } else { table(&rows) }
    }
}
