//! Where an engine runs: what it runs natively, and whether it shares this machine's network and disks.

use std::path::PathBuf;

use bollard::models::{LocalNodeState, SystemInfo};

use super::{Address, Way};
use crate::text::neutral_line;

/// What an engine says about its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// What it runs without emulation: `linux/amd64`.
    pub platform: String,
    /// How many processors it can share out; none where it cannot limit them.
    pub processors: Option<u32>,
    /// Where it keeps images, if that is on this machine.
    pub root: Option<PathBuf>,
    /// Whether it is on this machine, in no machine or network of its own: what listens on loopback here it can reach.
    pub here: bool,
    /// Whether it has none of this machine's files: what a container is to have of them must be copied.
    pub elsewhere: bool,
    /// From where what it publishes on its loopback is reached.
    pub ports: Ports,
    /// Whether it is plainer than Docker's own engine (Podman is). A bridge of Docker's may have a gateway that nobody has, and
    /// publish ports all the same; a container of Docker's may know others by names of its own; and who copies files to a
    /// container that does not run finds its volumes mounted.
    pub plain: bool,
    /// Whether it keeps images in Docker's usual graph driver: unpacked layers, and no packed ones. Other stores
    /// (containerd's, Podman's) know a layer by the bytes that it came in.
    pub graph_driver: bool,
    /// Its part in a swarm.
    pub swarm: Swarm,
}

/// What an engine is in a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Swarm {
    /// In none.
    #[default]
    None,
    /// A node that only runs what others decide; the address of one that decides, as far as it knows.
    Worker(Option<String>),
    /// A node that decides, by its id.
    Manager(String),
}

/// From where what an engine publishes on its loopback is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// From this machine's loopback, which is the same, or leads there.
    #[default]
    Here,
    /// Through ssh.
    Forwarded,
    /// From its own machine alone.
    There,
}

/// The graph driver that Docker alone has. Of its others one or the other is a snapshotter of containerd's, too, or a driver
/// of Podman's.
const GRAPH_DRIVER: &str = "overlay2";

/// The network driver that libnetwork has, and nobody else: for containers without a network.
const LIBNETWORK: &str = "null";

impl Place {
    /// Whether it takes images from an endpoint of ours on loopback, without TLS.
    pub fn is_fed(&self) -> bool {
        self.here && !self.plain
    }

    /// Reads what the engine at this address tells.
    pub(super) fn of(address: &Address, info: &SystemInfo) -> Self {
        // A socket may lead into a virtual machine: those show files and ports of this machine as if they were there.
        let elsewhere = *address.way() != Way::Socket;
        let here = !elsewhere && is_this_machine(info);
        let ports = match address.way() {
            Way::Ssh(_) => Ports::Forwarded,
            _ if address.is_near() => Ports::Here,
            _ => Ports::There,
        };
        let os = info.os_type.as_deref().unwrap_or("linux");
        let platform = format!("{os}/{}", architecture(info.architecture.as_deref().unwrap_or_default()));
        let limits = info.cpu_cfs_period == Some(true) && info.cpu_cfs_quota == Some(true);
        let processors = info.ncpu.filter(|_| limits).and_then(|count| u32::try_from(count).ok());
        let root = info.docker_root_dir.as_deref().filter(|root| here && root.starts_with('/')).map(PathBuf::from);
        let drivers = info.plugins.as_ref().and_then(|plugins| plugins.network.as_ref());
        let plain = drivers.is_some_and(|drivers| drivers.iter().all(|driver| driver != LIBNETWORK));
        let graph_driver = info.driver.as_deref() == Some(GRAPH_DRIVER);
        let (platform, swarm) = (neutral_line(&platform, 60), Swarm::of(info));
        Self { platform, processors, root, here, elsewhere, ports, plain, graph_driver, swarm }
    }
}

impl Swarm {
    fn of(info: &SystemInfo) -> Self {
        let Some(swarm) = info.swarm.as_ref().filter(|swarm| swarm.local_node_state == Some(LocalNodeState::ACTIVE))
        else {
            return Self::None;
        };
        if let Some(node) = swarm.node_id.as_ref().filter(|_| swarm.control_available == Some(true)) {
            return Self::Manager(node.clone());
        }
        let known = swarm.remote_managers.iter().flatten().find_map(|manager| manager.addr.as_deref());
        Self::Worker(known.map(|address| neutral_line(address, 100)))
    }
}

/// A socket here may lead into a virtual machine (Docker Desktop, Lima) or into a network of its own (rootless). Its
/// kernel and host name tell.
fn is_this_machine(info: &SystemInfo) -> bool {
    let own = rustix::system::uname();
    let same = |theirs: &Option<String>, ours: &std::ffi::CStr| {
        theirs.as_deref().is_some_and(|theirs| ours.to_str().is_ok_and(|ours| ours == theirs))
    };
    let rootless = info.security_options.iter().flatten().any(|option| option.contains("rootless"));
    let desktop = info.operating_system.as_deref().is_some_and(|system| system.contains("Docker Desktop"));
    same(&info.name, own.nodename()) && same(&info.kernel_version, own.release()) && !rootless && !desktop
}

/// The kernel's name of an architecture as image configs have it.
fn architecture(kernel: &str) -> &str {
    match kernel {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armv6l" => "arm",
        "i386" | "i686" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> SystemInfo {
        let own = rustix::system::uname();
        SystemInfo {
            name: Some(own.nodename().to_str().unwrap().to_owned()),
            kernel_version: Some(own.release().to_str().unwrap().to_owned()),
            os_type: Some("linux".to_owned()),
            architecture: Some("aarch64".to_owned()),
            docker_root_dir: Some("/var/lib/docker".to_owned()),
            ..SystemInfo::default()
        }
    }

    fn at(host: &str) -> Address {
        Address::of(host, Some(std::path::Path::new("/keys"))).unwrap()
    }

    #[test]
    fn what_is_published_is_reached_where_it_is() {
        for (host, elsewhere, ports) in [
            ("unix:///s", false, Ports::Here),
            ("tcp://127.0.0.1:2376", true, Ports::Here),
            ("tcp://build:2376", true, Ports::There),
            ("ssh://127.0.0.1", true, Ports::Forwarded),
        ] {
            let place = Place::of(&at(host), &info());
            assert_eq!((place.elsewhere, place.ports), (elsewhere, ports), "{host}");
        }
    }

    #[test]
    fn processors_count_where_they_can_be_limited() {
        let eight = SystemInfo { ncpu: Some(8), ..info() };
        assert_eq!(Place::of(&Address::usual(), &eight).processors, None);
        let limited = SystemInfo { cpu_cfs_period: Some(true), cpu_cfs_quota: Some(true), ..eight };
        assert_eq!(Place::of(&Address::usual(), &limited).processors, Some(8));
    }

    #[test]
    fn an_engine_elsewhere_is_not_here() {
        let socket = "unix:///var/run/docker.sock";
        let here = Place::of(&at(socket), &info());
        assert_eq!((here.here, here.platform.as_str()), (true, "linux/arm64"));
        assert_eq!(here.root, Some("/var/lib/docker".into()));
        for (host, other) in [
            ("tcp://127.0.0.1:2375", info()),
            (socket, SystemInfo { name: Some("lima".to_owned()), ..info() }),
            (socket, SystemInfo { kernel_version: Some("1.0-linuxkit".to_owned()), ..info() }),
            (socket, SystemInfo { security_options: Some(vec!["name=rootless".to_owned()]), ..info() }),
            (socket, SystemInfo { operating_system: Some("Docker Desktop".to_owned()), ..info() }),
            (socket, SystemInfo::default()),
        ] {
            let place = Place::of(&at(host), &other);
            assert_eq!((place.here, place.root), (false, None), "{other:?}");
        }
    }

    #[test]
    fn networks_are_known_by_their_drivers() {
        let with = |drivers: &[&str]| {
            let network = Some(drivers.iter().map(|&driver| driver.to_owned()).collect());
            let plugins = Some(bollard::models::PluginsInfo { network, ..Default::default() });
            Place::of(&Address::usual(), &SystemInfo { plugins, ..info() }).plain
        };
        assert!(!with(&["bridge", "host", "ipvlan", "macvlan", "null", "overlay"]));
        assert!(with(&["bridge", "macvlan"]), "Podman");
    }

    #[test]
    fn a_snapshotter_is_no_graph_driver() {
        for (driver, graph) in
            [(Some("overlay2"), true), (Some("overlayfs"), false), (Some("fuse-overlayfs"), false), (None, false)]
        {
            let info = SystemInfo { driver: driver.map(str::to_owned), ..info() };
            assert_eq!(Place::of(&Address::usual(), &info).graph_driver, graph, "{driver:?}");
        }
    }
}
