//! What the containers of a sandbox really are, asked of the engine.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{try_join, try_join_all};

use crate::engine::{Container, Engine, ImageDefaults, Limits, label};
use crate::sandbox::data::Inventory;
use crate::sandbox::{Error, SandboxId, ServiceId, gate, with};

/// What a service's container really is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// `repository@digest` names of its image.
    pub repo_digests: Vec<String>,
    /// The id of its image.
    pub image_id: String,
    /// The platform of its image.
    pub platform: String,
    /// What its image says of containers that are told nothing else.
    pub image: ImageDefaults,
    /// The program that it runs.
    pub command: Vec<String>,
    /// Who it runs as; empty is the superuser.
    pub user: String,
    /// Its environment variables.
    pub env: BTreeMap<String, String>,
    /// Its published ports.
    pub ports: Vec<u16>,
    /// What it may take.
    pub limits: Limits,
    /// How many processors the engine can share out; none where it cannot limit them.
    pub processors: Option<u32>,
    /// Where something is mounted.
    pub mounts: BTreeSet<String>,
    /// Whether its image's files cannot be written to.
    pub read_only: bool,
    /// The hosts and ports outside that it reaches.
    pub reaches: BTreeSet<String>,
    /// Whether it reaches everything outside.
    pub open: bool,
    /// What is mixed in here.
    pub with: Option<String>,
    /// The digest of the seed files that filled its data.
    pub seed: Option<String>,
}

/// Looks at the services that run.
pub async fn observe(engine: &Engine, id: &SandboxId) -> Result<BTreeMap<ServiceId, Observed>, Error> {
    let own = [(label::SANDBOX, id.as_str())];
    let (containers, (volumes, networks)) =
        try_join(engine.containers(&own), try_join(engine.volumes(&own), engine.networks(&own))).await?;
    if containers.is_empty() {
        return Err(Error::NotUp { sandbox: id.to_string() });
    }
    let open = networks.iter().any(|(_, labels)| labels.get(label::EGRESS).is_some_and(|open| open == "true"));
    let data = Inventory::of(volumes).current(id);
    let running = containers.iter().filter(|container| container.running);
    // What has no service in it only carries data.
    let service = |container: &Container| container.labels.get(label::SERVICE)?.parse::<ServiceId>().ok();
    let services = running.filter_map(|container| Some((container, service(container)?)));
    let looks = services.map(|(container, service)| {
        let seed = data.iter().find(|data| data.service == service).and_then(|data| data.seed.clone());
        async move { Ok::<_, Error>((service, Observed { open, seed, ..observe_one(engine, container).await? })) }
    });
    Ok(try_join_all(looks).await?.into_iter().collect())
}

async fn observe_one(engine: &Engine, container: &Container) -> Result<Observed, Error> {
    let facts = engine.container_facts(&container.name).await?;
    let image = engine.image(&facts.image_id).await?;
    let (repo_digests, platform, image) =
        image.map(|image| (image.repo_digests, image.platform, image.defaults)).unwrap_or_default();
    Ok(Observed {
        repo_digests,
        image_id: facts.image_id,
        platform,
        image,
        command: facts.command,
        user: facts.user,
        env: facts.env,
        ports: facts.ports,
        limits: facts.limits,
        processors: engine.place().processors,
        mounts: facts.mounts,
        read_only: facts.read_only,
        reaches: gate::reached_by(container).map(str::to_owned).collect(),
        with: with::of_container(container).map(str::to_owned),
        open: false,
        seed: None,
    })
}
