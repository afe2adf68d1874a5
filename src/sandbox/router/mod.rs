//! The router: the process by which services are reached as `https://web.<sandbox>.localhost/`, one for all sandboxes of a user that
//! ask for it. It listens on loopback alone, and ends with the last of them.
//!
//! [`name`] makes the names, [`routes`] asks the engine where they lead, [`authority`] makes certificates, [`serve`] takes
//! connections, [`pass`] sends requests on. Decision 24 tells why it is so.

mod authority;
mod name;
mod pass;
mod routes;
mod serve;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::Error;
use super::background::{self, READY};
use super::reaper::Process;
use crate::engine::{Container, Engine, label};
use crate::files::{self, FileError};
use crate::paths::Paths;
use crate::reference::Digest;
use crate::task::blocking;
use crate::turn::Turn;

use authority::Mark;
pub use authority::{Authority, Error as AuthorityError};
pub use name::Hostname;
pub use routes::{RouterId, name_of};

/// The port that a URL of https need not name, and the one that an ordinary user may listen on.
const USUAL: u16 = 443;
const FREE: u16 = 8443;
/// How often a port that the system chooses is tried: it is to be free for both kinds of addresses.
const TRIES: usize = 3;
/// The largest memory of a router, in bytes.
const CAP: u64 = 16 * 1024;
/// How long a router stays when the last container that asked for it is gone: services are replaced.
const LINGER: Duration = Duration::from_secs(10);
/// What whoever starts or ends a router has the turn on.
const TURN: &str = "router";

/// What is remembered of a router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Its process; none where it has ended by itself.
    process: Option<Process>,
    /// Where it listens, and where the next one does if it can.
    port: u16,
    /// The onramp that it is.
    version: String,
    /// The authority that makes its certificates; none in what an older onramp remembered.
    #[serde(default)]
    authority: Option<Mark>,
}

impl Record {
    fn runs(&self) -> bool {
        self.process.as_ref().is_some_and(Process::runs)
    }
}

/// A router that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The loopback port that it listens on.
    pub port: u16,
}

impl Standing {
    /// Where a name is reached.
    pub fn url(self, name: &Hostname) -> String {
        match self.port {
            USUAL => format!("https://{name}/"),
            port => format!("https://{name}:{port}/"),
        }
    }
}

/// How containers are reached through this user's router.
pub struct Reached {
    router: RouterId,
    standing: Option<Standing>,
}

impl Reached {
    /// Looks whether the router of an engine runs.
    pub fn by(engine: &Engine, state: &Path) -> Self {
        Self { router: RouterId::of(state), standing: standing(state, engine) }
    }

    /// Where a container is reached by name; none where it does not run or is named to somebody else's router.
    pub fn url(&self, container: &Container) -> Option<String> {
        let ours = container.labels.get(label::ROUTER).is_some_and(|router| router == self.router.as_str());
        let standing = self.standing.filter(|_| container.running && ours)?;
        Some(standing.url(&name_of(container)?))
    }
}

/// A service that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Whose service it is.
    pub sandbox: String,
    /// `app/service`.
    pub service: String,
    /// Its name.
    pub hostname: Hostname,
    /// Whether it runs.
    pub running: bool,
}

/// The router of an engine's sandboxes; none where it does not run.
pub fn standing(state: &Path, engine: &Engine) -> Option<Standing> {
    record(state, engine).filter(Record::runs).map(|record| Standing { port: record.port })
}

/// Every service that asks for this user's router, by name.
pub async fn named(engine: &Engine, state: &Path) -> Result<Vec<Named>, Error> {
    let containers = routes::containers(engine, &RouterId::of(state)).await?;
    let label = |container: &Container, key| container.labels.get(key).cloned().unwrap_or_default();
    let named = containers.iter().filter_map(|container| {
        let (sandbox, service) = (label(container, label::SANDBOX), label(container, label::SERVICE));
        Some(Named { sandbox, service, hostname: name_of(container)?, running: container.running })
    });
    let mut named: Vec<Named> = named.collect();
    named.sort_by(|a, b| a.hostname.cmp(&b.hostname));
    Ok(named)
}

/// Opens the authority that makes the certificates of a user's router.
pub async fn authority(paths: &Paths) -> Result<Authority, Error> {
    let (state, data) = (paths.state.clone(), paths.data.clone());
    blocking(move || {
        let _turn = Turn::wait(&state, "authority")?;
        Ok(Authority::open(&data)?)
    })
    .await
}

/// Sees to it that a router runs, at this port if one is set. The containers that ask for it must be there.
pub async fn ensure(engine: &Engine, state: &Path, port: Option<u16>) -> Result<Standing, Error> {
    let _turn = turn(state).await?;
    let fits = |record: &Record| {
        record.version == env!("CARGO_PKG_VERSION")
            && port.is_none_or(|port| port == record.port)
            && record.authority.as_ref().is_some_and(Mark::holds)
            && record.runs()
    };
    if let Some(record) = record(state, engine) {
        if fits(&record) {
            return Ok(Standing { port: record.port });
        }
        // One that runs is not given up for a port that cannot be had.
        if port.is_some_and(|port| port != record.port) {
            drop(listen(port, None).await?);
        }
        end(&record).await?;
    }
    background::start(&["router"]).await?.map_err(|why| Error::NoRouter { why })?;
    let silent = || Error::NoRouter { why: "it ended at once".to_owned() };
    standing(state, engine).ok_or_else(silent)
}

/// Ends the router where no container asks for it any more.
pub async fn end_unwanted(engine: &Engine, state: &Path) -> Result<(), Error> {
    if standing(state, engine).is_none() {
        return Ok(());
    }
    let _turn = turn(state).await?;
    match record(state, engine) {
        Some(record) if is_unwanted(engine, state).await? => end(&record).await,
        _ => Ok(()),
    }
}

/// Is the router of an engine, until the last container that asks for it is gone, or the engine. `ready` is called once it listens.
pub async fn run(engine: Engine, paths: &Paths, port: Option<u16>, ready: impl FnOnce(&str)) -> Result<(), Error> {
    let authority = authority(paths).await?;
    let remembered = record(&paths.state, &engine).map(|record| record.port);
    let (port, listeners) = listen(port, remembered).await?;
    let record = Record {
        process: Some(
            Process::of(std::process::id())
                .ok_or_else(|| Error::NoRouter { why: "this process is not to be seen in /proc".to_owned() })?,
        ),
        port,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        authority: authority.mark(),
    };
    remember(&paths.state, &engine, &record)?;
    ready(READY);
    let routes = routes::Routes::new(engine.clone(), RouterId::of(&paths.state));
    let router = serve::Router::new(routes, authority);
    let serving = join_all(listeners.into_iter().map(|listener| router.clone().serve(listener)));
    let turn = tokio::select! {
        _ = serving => return Ok(()),
        turn = unwanted(&engine, &paths.state) => turn?,
    };
    // It does not listen any more, and whoever has the turn next starts another one.
    remember(&paths.state, &engine, &Record { process: None, ..record })?;
    drop(turn);
    Ok(())
}

/// Waits until no container asks for the router any more, and keeps those who may make one from it.
async fn unwanted(engine: &Engine, state: &Path) -> Result<Turn, Error> {
    let router = RouterId::of(state);
    loop {
        let turn = turn(state).await?;
        if is_unwanted(engine, state).await? {
            return Ok(turn);
        }
        drop(turn);
        engine.container_removed(&[(label::ROUTER, router.as_str())]).await?;
        tokio::time::sleep(LINGER).await;
    }
}

async fn is_unwanted(engine: &Engine, state: &Path) -> Result<bool, Error> {
    Ok(routes::containers(engine, &RouterId::of(state)).await?.is_empty())
}

async fn turn(state: &Path) -> Result<Turn, Error> {
    let state = state.to_owned();
    Ok(blocking(move || Turn::wait(&state, TURN)).await?)
}

async fn end(record: &Record) -> Result<(), Error> {
    match &record.process {
        Some(process) => Ok(background::end(process).await?),
        None => Ok(()),
    }
}

/// Listens on the port that is set, or on the first that is free: that of the last router, so that bookmarks stay true.
async fn listen(set: Option<u16>, remembered: Option<u16>) -> Result<(u16, Vec<TcpListener>), Error> {
    let candidates: Vec<u16> = match set {
        Some(port) => vec![port],
        None => remembered.into_iter().chain([USUAL, FREE]).chain([0; TRIES]).collect(),
    };
    let mut why = String::new();
    for port in candidates {
        match listen_on(port).await {
            Ok(listening) => return Ok(listening),
            Err(error) => why = format!("port {port} of loopback cannot be listened on: {error}"),
        }
    }
    Err(Error::NoRouter { why })
}

/// Listens on a port of loopback, by both kinds of addresses where the machine has both: names below localhost stand for either.
async fn listen_on(port: u16) -> std::io::Result<(u16, Vec<TcpListener>)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = first.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(second) => Ok((port, vec![first, second])),
        Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => Err(error),
        Err(_) => Ok((port, vec![first])),
    }
}

fn remember(state: &Path, engine: &Engine, record: &Record) -> Result<(), FileError> {
    files::write(&file(state, engine), &serde_json::to_vec(record).expect("a record is plain data"))
}

fn record(state: &Path, engine: &Engine) -> Option<Record> {
    serde_json::from_slice(&files::read(&file(state, engine), CAP).ok()?).ok()
}

/// Each engine has a router of its own.
fn file(state: &Path, engine: &Engine) -> PathBuf {
    state.join("routers").join(&Digest::of(engine.host().as_bytes()).hex()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_port_that_is_not_the_usual_one() {
        let name = Hostname::asked("web.shop.localhost").unwrap();
        assert_eq!(Standing { port: 443 }.url(&name), "https://web.shop.localhost/");
        assert_eq!(Standing { port: 8443 }.url(&name), "https://web.shop.localhost:8443/");
    }

    #[tokio::test]
    async fn a_port_that_somebody_has_is_passed_by_unless_it_is_set() {
        let (taken, listeners) = listen_on(0).await.unwrap();
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap().ip().is_loopback()));
        let (other, _held) = listen(None, Some(taken)).await.unwrap();
        assert_ne!(other, taken);
        let told = listen(Some(taken), None).await.unwrap_err().to_string();
        assert!(told.contains(&format!("port {taken} of loopback cannot be listened on")), "{told}");
        drop(listeners);
        assert_eq!(listen(None, Some(taken)).await.unwrap().0, taken);
    }
}
