//! The checks. Each is told apart by its name in the report; those about a company are left out before one is joined.

use std::future::Future;
use std::time::Duration;

use super::{Finding, LIMIT, Machine};
use crate::engine::{Engine, Way};
use crate::forge;
use crate::git::{self, Identity, Mirror, RepoUrl, Wanted};
use crate::registry::Registry;
use crate::settings::ForgeKind;
use crate::state::State;
use crate::task::blocking;
use crate::text::bytes;

/// Less than this is too little for base images and data, in bytes.
const ROOM: u64 = 5_000_000_000;

/// An engine elsewhere may take this long.
const FAR: Duration = Duration::from_secs(15);

/// Ends a check at the limit.
async fn limited(check: &'static str, cure: &str, work: impl Future<Output = Finding>) -> Finding {
    within(LIMIT, check, cure, work).await
}

/// Ends a check after so long.
async fn within(limit: Duration, check: &'static str, cure: &str, work: impl Future<Output = Finding>) -> Finding {
    match tokio::time::timeout(limit, work).await {
        Ok(finding) => finding,
        Err(_) => Finding::ill(check, format!("no answer within {} ms", limit.as_millis()), cure),
    }
}

/// Runs what waits on files or git elsewhere, and ends it at the limit.
async fn limited_blocking(check: &'static str, cure: &str, work: impl FnOnce() -> Finding + Send + 'static) -> Finding {
    limited(check, cure, blocking(work)).await
}

/// Room on the disk.
pub(super) async fn disk(machine: &Machine) -> Finding {
    let data = machine.paths.data.clone();
    let work = move || {
        let there = data.ancestors().find(|path| path.exists()).unwrap_or(&data);
        match rustix::fs::statvfs(there) {
            Ok(disk) => {
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                let detail = format!("{} free at {}", bytes(free), there.display());
                if free >= ROOM {
                    Finding::well("disk", detail)
                } else {
                    Finding::ill("disk", format!("only {detail}"), "docker image prune")
                }
            }
            Err(error) => Finding::ill("disk", format!("cannot look at {}: {error}", there.display()), "df -h"),
        }
    };
    limited_blocking("disk", "df -h", work).await
}

/// The git program.
pub(super) async fn git() -> Finding {
    let work = || match git::version() {
        Ok(version) => Finding::well("git", format!("git {version}")),
        Err(error) => Finding::fault("git", &error, "apt-get install git"),
    };
    limited_blocking("git", "git --version", work).await
}

/// Who commits are by.
pub(super) async fn identity(machine: &Machine) -> Finding {
    let directory = machine.directory.clone();
    let work = move || match Identity::find(&directory) {
        Ok(identity) => Finding::well("identity", format!("{} <{}>", identity.name, identity.email)),
        Err(error) => Finding::fault("identity", &error, "git config --global user.name 'Your Name'"),
    };
    limited_blocking("identity", "git config --list", work).await
}

/// The engine.
pub(super) async fn engine(machine: &Machine) -> Finding {
    let address = match &machine.engine {
        Ok(address) => address,
        Err(error) => return Finding::fault("engine", &**error, "docker context ls"),
    };
    // What is elsewhere is not restarted from here.
    let restart = if *address.way() == Way::Socket { "systemctl restart docker" } else { "docker version" };
    let work = async {
        let engine = match Engine::connect(address).await {
            Ok(engine) => engine,
            Err(error) => return Finding::fault("engine", &error, restart),
        };
        match engine.version().await {
            Ok(version) => {
                let origin = address.origin().map(|origin| format!(" ({origin})")).unwrap_or_default();
                Finding::well("engine", format!("{version} at {}{origin}", engine.host()))
            }
            Err(error) => Finding::fault("engine", &error, restart),
        }
    };
    // Its machine may be on the other side of the world, and ssh takes a while.
    let limit = if *address.way() == Way::Socket { LIMIT } else { FAR };
    within(limit, "engine", restart, work).await
}

/// Whether a company was joined.
pub(super) fn company(machine: &Machine) -> Finding {
    match &machine.settings.company {
        Some(company) => Finding::well("company", format!("{} ({})", company.value, company.origin)),
        None if machine.settings.state.is_some() => Finding::well("company", "set by variables"),
        None => Finding::ill("company", "none joined yet", "onramp join <catalog>"),
    }
}

/// The registry.
pub(super) async fn registry(machine: &Machine) -> Option<Finding> {
    let host = machine.settings.registry.as_ref()?.value.clone();
    let cure = format!("curl -sSi {}://{host}/v2/", if host.starts_with("127.") { "http" } else { "https" });
    let work = async {
        let outcome = async { Registry::of_user(&host, LIMIT).await?.ping().await };
        match outcome.await {
            Ok(()) => Finding::well("registry", format!("{host} answers")),
            Err(error) => Finding::fault("registry", &error, &cure),
        }
    };
    Some(limited("registry", &cure, work).await)
}

/// The catalog repository.
pub(super) async fn catalog(machine: &Machine) -> Option<Finding> {
    let text = machine.settings.catalog.as_ref()?.value.clone();
    let cure = format!("git ls-remote {text}");
    let cache = machine.paths.cache.clone();
    let work = move || {
        let look = || -> Result<usize, git::Error> {
            let mirror = Mirror::new(&cache, text.parse::<RepoUrl>()?, Wanted::Branches);
            mirror.fetch()?;
            Ok(mirror.refs("refs/tags/")?.len())
        };
        match look() {
            Ok(releases) => Finding::well("catalog", format!("{text}: {releases} released block versions")),
            Err(error) => Finding::fault("catalog", &error, &format!("git ls-remote {text}")),
        }
    };
    Some(limited_blocking("catalog", &cure, work).await)
}

/// The state repository.
pub(super) async fn state(machine: &Machine) -> Option<Finding> {
    let text = machine.settings.state.as_ref()?.value.clone();
    let cure = format!("git ls-remote {text}");
    let cache = machine.paths.cache.clone();
    let kind = machine.settings.forge.as_ref().map(|forge| forge.value.kind);
    let wanted = kind.map_or(Wanted::Branches, forge::wanted);
    let work = move || {
        let look = || -> Result<String, crate::state::Error> {
            let state = State::open(&cache, text.parse::<RepoUrl>()?, wanted);
            state.refresh(false)?;
            let environments = state.rules(&state.head()?)?.environments;
            let names: Vec<&str> = environments.iter().map(|environment| environment.name.as_str()).collect();
            Ok(names.join(", "))
        };
        match look() {
            Ok(environments) => Finding::well("state", format!("{text}: {environments}")),
            Err(error) => Finding::fault("state", &error, &format!("git ls-remote {text}")),
        }
    };
    Some(limited_blocking("state", &cure, work).await)
}

/// The forge.
pub(super) async fn forge(machine: &Machine, access: impl Future<Output = Result<(), String>>) -> Option<Finding> {
    let set = &machine.settings.forge.as_ref()?.value;
    let (name, cure) = (set.kind.name(), forge::token::login(set.kind, None));
    let look = async {
        match (set.kind, access.await) {
            (ForgeKind::Local, _) => Finding::well("forge", "local: pull requests are kept in the state repository"),
            (_, Ok(())) => Finding::well("forge", format!("{name}, with a token")),
            (_, Err(why)) => Finding::ill("forge", format!("{name}: {why}"), &*cure),
        }
    };
    Some(limited("forge", &cure, look).await)
}
