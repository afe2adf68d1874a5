//! Where an engine is, and by which way it is reached.

use std::path::{Path, PathBuf};

use super::Error;
use crate::text::neutral_line;

/// The engine of a machine on which nobody set another one.
const USUAL: &str = "unix:///var/run/docker.sock";
/// The ports that Docker listens on without and with TLS.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// Where an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    way: Way,
    origin: Option<String>,
}

/// How it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a socket of this machine.
    Socket,
    /// By TCP that somebody who listens could read: on loopback only.
    Plain,
    /// By TCP, both ends proven.
    Tls(Tls),
    /// By Docker's client on its machine, which ssh starts.
    Ssh(Destination),
}

/// A server that proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Its name or address, without brackets.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// Where `ca.pem`, `cert.pem` and `key.pem` are.
    pub files: PathBuf,
}

/// Where ssh goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Who; where none is said, whom ssh's own settings say.
    pub user: Option<String>,
    /// The host, or its name in ssh's settings.
    pub host: String,
    /// The port; where none is said, ssh's settings' own.
    pub port: Option<u16>,
    /// The engine's socket there; where none is said, what Docker's client there is set to.
    pub socket: Option<String>,
}

impl Address {
    /// The usual one.
    pub fn usual() -> Self {
        Self { host: USUAL.to_owned(), way: Way::Socket, origin: None }
    }

    /// The engine at `host`: `unix:///path`, `ssh://[user@]host[:port][/socket]`, or `tcp://host[:port]`, with TLS where
    /// there is a directory of keys.
    pub fn of(host: &str, keys: Option<&Path>) -> Result<Self, Error> {
        let bad = |detail: &str| Error::BadHost { host: without_password(host), detail: detail.to_owned() };
        let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
        let way = match scheme {
            "unix" if rest.starts_with('/') => Way::Socket,
            "ssh" => Way::Ssh(Destination::read(rest).map_err(bad)?),
            "tcp" | "http" | "https" => {
                let (name, port) =
                    host_and_port(rest.trim_end_matches('/')).ok_or_else(|| bad("use tcp://host:port"))?;
                match keys {
                    Some(files) => Way::Tls(Tls { name, port: port.unwrap_or(TLS_PORT), files: files.to_owned() }),
                    None if is_loopback(&name) => {
                        let shown = if name.contains(':') { format!("[{name}]") } else { name };
                        let host = format!("tcp://{shown}:{}", port.unwrap_or(PLAIN_PORT));
                        return Ok(Self { host, way: Way::Plain, origin: None });
                    }
                    None => return Err(Error::Unprotected { host: neutral_line(host, 200) }),
                }
            }
            _ => return Err(bad("use unix:///path, ssh://user@host or tcp://host:port")),
        };
        Ok(Self { host: host.to_owned(), way, origin: None })
    }

    /// The same, as this says it.
    #[must_use]
    pub(super) fn said_by(self, origin: &str) -> Self {
        Self { origin: Some(origin.to_owned()), ..self }
    }

    /// As it was written.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How it is reached.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// What says so: `DOCKER_HOST`; none where nobody does.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whether this machine's loopback may be the engine's: what it publishes there is worth asking for.
    pub(super) fn is_near(&self) -> bool {
        match &self.way {
            Way::Socket | Way::Plain => true,
            Way::Tls(tls) => is_loopback(&tls.name),
            Way::Ssh(_) => false,
        }
    }
}

impl Destination {
    /// Reads what stands behind `ssh://`. What goes on a command line, here or there, is made of harmless characters.
    fn read(text: &str) -> Result<Self, &'static str> {
        let (place, socket) = text.find('/').map_or((text, ""), |at| text.split_at(at));
        let (user, place) = place.rsplit_once('@').map_or((None, place), |(user, place)| (Some(user), place));
        let (host, port) = host_and_port(place).ok_or("use ssh://user@host:port")?;
        let plain = |word: &str, more: &str| {
            !word.is_empty()
                && !word.starts_with('-')
                && word.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err("a password has no place in it; ssh finds your key");
        }
        if !plain(&host, "-_.:%") || user.is_some_and(|user| !plain(user, "-_.@\\+$")) {
            return Err("ssh would not take it for a user and a host");
        }
        if !matches!(socket, "" | "/") && !plain(socket, "/-_.") {
            return Err("what stands behind the host is no socket's path");
        }
        let socket = Some(socket.to_owned()).filter(|socket| socket.len() > 1);
        Ok(Self { user: user.map(str::to_owned), host, port, socket })
    }

    /// What ssh is told before the command: where to go. Nothing behind `--` is taken for an option.
    pub fn arguments(&self) -> Vec<String> {
        let user = self.user.iter().flat_map(|user| ["-l".to_owned(), user.clone()]);
        let port = self.port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]);
        user.chain(port).chain(["--".to_owned(), self.host.clone()]).collect()
    }
}

/// The command by which somebody tries by hand what onramp does by itself.
pub(super) fn by_hand(host: &str, command: &str) -> String {
    let destination = Destination::read(host.trim_start_matches("ssh://")).ok();
    let arguments = destination.map(|destination| destination.arguments()).unwrap_or_default();
    let words: Vec<String> = arguments.into_iter().filter(|word| word != "--").collect();
    format!("ssh {} {command}", words.join(" "))
}

/// `host`, `host:port`, `[::1]:port`.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port)
        }
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let port = match port {
        "" => None,
        port => Some(port.strip_prefix(':')?.parse().ok()?),
    };
    let whole = !host.is_empty() && !host.contains(['/', '@', ' ', '?', '#']);
    whole.then(|| (host.to_owned(), port))
}

fn is_loopback(name: &str) -> bool {
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The address as an error may show it.
fn without_password(host: &str) -> String {
    let secret = host.split_once("://").and_then(|(scheme, rest)| {
        let (user, rest) = rest.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}:…@{rest}"))
    });
    neutral_line(secret.as_deref().unwrap_or(host), 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Fault};

    #[test]
    fn ssh_goes_where_the_address_says() {
        let arguments = |host: &str| match Address::of(host, None).unwrap().way {
            Way::Ssh(destination) => (destination.arguments().join(" "), destination.socket),
            other => panic!("{other:?}"),
        };
        assert_eq!(arguments("ssh://build"), ("-- build".to_owned(), None));
        assert_eq!(
            arguments("ssh://ann@build.acme.test:2222/"),
            ("-l ann -p 2222 -- build.acme.test".to_owned(), None)
        );
        let socket = "/run/user/1000/podman/podman.sock";
        assert_eq!(arguments(&format!("ssh://[::1]:22{socket}")), ("-p 22 -- ::1".to_owned(), Some(socket.to_owned())));
        assert_eq!(by_hand("ssh://ann@build:2222", "docker version"), "ssh -l ann -p 2222 build docker version");
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        for host in [
            "ssh://",
            "ssh://-oProxyCommand=touch",
            "ssh://-l@build",
            "ssh://build:port",
            "ssh://build;id",
            "ssh://build/run/a b.sock",
            "ssh://build/$(id)",
            "tcp://",
            "tcp://a/b",
            "tcp://ann@build:2375",
            "tcp://[::1",
            "unix://relative.sock",
            "fd://",
            "/var/run/docker.sock",
        ] {
            let error = Address::of(host, None).unwrap_err();
            assert!(matches!(error, Error::BadHost { .. }) && error.class() == Class::Usage, "{host}: {error}");
        }
        let error = Address::of("ssh://ann:geheim@build", None).unwrap_err().to_string();
        assert!(error.contains("ssh://ann:…@build") && !error.contains("geheim"), "{error}");
    }

    #[test]
    fn tcp_without_tls_stays_on_loopback() {
        for host in ["tcp://127.0.0.1:2375", "tcp://localhost", "tcp://[::1]:2375", "http://127.1.2.3:1"] {
            let address = Address::of(host, None).unwrap();
            assert_eq!(address.way, Way::Plain, "{host}");
            assert!(address.is_near());
        }
        assert_eq!(Address::of("tcp://localhost", None).unwrap().host(), "tcp://localhost:2375");
        for host in ["tcp://build:2375", "tcp://127.0.0.1.acme.test:2375", "tcp://10.0.0.1", "tcp://[2001:db8::1]:2375"]
        {
            let error = Address::of(host, None).unwrap_err();
            assert_eq!(error.class(), Class::Security, "{host}: {error}");
            let with = Address::of(host, Some(Path::new("/keys"))).unwrap();
            assert!(matches!(&with.way, Way::Tls(tls) if tls.files == Path::new("/keys")) && !with.is_near(), "{host}");
        }
    }
}
