//! Sandboxes: my services from local code, and everything they need at the digests that an environment declares.
//!
//! [`closure`] finds what runs, [`plan`] compares that with what is there, [`up`] and [`down`] make it so, [`ready`]
//! probes, [`parity`] tells how far the result equals the environment, [`run`] runs tests in it or [`beside`] it, [`watch`]
//! follows the project's files.

pub mod background;
pub mod beside;
mod bring;
pub mod changed;
pub mod closure;
mod cluster;
pub mod copied;
pub mod data;
pub mod debug;
pub mod down;
mod fetch;
mod full;
pub mod gate;
mod given;
mod identity;
pub mod many;
pub mod mask;
mod migrate;
pub mod on;
pub mod owned;
pub mod parity;
pub mod plan;
pub mod ready;
pub mod reaper;
pub mod record;
pub mod relay;
pub mod room;
pub mod router;
pub mod run;
mod secret;
pub mod seed;
mod settle;
pub mod source;
pub mod status;
pub mod up;
pub mod view;
pub mod watch;
pub mod with;

pub use closure::{Member, ServiceId};
pub use given::Given;
pub use identity::{SandboxId, turn_on};
pub use on::On;
pub use plan::Plan;
pub use secret::{Files as SecretFiles, SandboxKey};
pub use settle::{finish, settle};
pub use view::View;

use crate::engine;
use crate::error::{Class, Fault};
use crate::files::FileError;

/// What can go wrong with a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Needs that lead back to where they began.
    #[error("services need each other in a circle: {}", circle.join(" → "))]
    NeedsLoop {
        /// The services on the circle, the first again at the end.
        circle: Vec<String>,
    },
    /// A need that nobody meets.
    #[error("{service} needs {needed}, which {environment} does not declare")]
    NeedsNobody {
        /// Who needs it.
        service: String,
        /// What is needed.
        needed: String,
        /// Where it was looked for.
        environment: String,
        /// What was probably meant.
        meant: Option<String>,
        /// Whether the app at least is known.
        app_known: bool,
    },
    /// An image is given, and no service could be meant, or several.
    #[error("whose image {image} is cannot be told: the services here are {}", list(services))]
    WhoseImage {
        /// The image.
        image: String,
        /// The project's own services.
        services: Vec<crate::name::Name>,
    },
    /// A project without services.
    #[error("{} has no [services], so there is nothing to run", path.display())]
    NoServices {
        /// Its manifest.
        path: std::path::PathBuf,
    },
    /// A service with neither code nor an image.
    #[error(
        "{service} has nothing to run: {environment} does not declare it, and onramp.toml gives no `build`, `image` or `fallback`"
    )]
    NothingToRun {
        /// The service.
        service: String,
        /// The environment.
        environment: String,
    },
    /// An image reference that the lock does not pin.
    #[error("{image} is not in onramp.lock")]
    NotLocked {
        /// The reference.
        image: String,
    },
    /// A service under development without a Dockerfile.
    #[error("{service} has no Dockerfile: {} is missing", path.display())]
    NoDockerfile {
        /// The service.
        service: String,
        /// Where it should be.
        path: std::path::PathBuf,
    },
    /// A service ended while it was waited for.
    #[error("{service} ended with exit code {exit_code} before it was ready")]
    Ended {
        /// The service.
        service: String,
        /// Its exit code.
        exit_code: i64,
        /// Its last lines.
        log: Vec<String>,
    },
    /// A service did not become ready in time.
    #[error("{service} was not ready after {seconds} s{}", if last.is_empty() { String::new() } else { format!(": {last}") })]
    NotReady {
        /// The service.
        service: String,
        /// How long was waited.
        seconds: u64,
        /// What the last probe saw.
        last: String,
        /// Its last lines.
        log: Vec<String>,
    },
    /// There is no sandbox to look at.
    #[error("sandbox {sandbox} is not up")]
    NotUp {
        /// The sandbox.
        sandbox: String,
    },
    /// There is no such service in it.
    #[error("sandbox {sandbox} has no service {service}")]
    NoService {
        /// The sandbox.
        sandbox: String,
        /// The service that was asked for.
        service: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// There is no such snapshot.
    #[error("{project} has no snapshot {snapshot}")]
    NoSnapshot {
        /// The project.
        project: String,
        /// The snapshot that was asked for.
        snapshot: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// A snapshot of that name is there already.
    #[error("{project} has a snapshot {snapshot} already")]
    SnapshotThere {
        /// The project.
        project: String,
        /// The snapshot.
        snapshot: String,
    },
    /// A snapshot of services that the sandbox does not have.
    #[error("snapshot {snapshot} holds the data of {}, which this project does not run", services.join(", "))]
    NotOurs {
        /// The snapshot.
        snapshot: String,
        /// Those of its services that are not in the sandbox.
        services: Vec<String>,
    },
    /// A service was ended by force, so that what it held may be torn.
    #[error(
        "{container} was ended by force, at once or after {seconds} s, so its data may not be whole and is not saved"
    )]
    NotWhole {
        /// The container.
        container: String,
        /// How long it had.
        seconds: u8,
    },
    /// An engine whose sandboxes may be other people's.
    #[error(
        "the engine at {host} is not on this machine, so which sandboxes have lost their directories cannot be told"
    )]
    Elsewhere {
        /// Its address.
        host: String,
    },
    /// A way out for some, on an engine whose networks this machine has no part in.
    #[error("the engine at {host} is not on this machine, so its services cannot reach what their `egress` names")]
    NoGateElsewhere {
        /// Its address.
        host: String,
    },
    /// Secrets as files, on an engine that would write them to a disk.
    #[error(
        "the engine at {host} cannot put files into memory before a container runs, so it takes no secret as a file"
    )]
    NoSecretFiles {
        /// Its address.
        host: String,
    },
    /// Ports on the loopback of a machine that nothing of this one leads to.
    #[error("the engine at {host} publishes the port of {service} where this machine does not reach it")]
    OutOfReach {
        /// Its address.
        host: String,
        /// A service with a port.
        service: String,
    },
    /// A sandbox is to run on a swarm, and the engine is in none.
    #[error("the engine at {host} is in no swarm, so nothing but itself can run the sandbox")]
    NoSwarm {
        /// Its address.
        host: String,
    },
    /// A sandbox is to run on a swarm, and the engine only runs what others decide.
    #[error("the engine at {host} is a worker of its swarm: only a manager takes services")]
    NoManager {
        /// Its address.
        host: String,
        /// A manager's address, as far as the engine knows.
        manager: Option<String>,
    },
    /// What a swarm cannot do.
    #[error("on a swarm {what}")]
    NotOnSwarm {
        /// What.
        what: String,
    },
    /// What leads to a swarm's services could not be made.
    #[error("nothing can lead from here to what a swarm runs: {why}")]
    NoRelay {
        /// Why.
        why: String,
    },
    /// The way out could not be made.
    #[error(
        "the gate of sandbox {sandbox}, through which its services reach what their `egress` names, did not start: {why}"
    )]
    NoGate {
        /// The sandbox.
        sandbox: String,
        /// What it said.
        why: String,
    },
    /// What sends names on could not be started.
    #[error("the router, by which services are reached by name, did not start: {why}")]
    NoRouter {
        /// What it said.
        why: String,
    },
    /// The authority for the certificates of names cannot be used.
    #[error(transparent)]
    Authority(#[from] router::AuthorityError),
    /// No image is there through which data could be read.
    #[error("the engine has no image at all, through which the data of sandbox {sandbox} could be read")]
    NoImages {
        /// The sandbox.
        sandbox: String,
    },
    /// Nothing is there to be saved.
    #[error("sandbox {sandbox} has no data")]
    NoData {
        /// The sandbox.
        sandbox: String,
    },
    /// A packed seed file that cannot be unpacked.
    #[error("{} cannot be unpacked: {why}", path.display())]
    SeedBroken {
        /// The file.
        path: std::path::PathBuf,
        /// What packs such files.
        tool: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A directory of seeds with none, or too many.
    #[error("{} holds {}", path.display(), if *count == 0 { "no seed files".to_owned() } else { format!("{count} seed files, more than {most}") })]
    SeedDirectory {
        /// The directory.
        path: std::path::PathBuf,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A seed command that did not do it.
    #[error("the seed command of {service} failed: {how}")]
    SeedFailed {
        /// The service.
        service: String,
        /// Its exit code, or that it never ended.
        how: String,
        /// Its last lines.
        log: Vec<String>,
    },
    /// A migration that did not do it.
    #[error("the migration of {service} failed: {how}")]
    MigrationFailed {
        /// The service.
        service: String,
        /// Its exit code, or that it never ended.
        how: String,
        /// Its last lines.
        log: Vec<String>,
    },
    /// A service could not go on because the engine's disk is full.
    #[error("the engine's disk is full: {cause}")]
    Full {
        /// How it failed.
        cause: Box<Error>,
        /// Where the engine keeps images and data; none where that is not on this machine.
        root: Option<std::path::PathBuf>,
    },
    /// Something stands where a test's artifacts would go, and no test left it there.
    #[error("{} is in the way of a test's artifacts, and no test left it there", path.display())]
    Somebodys {
        /// What.
        path: std::path::PathBuf,
        /// Where the artifacts would go.
        place: std::path::PathBuf,
    },
    /// Somebody else is at work on the sandbox.
    #[error(transparent)]
    Turn(#[from] crate::turn::Error),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A dump could not be masked.
    #[error(transparent)]
    Mask(#[from] mask::Error),
    /// What was to be mixed in could not be.
    #[error(transparent)]
    With(#[from] with::Error),
    /// The state repository could not be read.
    #[error(transparent)]
    State(#[from] crate::state::Error),
}

fn list(services: &[crate::name::Name]) -> String {
    let names: Vec<&str> = services.iter().map(crate::name::Name::as_str).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

impl Fault for Error {
    fn class(&self) -> Class {
        match self {
            Self::NeedsLoop { .. }
            | Self::NoServices { .. }
            | Self::NeedsNobody { .. }
            | Self::NothingToRun { .. }
            | Self::NotLocked { .. }
            | Self::SeedBroken { .. }
            | Self::SeedDirectory { .. }
            | Self::NoDockerfile { .. } => Class::Config,
            Self::Ended { .. }
            | Self::NotReady { .. }
            | Self::NotWhole { .. }
            | Self::SeedFailed { .. }
            | Self::MigrationFailed { .. } => Class::Failed,
            Self::NotUp { .. }
            | Self::WhoseImage { .. }
            | Self::NoService { .. }
            | Self::NoSnapshot { .. }
            | Self::NotOurs { .. }
            | Self::Elsewhere { .. }
            | Self::NoData { .. } => Class::Usage,
            Self::SnapshotThere { .. } | Self::Somebodys { .. } => Class::Conflict,
            Self::NoImages { .. }
            | Self::NoGate { .. }
            | Self::NoGateElsewhere { .. }
            | Self::NoSecretFiles { .. }
            | Self::OutOfReach { .. }
            | Self::NoSwarm { .. }
            | Self::NoManager { .. }
            | Self::NotOnSwarm { .. }
            | Self::NoRelay { .. }
            | Self::NoRouter { .. } => Class::Env,
            Self::Full { .. } => Class::Io,
            Self::Authority(error) => error.class(),
            Self::Turn(error) => error.class(),
            Self::Engine(error) => error.class(),
            Self::File(error) => error.class(),
            Self::Mask(error) => error.class(),
            Self::With(error) => error.class(),
            Self::State(error) => error.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::WhoseImage { .. } => Some("SERVICE=IMAGE says whose it is".to_owned()),
            Self::NeedsNobody { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            Self::NeedsNobody { app_known: false, .. } => Some("no app of that name is in that environment".into()),
            Self::Ended { log, .. }
            | Self::NotReady { log, .. }
            | Self::SeedFailed { log, .. }
            | Self::MigrationFailed { log, .. } => Some(match log.as_slice() {
                [] => "it said nothing".into(),
                log => format!("its last lines:\n{}", log.join("\n")),
            }),
            Self::NoSnapshot { known, .. } if known.is_empty() => Some("it has none".into()),
            Self::Full { cause, root } => {
                let place = root.as_ref().map_or(String::new(), |root| format!(" in {}", root.display()));
                let said = cause.hint().unwrap_or_default();
                Some(format!("it keeps images and data{place}; once there is room, `onramp up` goes on\n{said}"))
            }
            Self::NoService { known, .. } | Self::NoSnapshot { known, .. } => {
                Some(format!("it has: {}", known.join(", ")))
            }
            Self::Somebodys { place, .. } => Some(format!(
                "onramp replaces only what it wrote: move {} away, or name another directory",
                place.display()
            )),
            Self::NoGateElsewhere { .. } => Some(
                "use an engine on this machine that is not rootless, or `egress = []` in onramp.toml to do without"
                    .into(),
            ),
            Self::NoSecretFiles { .. } => Some("leave `file = true` out, and the secret is a variable".into()),
            Self::OutOfReach { host, .. } if host.starts_with("tcp://") => {
                Some("ssh:// brings the ports here; nothing listens beyond loopback, there either".into())
            }
            Self::OutOfReach { .. } => Some(
                "its closed networks publish no ports: use an engine with root on this machine, or `[sandbox] egress = true`".into(),
            ),
            Self::NoSwarm { .. } => {
                Some("`docker swarm init` makes one of this engine alone; `docker swarm join` adds it to one that is there".into())
            }
            Self::NoManager { .. } => Some("speak to a manager: DOCKER_HOST, or a docker context".into()),
            Self::NotOnSwarm { .. } => Some("the engine itself can; `up --on engine` brings the sandbox back to it".into()),
            Self::NoRelay { .. } => Some("relays are this onramp itself, in a container".into()),
            Self::NoGate { .. } => Some("another program may listen there".into()),
            Self::NoRouter { .. } => Some(
                "the services are up; `[hostnames] port` of your settings or ONRAMP_HOSTNAMES_PORT names a port".into(),
            ),
            Self::Authority(error) => error.hint(),
            Self::Turn(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Mask(error) => error.hint(),
            Self::With(error) => error.hint(),
            Self::State(error) => error.hint(),
            _ => None,
        }
    }

    fn next(&self) -> Vec<String> {
        match self {
            Self::Full { .. } => engine::ROOM.map(str::to_owned).to_vec(),
            Self::NoGate { .. } => vec![format!("ss -ltnp 'sport = :{}'", gate::PORT)],
            Self::NoSwarm { .. } => vec!["docker swarm init".into()],
            Self::NoManager { manager, .. } => {
                let machine = manager.as_deref().and_then(|address| address.rsplit_once(':')).map(|(name, _)| name);
                vec![format!("DOCKER_HOST=ssh://{} onramp up --on swarm", machine.unwrap_or("MANAGER"))]
            }
            Self::NotOnSwarm { .. } | Self::NoRelay { .. } => vec!["onramp up --on engine".into()],
            Self::NotLocked { .. } => vec!["onramp image pull".into()],
            Self::NotReady { service, .. } | Self::Ended { service, .. } => vec![format!("onramp logs {service}")],
            Self::NotOurs { .. } | Self::NoSnapshot { .. } => vec!["onramp snapshot list".into()],
            Self::Elsewhere { .. } => vec!["onramp list".into()],
            Self::OutOfReach { host, .. } => host.strip_prefix("tcp://").map_or_else(Vec::new, |machine| {
                let machine = machine.rsplit_once(':').map_or(machine, |(name, _)| name);
                vec![format!("DOCKER_HOST=ssh://{machine} onramp up")]
            }),
            Self::NotUp { .. } | Self::NoData { .. } | Self::NoImages { .. } | Self::NotWhole { .. } => {
                vec!["onramp up".into()]
            }
            Self::SeedBroken { path, tool, .. } => vec![format!("{tool} -t {}", path.display())],
            Self::SeedFailed { .. } | Self::MigrationFailed { .. } | Self::NoRouter { .. } => vec!["onramp up".into()],
            Self::Somebodys { .. } => vec!["onramp test --artifacts DIR".into()],
            Self::SnapshotThere { snapshot, .. } => vec![format!("onramp snapshot rm {snapshot}")],
            Self::Authority(error) => error.next(),
            Self::Engine(error) => error.next(),
            Self::File(error) => error.next(),
            Self::State(error) => error.next(),
            Self::With(error) => error.next(),
            _ => Vec::new(),
        }
    }
}
