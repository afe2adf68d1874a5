//! `--with` of `onramp up`, `test` and `watch`.

use super::context::Context;
use super::failure::Failure;
use crate::forge;
use crate::git::Identity;
use crate::name::Name;
use crate::sandbox::with::{Error, Mix, Sources, What, With};
use crate::task::blocking;

/// What of other apps is mixed in.
#[derive(clap::Args, Clone, Default)]
pub struct Mixing {
    /// Run this of another app, instead of what the environment declares: a pull request of the state repository (auth=pr:12),
    /// a branch (auth=branch:NAME), a digest (auth=sha256:…), an image or a directory (auth=../auth). Can be given several times
    #[arg(long = "with", value_name = "APP=WHAT")]
    with: Vec<String>,
}

impl Mixing {
    /// Finds out what it means. Nothing is asked where nothing is mixed in.
    pub async fn find(&self, cx: &Context, environment: &Name) -> Result<Mix, Failure> {
        let asked = self.with.iter().map(|text| text.parse()).collect::<Result<Vec<With>, Error>>()?;
        let Some(first) = asked.first() else { return Ok(Mix::default()) };
        let project = cx.project()?;
        let Some(state) = cx.state().await? else { return Err(Error::NoState { app: first.app.clone() }.into()) };
        let forge = if asked.iter().any(|with| matches!(with.what, What::Pull(_))) {
            let me = Identity::find(&cx.dir)?;
            let variable = |name: &str| std::env::var(name).ok();
            let setting = cx.settings.forge()?;
            Some(forge::connect(setting, state.mirror(), &me, cx.offline, cx.timeout, &variable).await?)
        } else {
            None
        };
        let (read, environment) = (state.clone(), environment.clone());
        let (commit, environment) = blocking(move || -> Result<_, Failure> {
            let commit = read.head()?;
            read.rules(&commit)?.environment(&environment)?;
            Ok((commit, environment))
        })
        .await?;
        let sources = Sources {
            state: &state,
            commit: &commit,
            environment: &environment,
            own: &project.manifest.name,
            forge: forge.as_deref(),
            registries: (!cx.offline).then_some(&cx.registries),
            cache: &cx.paths.cache,
            here: &cx.dir,
        };
        Ok(cx.waiting("find out what is mixed in", sources.mix(&asked)).await?)
    }
}
