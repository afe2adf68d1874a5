//! The gate: the process through which services reach the hosts and ports of their `egress`, and no others. It listens on the
//! machine's own address of the sandbox's network, and ends with that network.
//!
//! [`serve`] takes connections, [`request`] reads what is asked for, [`reach`] decides and connects, [`machine`] knows what is
//! this machine's own. Decision 22 tells why it is so.

mod machine;
mod reach;
mod request;
mod serve;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::background::{self, READY};
use super::identity::network_of;
use super::reaper::Process;
use super::{Error, SandboxId, ServiceId};
use crate::engine::{Container, Engine, Gateway, label};
use crate::files::{self, FileError};

/// The port that a gate listens on. A sandbox has an address of its own, so that one number will do.
pub const PORT: u16 = 10_231;
/// The name that a container knows its gate by.
pub const NAME: &str = "gate.onramp.internal";
/// The largest memory of a gate, in bytes.
const CAP: u64 = 4096;

/// The variables by which programs find their proxy, and the names that they find without it. curl reads `http_proxy` in small
/// letters alone, others the capitals.
pub const VARIABLES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

/// What those variables are in a sandbox of these services.
pub fn variables<'a>(services: impl Iterator<Item = &'a ServiceId>) -> impl Iterator<Item = (&'static str, String)> {
    // A name stands for all that ends with it, too: `auth` for `api.auth`.
    let names = services.flat_map(|id| [id.service.to_string(), id.app.to_string()]).collect::<BTreeSet<_>>();
    let here = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let direct = here.into_iter().chain(names).collect::<Vec<_>>().join(",");
    let proxy = format!("http://{NAME}:{PORT}");
    VARIABLES.into_iter().map(move |name| {
        let value = if name.eq_ignore_ascii_case("NO_PROXY") { &direct } else { &proxy };
        (name, value.clone())
    })
}

/// A gate that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    process: Process,
    /// The id of the network that it ends with.
    network: String,
    /// Where it listens.
    address: SocketAddr,
    /// The onramp that it is.
    version: String,
}

/// How a sandbox's gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Where it listens; none where it has ended.
    pub listens: Option<SocketAddr>,
}

/// The hosts and ports outside that a container reaches through the gate.
pub fn reached_by(container: &Container) -> impl Iterator<Item = &str> {
    let text = container.labels.get(label::REACHES).map(String::as_str).unwrap_or_default();
    text.split(',').filter(|endpoint| !endpoint.is_empty())
}

/// How the gate of a sandbox is.
pub fn standing(state: &Path, sandbox: &str) -> Standing {
    let running = record(state, sandbox).filter(|record| record.process.runs());
    Standing { listens: running.map(|record| record.address) }
}

/// Sees to it that the sandbox's gate runs. Its network must be there.
pub async fn ensure(engine: &Engine, state: &Path, id: &SandboxId) -> Result<(), Error> {
    let Gateway { network, .. } = gateway(engine, id.as_str()).await?;
    let fits = |record: &Record| {
        record.network == network && record.version == env!("CARGO_PKG_VERSION") && record.process.runs()
    };
    if record(state, id.as_str()).is_some_and(|record| fits(&record)) {
        return Ok(());
    }
    end(state, id.as_str()).await?;
    let started = background::start(&["gate", id.as_str()]).await?;
    started.map_err(|why| Error::NoGate { sandbox: id.to_string(), why })
}

/// Ends the gate of a sandbox; one that does not run is ended.
pub async fn end(state: &Path, sandbox: &str) -> Result<(), Error> {
    let file = file(state, sandbox);
    if let Some(record) = record(state, sandbox) {
        background::end(&record.process).await?;
    }
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(FileError::io("remove", &file)(error).into()),
        _ => Ok(()),
    }
}

/// Is the gate of a sandbox, until its network or the engine goes. `ready` is called once it listens.
pub async fn run(engine: Engine, state: &Path, sandbox: &str, ready: impl FnOnce(&str)) -> Result<(), Error> {
    let Gateway { network, address } = gateway(&engine, sandbox).await?;
    let address = SocketAddr::new(address, PORT);
    // Nobody else can listen there at the same time: that is what makes it the only one.
    let listener = TcpListener::bind(address).await.map_err(|error| Error::NoGate {
        sandbox: sandbox.to_owned(),
        why: format!("{address} cannot be listened on: {error}"),
    })?;
    let process = Process::of(std::process::id()).ok_or_else(|| Error::NoGate {
        sandbox: sandbox.to_owned(),
        why: "this process is not to be seen in /proc".to_owned(),
    })?;
    let record = Record { process, network, address, version: env!("CARGO_PKG_VERSION").to_owned() };
    let file = file(state, sandbox);
    let directory = state.join("gates");
    std::fs::create_dir_all(&directory).map_err(FileError::io("create", &directory))?;
    files::write(&file, &serde_json::to_vec(&record).expect("a record is plain data"))?;
    ready(READY);
    let gate = serve::Gate { engine: engine.clone(), sandbox: sandbox.to_owned(), listener };
    tokio::select! {
        () = gate.serve() => {}
        gone = engine.network_gone(&record.network) => gone?,
    }
    Ok(())
}

async fn gateway(engine: &Engine, sandbox: &str) -> Result<Gateway, Error> {
    let found = engine.gateway(&network_of(sandbox)).await?;
    found.ok_or_else(|| Error::NotUp { sandbox: sandbox.to_owned() })
}

fn record(state: &Path, sandbox: &str) -> Option<Record> {
    serde_json::from_slice(&files::read(&file(state, sandbox), CAP).ok()?).ok()
}

fn file(state: &Path, sandbox: &str) -> PathBuf {
    state.join("gates").join(sandbox)
}
