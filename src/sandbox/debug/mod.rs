//! Step debugging of PHP, `onramp up --xdebug`: what a service's container has for it, and the way from there to the editor
//! ([`relay`]).

pub mod relay;

use std::collections::BTreeMap;

use super::plan::sandbox_labels;
use super::{Error, SandboxId};
use crate::engine::{ContainerSpec, Engine};
use crate::name::Name;

/// Where Xdebug connects to in its container.
pub const PORT: u16 = 9003;
/// The directory in the container with the file that loads Xdebug, and the file.
const LOADED: &str = "/.onramp-xdebug";
const FILE: &str = "xdebug.ini";
/// Where PHP looks for files beside those of its own; empty parts are its own.
const SCANNED: &str = "PHP_INI_SCAN_DIR";

/// A service that is debugged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xdebug {
    /// The service, of the project.
    pub service: Name,
    /// Whether its image has Xdebug and does not load it.
    pub load: bool,
    /// The port of this machine's loopback that the editor listens on.
    pub editor: u16,
}

impl Xdebug {
    /// Adds the variables that turn it on. Every request is debugged, and every program of PHP's.
    pub fn add_to(&self, env: &mut BTreeMap<String, String>) {
        let config = format!("client_host=127.0.0.1 client_port={PORT}");
        for (name, value) in [("XDEBUG_MODE", "debug"), ("XDEBUG_SESSION", "onramp"), ("XDEBUG_CONFIG", &config)] {
            env.insert(name.to_owned(), value.to_owned());
        }
        if self.load {
            let before = env.remove(SCANNED).unwrap_or_default();
            env.insert(SCANNED.to_owned(), format!("{before}:{LOADED}"));
        }
    }

    /// The file that loads it, as a tar to be unpacked at the container's root.
    pub fn files(&self) -> Option<Vec<u8>> {
        const TEXT: &[u8] = b"zend_extension=xdebug\n";
        self.load.then(|| {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(TEXT.len() as u64);
            let mut tar = tar::Builder::new(Vec::new());
            let place = format!("{}/{FILE}", LOADED.trim_start_matches('/'));
            tar.append_data(&mut header, place, TEXT).expect("it is written to memory");
            tar.into_inner().expect("it is written to memory")
        })
    }
}

/// What an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// PHP that loads Xdebug.
    Loaded,
    /// PHP and an Xdebug that it does not load.
    There,
    /// PHP without Xdebug.
    Missing,
    /// No PHP.
    NoPhp,
}

/// Asks the PHP of an image that the engine has.
pub async fn look(engine: &Engine, id: &SandboxId, image: &str) -> Result<Found, Error> {
    let loads = |modules: &[String]| modules.iter().any(|module| module.trim() == "Xdebug");
    let Some(modules) = modules(engine, id, image, &["php", "-m"]).await? else { return Ok(Found::NoPhp) };
    if loads(&modules) {
        return Ok(Found::Loaded);
    }
    let with = self::modules(engine, id, image, &["php", "-d", "zend_extension=xdebug", "-m"]).await?;
    Ok(if with.is_some_and(|modules| loads(&modules)) { Found::There } else { Found::Missing })
}

/// What a program of an image says in a container of its own without a network; none where it does not run well.
async fn modules(engine: &Engine, id: &SandboxId, image: &str, command: &[&str]) -> Result<Option<Vec<String>>, Error> {
    let spec = ContainerSpec {
        // As a container of the sandbox that is none of its services it goes with the next `up` or `down`.
        name: id.carrier(image),
        image: image.to_owned(),
        command: Some(command.iter().map(|&word| word.to_owned()).collect()),
        labels: sandbox_labels(id).collect(),
        network: "none".to_owned(),
        ..ContainerSpec::default()
    };
    engine.remove_container(&spec.name).await?;
    let container = engine.create_container(&spec).await?;
    let said = async {
        match engine.start_container(&container).await {
            // There is no such program.
            Err(crate::engine::Error::Refused { status: 400, .. }) => return Ok(None),
            started => started?,
        }
        let ended = engine.wait_for_exit(&container).await?;
        let said = engine.last_words(&container, 200).await;
        Ok::<_, Error>((ended.exit_code == 0).then_some(said))
    };
    let said = said.await;
    engine.remove_container(&container).await?;
    said
}
