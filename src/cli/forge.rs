//! The state repository, fresh, and the forge that its changes are proposed on: what deploying and merging begin with.

use std::fmt::Write;

use super::context::Context;
use super::failure::Failure;
use crate::forge::{self, Forge, PullRequest, Standing};
use crate::git::{Commit, Identity, RepoUrl};
use crate::project::service::is_secret_name;
use crate::registry::Access;
use crate::release::leak::Secret;
use crate::release::proposal::Place;
use crate::release::{Gate, gate};
use crate::state::State;
use crate::task::blocking;
use crate::text::neutral_line;

/// The state repository and its forge.
pub struct Desk {
    /// The state repository, as it is now.
    pub state: State,
    /// Where its changes are proposed.
    pub forge: Box<dyn Forge>,
    /// Who we are to git.
    pub me: Identity,
    /// How registries are spoken to, for what policy asks of images.
    pub registries: Access,
    /// What is never sent: the values of this process's variables that look secret.
    secrets: Vec<Secret>,
}

impl Desk {
    /// Fetches the state repository and connects to its forge.
    pub async fn open(cx: &Context) -> Result<Self, Failure> {
        let url: RepoUrl = cx.settings.state()?.parse()?;
        let setting = cx.settings.forge()?;
        let me = Identity::find(&cx.dir)?;
        let state = State::open(&cx.paths.cache, url, forge::wanted(setting.kind));
        let (fetched, offline) = (state.clone(), cx.offline);
        cx.waiting("fetch the state repository", blocking(move || fetched.refresh(offline))).await?;
        let variable = |name: &str| std::env::var(name).ok();
        let forge = forge::connect(setting, state.mirror(), &me, cx.offline, cx.timeout, &variable).await?;
        let secrets = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some(Secret { name: name.into_string().ok()?, value: value.into_string().ok()? })
            })
            .filter(|secret| is_secret_name(&secret.name))
            .collect();
        Ok(Self { state, forge, me, registries: cx.registries.clone(), secrets })
    }

    /// The commit that the default branch of the state repository stands on.
    pub fn head(&self) -> Result<Commit, Failure> {
        Ok(self.state.head()?)
    }

    /// A pull request that is still open.
    pub async fn open_pull(&self, number: u64) -> Result<PullRequest, Failure> {
        let pull = self.forge.get(number).await?;
        match pull.state {
            Standing::Open => Ok(pull),
            state => Err(forge::Error::NotOpen { number, state }.into()),
        }
    }

    /// Where changes are proposed.
    pub fn place(&self) -> Place<'_> {
        let Self { state, forge, me, registries, secrets } = self;
        Place { state, forge: &**forge, registries, me, secrets }
    }

    /// The state repository and a pull request as they are by now: others merge and approve while one waits. A pull request
    /// that proposes something else by now is a conflict.
    pub async fn again(&self, cx: &Context, pull: &PullRequest) -> Result<PullRequest, Failure> {
        let (state, offline) = (self.state.clone(), cx.offline);
        cx.waiting("fetch the state repository", blocking(move || state.refresh(offline))).await?;
        let now = self.forge.get(pull.number).await?;
        if now.head_commit != pull.head_commit {
            let detail = format!("it proposes {} now, not {}", now.head_commit.short(), pull.head_commit.short());
            return Err(forge::Error::Moved { number: pull.number, detail }.into());
        }
        Ok(now)
    }

    /// Holds a pull request against the policy of its base branch.
    pub async fn examine(&self, pull: &PullRequest) -> Result<Gate, Failure> {
        Ok(gate::examine(&self.state, &self.me, pull, &self.registries, jiff::Timestamp::now()).await?)
    }
}

/// A pull request in one line.
pub fn headline(pull: &PullRequest) -> String {
    let standing = if pull.draft && pull.state == Standing::Open { "draft" } else { pull.state.as_str() };
    format!("#{} {} ({standing})", pull.number, neutral_line(&pull.title, 120))
}

/// What a pull request lacks, one line each, with the commands that would satisfy it.
pub fn missing(number: u64, gate: &Gate) -> String {
    let mut text = String::new();
    for unmet in gate.findings.iter().flat_map(|finding| &finding.unmet) {
        let _ = writeln!(text, "  missing: {}", crate::text::neutral(&unmet.message));
    }
    for command in gate::commands(number, &gate.findings) {
        let _ = writeln!(text, "  next:    {command}");
    }
    text
}
