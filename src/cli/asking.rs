//! `--draft`, `--reviewer`, `--label` and `--wait`: whether a proposal may be merged yet, whom it asks, what it is labelled with,
//! and what of it is waited for.

use super::context::Context;
use super::failure::Failure;
use super::forge::{Desk, headline};
use crate::forge::owners::{self, Owners};
use crate::forge::{self, PullRequest, Reviewer, asking, checks};
use crate::settings::ForgeKind;
use crate::task::blocking;
use crate::text::neutral_line;

/// How a pull request is proposed, and what is done to it once it is there.
#[derive(clap::Args, Clone, Default)]
pub struct Asking {
    /// As a draft: it is to be seen, and nobody merges it. The same command without it makes it ready
    #[arg(long)]
    draft: bool,
    /// Ask this person or team to look at it: ana, @acme/platform. Can be given several times
    #[arg(long = "reviewer", value_name = "WHO")]
    reviewers: Vec<String>,
    /// Label it. Can be given several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Wait until every check that the forge has of the proposed commit has passed, as long as --timeout says
    #[arg(long)]
    wait: bool,
}

impl Asking {
    /// Refuses what no forge takes, or this one, before anything is done.
    pub fn check(&self, cx: &Context) -> Result<(), Failure> {
        if self.wait && cx.settings.forge()?.kind == ForgeKind::Local {
            return Err(forge::Error::NoChecks.into());
        }
        if let Some(who) = self.reviewers.iter().find(|who| Reviewer::of(who).is_none()) {
            let shown = neutral_line(who, 80);
            return Err(Failure::usage(format!("--reviewer `{shown}` is nobody: ana, @acme/platform, ana@acme.test")));
        }
        if let Some(label) = self.labels.iter().find(|label| !forge::is_label(label)) {
            let shown = neutral_line(label, 80);
            return Err(Failure::usage(format!(
                "`{shown}` is no label: one line of at most 50 signs, without a comma"
            )));
        }
        Ok(())
    }

    /// Labels an open pull request, and asks for reviews: those who were named, and the owners of the files that it changes
    /// where the forge does not ask them by itself.
    pub async fn about(
        &self,
        cx: &Context,
        desk: &Desk,
        mut pull: PullRequest,
        files: Vec<String>,
    ) -> Result<PullRequest, Failure> {
        if self.labels.iter().any(|label| !pull.labels.contains(label)) {
            pull = desk.forge.label(pull.number, self.labels.clone()).await?;
        }
        let owners = {
            let (state, kind, base) = (desk.state.clone(), cx.settings.forge()?.kind, desk.head()?);
            let look = move || -> Result<Vec<String>, crate::git::Error> {
                for place in owners::places(kind) {
                    if let Some(text) = state.mirror().read(&base, place, owners::CAP)? {
                        let text = String::from_utf8_lossy(&text);
                        let known = Owners::parse(&text);
                        let mut owners: Vec<String> = files.iter().flat_map(|file| known.of(file)).collect();
                        owners.sort();
                        owners.dedup();
                        return Ok(owners);
                    }
                }
                Ok(Vec::new())
            };
            blocking(look).await?
        };
        let names: Vec<String> = self.reviewers.iter().cloned().chain(owners).collect();
        let outcome = asking::ask(&*desk.forge, &pull, &names).await;
        if !outcome.unasked.is_empty() {
            cx.observer.note(&format!("not asked to review: {}", neutral_line(&outcome.unasked.join(", "), 400)));
        }
        for name in outcome.asked {
            if !pull.reviewers.contains(&name) {
                pull.reviewers.push(name);
            }
        }
        Ok(pull)
    }

    /// Whether the pull request is to be a draft.
    pub fn draft(&self) -> bool {
        self.draft
    }

    /// Whether its checks are waited for.
    pub fn waits(&self) -> bool {
        self.wait
    }

    /// Waits for its checks; the pull request as it is then.
    pub async fn waited(&self, cx: &Context, desk: &Desk, pull: &PullRequest) -> Result<PullRequest, Failure> {
        // Whoever ends the wait knows where it is.
        cx.observer.note(&format!("proposed: {}", headline(pull)));
        checks::wait(&*desk.forge, pull, cx.timeout, &*cx.observer).await?;
        desk.again(cx, pull).await
    }
}
