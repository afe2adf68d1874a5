//! `onramp rehearse deploy`

use std::collections::BTreeMap;
use std::str::FromStr;

use super::report;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Verdict;
use crate::name::Name;
use crate::project::Lock;
use crate::reference::Digest;
use crate::release::rehearsal::{self, Inputs, Stage};
use crate::release::{self, deployment, provenance};
use crate::sandbox::{SandboxKey, beside, view};
use crate::task::blocking;

/// Play a deployment of this commit: the environment as it is now, the deployment while a probe watches, and the way back.
///
/// In a sandbox of its own, everything runs at the digests that the environment declares, on a clone of the seeded data. Then
/// the deployment is applied: `migrate` of each service that changes, its new image, until it is `ready`. The probe tells how
/// long nothing good was answered, and how many requests failed. At last the old digests come back, and the answers, and what
/// the `check` of each service prints, must be as before. Nothing is pushed or proposed.
#[derive(clap::Args)]
#[command(before_help = "Examples:
  onramp rehearse deploy production
  onramp rehearse deploy production --probe / --probe /search?q=pen
  onramp rehearse deploy production --image sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
  onramp rehearse deploy production --json
")]
pub struct Arguments {
    /// The environment, as state.toml names it
    environment: Name,
    /// Ask for this path of the service that changes, instead of the one that tells when it is ready. Can be given several times:
    /// they are asked for in turn
    #[arg(long, value_name = "PATH")]
    probe: Vec<ProbePath>,
    /// Deploy this digest of the declared repository, instead of building the commit
    #[arg(long, value_name = "DIGEST")]
    image: Option<Digest>,
}

/// A path that a request asks for.
#[derive(Clone)]
struct ProbePath(String);

impl FromStr for ProbePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.starts_with('/') && text.len() <= 2000 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err("a path begins with `/` and holds neither spaces nor controls")
        }
    }
}

impl Arguments {
    /// Plans the deployment as `deploy` does, plays it, reports.
    pub async fn run(self, cx: &Context) -> Result<Verdict, Failure> {
        let project = cx.project()?;
        let (worktree, source) = release::source(&project.root)?;
        let Some(state) = cx.state().await? else {
            cx.settings.state()?;
            return Err(Failure::usage("no state repository is set, so nothing says what the environment runs"));
        };
        let head = state.head()?;
        let app = &project.manifest.name;
        let environment = self.environment.clone();
        let declared = state.app(&head, &environment, app)?;
        let declared = declared.ok_or_else(|| release::Error::NothingToReplace { app: app.clone(), environment })?;
        let lock = Lock::load(&project.root)?;
        let rules = state.rules(&head)?;
        let mut deployment = deployment::plan(&deployment::Inputs {
            manifest: &project.manifest,
            lock: &lock,
            registry: cx.settings.registry()?,
            environment: &self.environment,
            source: &source,
            format: &rules.format,
            declared: Some(&declared),
            built: &provenance::built_from(&state, &head, app, &source)?,
        })?;
        if let Some(digest) = &self.image {
            deployment = deployment.given(digest)?;
        }
        let probe: Vec<String> = self.probe.into_iter().map(|ProbePath(path)| path).collect();
        let (cache, project_there, state_there) = (cx.paths.cache.clone(), project.clone(), state.clone());
        let written = blocking(move || {
            let mut contexts = BTreeMap::new();
            for build in &deployment.builds {
                let directory = project_there.root.join(&build.context);
                let context = rehearsal::context(&cache, &worktree, &deployment.source, &directory)?;
                contexts.insert(build.service.clone(), context);
            }
            rehearsal::script(&Inputs {
                project: &project_there,
                deployment: &deployment,
                declared: &declared,
                state: &state_there,
                commit: &head,
                contexts: &contexts,
                probe: &probe,
            })
        });
        let Some(script) = written.await? else {
            cx.report(&report::nothing(app, &self.environment));
            return Ok(Verdict::Ok);
        };
        if !cx.proceed(&script.played) {
            return Ok(Verdict::Ok);
        }
        for note in &script.played.notes {
            cx.observer.note(note);
        }
        let images = script.images(&lock)?;
        cx.signed(&images).await?;
        let engine = cx.engine().await?;
        cx.remember_more(&project.root, &images)?;
        cx.pull_missing(&engine, &images).await?;
        // What a killed one left.
        beside::sweep(&engine, &cx.paths.state, &view::id(&project)).await?;
        let kept = cx.paths.state.clone();
        let key = blocking(move || SandboxKey::open(&kept)).await?;
        let stage = Stage {
            engine: &engine,
            state: &cx.paths.state,
            lock: &lock,
            key: &key,
            limit: cx.timeout,
            observer: &cx.observer,
        };
        let rehearsed = stage.play(&script).await?;
        let passed = rehearsed.passed;
        cx.report(&report::rehearsed(script.played, rehearsed));
        Ok(if passed { Verdict::Ok } else { Verdict::Failed })
    }
}
