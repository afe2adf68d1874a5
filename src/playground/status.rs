//! What there is of a playground.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::{Error, Playground, company};
use crate::engine::{Engine, label};
use crate::git::{Mirror, Wanted};
use crate::images::build::{self, definition};
use crate::registry::Registry;
use crate::state::State;

/// All of a playground.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Whether every part is there and answers.
    pub whole: bool,
    /// Its directory.
    pub home: PathBuf,
    /// Its registry.
    pub registry: RegistryStatus,
    /// The base images it should have.
    pub images: Vec<ImageStatus>,
    /// The repositories of the apps in its registry, `apps/shop`: the company's own and what was deployed since.
    pub apps: Vec<String>,
    /// Its catalog.
    pub catalog: Repository,
    /// Its state repository.
    pub state: Repository,
    /// Everything on the engine that carries its label.
    pub containers: Vec<String>,
    /// Volumes that carry its label.
    pub volumes: Vec<String>,
}

/// The registry.
#[derive(Clone, Debug, Serialize)]
pub struct RegistryStatus {
    /// `127.0.0.1:5000`.
    pub address: String,
    /// Whether it answers.
    pub answers: bool,
}

/// A base image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageStatus {
    /// Its reference in the registry.
    pub image: String,
    /// Its digest there; none where it is missing or of another definition.
    pub digest: Option<String>,
}

/// A repository.
#[derive(Clone, Debug, Serialize)]
pub struct Repository {
    /// Where it is.
    pub path: PathBuf,
    /// Its commit; none where it is missing or broken.
    pub commit: Option<String>,
    /// What it holds: released blocks, or `environment/app`.
    pub holds: Vec<String>,
}

/// Looks at every part.
pub async fn look(engine: &Engine, playground: &Playground) -> Result<Status, Error> {
    let own = [(label::PLAYGROUND, playground.id.as_str())];
    let containers: Vec<String> = engine.containers(&own).await?.into_iter().map(|c| c.name).collect();
    let volumes = engine.volumes(&own).await?.into_iter().map(|volume| volume.name).collect();
    let registry = Registry::new(&playground.registry(), None, std::time::Duration::from_secs(2))?;
    let answers = registry.ping().await.is_ok();
    let mut base = Vec::new();
    let definitions = definition::built_in(company::template("images")?)?;
    let published = if answers { build::published(&registry, &definitions).await? } else { BTreeMap::new() };
    for definition in &definitions {
        let digest = published.get(&definition.name).map(ToString::to_string);
        base.push(ImageStatus { image: build::place(&playground.registry(), definition).to_string(), digest });
    }
    let apps = if answers { registry.repositories("apps/").await? } else { Vec::new() };
    let (catalog, state) = (catalog(playground), state(playground));
    let whole = answers
        && base.iter().all(|image| image.digest.is_some())
        && !apps.is_empty()
        && catalog.commit.is_some()
        && state.commit.is_some();
    let registry = RegistryStatus { address: playground.registry(), answers };
    Ok(Status {
        whole,
        home: playground.home.clone(),
        registry,
        images: base,
        apps,
        catalog,
        state,
        containers,
        volumes,
    })
}

fn catalog(playground: &Playground) -> Repository {
    let path = playground.catalog();
    let look = || -> Result<(String, Vec<String>), Error> {
        let url = path.display().to_string().parse()?;
        let mirror = Mirror::new(&playground.home.join("cache"), url, Wanted::Branches);
        mirror.fetch()?;
        let tags = mirror.refs("refs/tags/")?.into_keys();
        Ok((mirror.head()?.to_string(), tags.map(|tag| tag.trim_start_matches("refs/tags/").to_owned()).collect()))
    };
    repository(look(), path.clone())
}

fn state(playground: &Playground) -> Repository {
    let path = playground.state();
    let look = || -> Result<(String, Vec<String>), Error> {
        let url = path.display().to_string().parse()?;
        let state = State::open(&playground.home.join("cache"), url, Wanted::Branches);
        state.refresh(false)?;
        let head = state.head()?;
        let mut holds = Vec::new();
        for environment in state.rules(&head)?.environments {
            let apps = state.apps(&head, &environment.name)?;
            holds.extend(apps.iter().map(|app| format!("{}/{app}", environment.name)));
        }
        Ok((head.to_string(), holds))
    };
    repository(look(), path.clone())
}

/// A repository that cannot be read is shown as one without a commit; `playground up` says why.
fn repository(found: Result<(String, Vec<String>), Error>, path: PathBuf) -> Repository {
    let (commit, holds) = found.map(|(commit, holds)| (Some(commit), holds)).unwrap_or_default();
    Repository { path, commit, holds }
}
