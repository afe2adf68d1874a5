//! Making the playground whole: what is there and right stays, what is missing or broken is made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::company::{self, Released};
use super::{Error, Playground};
use crate::blocks;
use crate::blocks::facts::{Facts, Operation};
use crate::blocks::{Creation, Layer};
use crate::engine::{Backing, ContainerSpec, Engine, Mount, PortBinding, Ports, Source, VolumeSpec, label};
use crate::event::Observer;
use crate::git::{self, RefUpdate, Wanted};
use crate::images::build::definition::{self, Definition};
use crate::images::build::{Origin, Target, Workshop};
use crate::reference::ImageRef;
use crate::registry::Registry;
use crate::state::State;
use crate::state::edit::Edit;
use crate::template::resolve::Sources;
use crate::tree::Tree;

/// The version under which the company's own apps were released first.
const RELEASE: &str = "1.0.0";
/// What images are called in the engine before a registry has them.
pub(super) const PREFIX: &str = "onramp-playground";
/// How long the registry may take to answer.
const REGISTRY_LIMIT: Duration = Duration::from_secs(30);

/// What `playground up` will do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The playground.
    pub playground: Playground,
    /// Images to build.
    pub build: Vec<String>,
    /// Whether the registry's container must be made or started.
    pub start_registry: bool,
    /// Repositories to make.
    pub repositories: Vec<String>,
}

/// What there is after `playground up`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The playground.
    pub playground: Playground,
    /// The images in its registry, by digest.
    pub images: Vec<ImageRef>,
    /// The released blocks: `php-web 1.0.0`.
    pub blocks: Vec<String>,
}

/// Compares what should be there with what is.
pub async fn plan(engine: &Engine, playground: &Playground) -> Result<Plan, Error> {
    if engine.place().ports != Ports::Here {
        return Err(Error::Elsewhere { host: engine.host().to_owned() });
    }
    let mut build = Vec::new();
    for definition in definition::built_in(company::template("images")?)? {
        if engine.image(&local_name(&definition)).await?.is_none() {
            build.push(definition.place());
        }
    }
    let containers = engine.containers(&[(label::PLAYGROUND, playground.id.as_str())]).await?;
    let start_registry = !containers.iter().any(|container| container.running);
    let missing = |path: &Path| (!path.exists()).then(|| path.display().to_string());
    let repositories = [playground.catalog(), playground.state()].iter().filter_map(|path| missing(path)).collect();
    Ok(Plan { playground: playground.clone(), build, start_registry, repositories })
}

/// Makes it so.
pub async fn apply(engine: &Engine, plan: &Plan, observer: &Arc<dyn Observer>) -> Result<Report, Error> {
    let playground = &plan.playground;
    playground.remember()?;
    let mut all = definition::built_in(company::template("images")?)?;
    let workshop = Workshop { engine, prefix: PREFIX, home: &playground.home, anew: false, records: None, observer };
    // Where there is no registry yet its image can only be built.
    let first = definition::choose(all.clone(), &["registry".to_owned()])?;
    workshop.build(&first).await?;
    let missing = |name: &str| Error::Template { what: name.to_owned(), why: "no such image".to_owned() };
    let image = first.last().ok_or_else(|| missing("registry"))?;
    let registry = start_registry(engine, playground, image).await?;

    let php = all.iter().find(|definition| definition.name.as_str() == "php-apache");
    let php = php.ok_or_else(|| missing("php-apache"))?;
    let app = |name: &str, files| Definition::of_app(name.parse().expect("a name"), RELEASE, files, php);
    let apps =
        [app("auth", definition::contents(company::template("apps/auth")?)), app("shop", shop_sources(playground)?)];
    all.extend(apps);
    let (origin, replace) = (Origin::default(), BTreeSet::new());
    let target =
        Target { registry: &registry, credentials: None, origin, policy: None, replace: &replace, reader: None };
    let published = workshop.publish(&target, &all).await?;
    let published: Vec<ImageRef> = published.into_iter().map(|made| made.image.at(made.digest)).collect();
    let find = |path: &str| published.iter().find(|image| image.path() == path).cloned().ok_or_else(|| missing(path));
    let released = Released { shop: find("apps/shop")?, auth: find("apps/auth")?, mariadb: find("base/mariadb")? };

    let blocks = publish_catalog(playground)?;
    if playground.state().exists() {
        heal_state(playground, &registry, &published, observer).await?;
    } else {
        let (files, author) = (company::state(&released), company::platform_team());
        git::bare::publish(&playground.state(), &files, "Declare what every environment runs", &author)?;
    }
    Ok(Report { playground: playground.clone(), images: published, blocks })
}

/// What a playground's images are called in the engine: by their content, and shared by every playground on it.
fn local_name(definition: &Definition) -> String {
    format!("{PREFIX}/{}:{}", definition.name, &definition.key.hex()[..16])
}

/// The registry's container, running and answering.
async fn start_registry(engine: &Engine, playground: &Playground, image: &Definition) -> Result<Registry, Error> {
    let name = playground.registry_container();
    let labels = [(label::PLAYGROUND.to_owned(), playground.id.clone())];
    let spec = ContainerSpec {
        name: name.clone(),
        image: local_name(image),
        labels: labels.clone().into(),
        network: "bridge".to_owned(),
        egress: true,
        port: Some(PortBinding { container: 5000, host: Some(playground.port) }),
        mounts: vec![Mount { target: "/var/lib/registry".to_owned(), source: Source::Volume(name.clone()) }],
        restart: true,
        ..ContainerSpec::default()
    };
    let existing = engine.containers(&[(label::PLAYGROUND, playground.id.as_str())]).await?;
    let same = existing.iter().find(|container| container.labels.get(label::SPEC) == Some(&spec.digest().to_string()));
    match same {
        Some(container) if container.running => {}
        Some(container) => engine.start_container(&container.name).await?,
        None => {
            engine.remove_container(&name).await?;
            let (volume, labels) = (Some(name.clone()), labels.to_vec());
            engine.create_volume(&VolumeSpec { name: volume, labels, backing: Backing::Own }).await?;
            engine.create_container(&spec).await?;
            engine.start_container(&name).await?;
        }
    }
    let registry = Registry::new(&playground.registry(), None, Duration::from_secs(10))?;
    let answered = async {
        while registry.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(REGISTRY_LIMIT, answered).await.is_err() {
        let log = engine.last_words(&name, 20).await;
        return Err(Error::RegistrySilent { address: playground.registry(), log });
    }
    Ok(registry)
}

/// The catalog as this binary has it, with a tag for each block's version; the blocks.
fn publish_catalog(playground: &Playground) -> Result<Vec<String>, Error> {
    let path = playground.catalog();
    let author = company::platform_team();
    let commit = git::bare::publish(&path, &company::catalog(playground)?, "The catalog that onramp brings", &author)?;
    let mut released = Vec::new();
    for block in blocks::builtin::blocks()? {
        git::bare::tag(&path, &format!("{}/v{}", block.name, block.version), &commit)?;
        released.push(format!("{} {}", block.name, block.version));
    }
    Ok(released)
}

/// Declared images that the registry has lost are declared anew, as they were built anew; all else stays as people left it.
async fn heal_state(
    playground: &Playground,
    registry: &Registry,
    published: &[ImageRef],
    observer: &Arc<dyn Observer>,
) -> Result<(), Error> {
    let url = playground.state().display().to_string().parse()?;
    let state = State::open(&playground.home.join("cache"), url, Wanted::Branches);
    state.refresh(false)?;
    let head = state.head()?;
    let mut changes: Vec<git::Change> = Vec::new();
    let rules = state.rules(&head)?;
    for environment in rules.environments {
        for (app, declared) in state.everything(&head, &environment.name)? {
            let mut edits = BTreeMap::new();
            for (service, definition) in &declared.services {
                let Some(image) = &definition.image else { continue };
                if image.registry() != playground.registry() || registry.find(image).await?.is_some() {
                    continue;
                }
                if let Some(instead) = published.iter().find(|made| made.path() == image.path()) {
                    edits.insert(service.clone(), Edit::Image(instead.clone()));
                }
            }
            if !edits.is_empty() {
                let text = rules.format.edit(&environment.name, &app, Some(&declared.text), &edits)?;
                changes.push((declared.path, Some(text.into_bytes())));
            }
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    observer.note("images that the environments declared were lost; they were built anew and are declared anew");
    let message = "Declare images that were built anew\n\nThe registry had lost the former ones.";
    let commit = state.mirror().commit(std::slice::from_ref(&head), &changes, message, &company::platform_team())?;
    let update = RefUpdate { name: "refs/heads/main".to_owned(), expected: Some(head), target: Some(commit) };
    Ok(state.mirror().push(&[update])?)
}

/// What `onramp new php-web shop --defaults` would make: the company's shop is made from its own block.
fn shop_sources(playground: &Playground) -> Result<Tree, Error> {
    let name = "php-web".parse().expect("a name");
    let block = blocks::builtin::block(&name, &blocks::builtin::read(&name)?.version)?;
    let facts = Facts {
        project: "shop".to_owned(),
        company: "Acme".to_owned(),
        registry: playground.registry(),
        folder: "shop".to_owned(),
        ..Facts::default()
    };
    let layer = Layer::make(&block, &facts, Operation::Copy, &Sources::default(), None)?;
    Ok(Creation::plan(&block, &layer, &[])?.files)
}
