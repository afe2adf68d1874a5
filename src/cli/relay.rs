//! `onramp relay`: the program in the containers that lead to what a swarm runs. Nobody types it.

use std::net::Ipv4Addr;
use std::str::FromStr;

use super::failure::Failure;
use super::output::Verdict;
use crate::error::Class;
use crate::sandbox::relay;

/// Pass on what comes to a port, to the same port of a host.
#[derive(clap::Args)]
#[command(hide = true)]
pub struct Arguments {
    /// Where to: `web.shop:80`
    to: Target,
}

/// A host and its port.
#[derive(Clone)]
struct Target(String, u16);

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or("a host and its port: `web.shop:80`")?;
        Ok(Self(host.to_owned(), port.parse().map_err(|_| "that is no port")?))
    }
}

impl Arguments {
    /// Passes on for ever.
    pub async fn run(self) -> Result<Verdict, Failure> {
        let Target(host, port) = self.to;
        let ended = relay::run(Ipv4Addr::UNSPECIFIED.into(), &host, port).await;
        ended.map_err(|error| Failure::new(Class::Io, format!("port {port} cannot be listened on: {error}")))?;
        Ok(Verdict::Ok)
    }
}
