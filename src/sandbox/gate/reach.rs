//! Where a service may go, and the way there: a name is resolved here, once, and what it leads to is looked at.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::machine::is_of_this_machine;
use super::request::Refusal;
use crate::project::egress::{Endpoint, Host};

/// How long finding out an address and the way to it may take, each.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many addresses of a name are tried.
const TRIED: usize = 8;

/// Where a service may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(Vec<Endpoint>);

impl Reach {
    /// As it is written on a container; what is none is left out.
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self(texts.filter_map(|endpoint| endpoint.parse().ok()).collect())
    }

    /// Whether it is named.
    fn names(&self, target: &Endpoint) -> bool {
        self.0.contains(target)
    }

    /// Whether a name may lead to this address.
    fn admits(&self, address: IpAddr, port: u16) -> bool {
        self.names(&Endpoint { host: Host::Address(address.to_canonical()), port }) || !is_of_this_machine(address)
    }

    /// Connects to what a service wants to reach.
    pub async fn connect(&self, target: &Endpoint) -> Result<TcpStream, Refusal> {
        if !self.names(target) {
            return Err(Refusal::NotNamed(target.clone()));
        }
        let addresses = resolve(target).await?;
        let (admitted, kept): (Vec<_>, Vec<_>) =
            addresses.into_iter().partition(|address| self.admits(address.ip(), target.port));
        if let (true, Some(address)) = (admitted.is_empty(), kept.first()) {
            return Err(Refusal::ThisMachine(target.clone(), address.ip()));
        }
        let mut last = "it has no address".to_owned();
        for address in admitted.into_iter().take(TRIED) {
            match timeout(PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = format!("no answer within {} s", PATIENCE.as_secs()),
            }
        }
        Err(Refusal::NoAnswer(target.clone(), last))
    }
}

/// The addresses of a host.
async fn resolve(target: &Endpoint) -> Result<Vec<SocketAddr>, Refusal> {
    let name = match &target.host {
        Host::Address(address) => return Ok(vec![SocketAddr::new(*address, target.port)]),
        Host::Name(name) => name,
    };
    let failed = |why: String| Refusal::NoAnswer(target.clone(), why);
    match timeout(PATIENCE, lookup_host((name.as_str(), target.port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("its name was not resolved within {} s", PATIENCE.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(reach: &str, target: &str) -> String {
        Reach::of(reach.split(',')).connect(&target.parse().unwrap()).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn only_what_is_named_is_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().to_string();
        Reach::of([here.as_str()].into_iter()).connect(&here.parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for other in [format!("127.0.0.2:{port}"), "127.0.0.1:1".to_owned(), format!("localhost:{port}")] {
            assert_eq!(refused(&here, &other).await, format!("`egress` does not name {other}"));
        }
        assert_eq!(refused("", &here).await, format!("`egress` does not name {here}"));
    }

    #[tokio::test]
    async fn a_name_leads_to_this_machine_only_where_the_address_is_named_too() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = format!("localhost:{port}");
        let told = refused(&name, &name).await;
        assert!(told.starts_with(&format!("{name} is ")) && told.contains("this machine's own"), "{told}");
        Reach::of([name.as_str(), &format!("127.0.0.1:{port}")].into_iter())
            .connect(&name.parse().unwrap())
            .await
            .unwrap();
    }
}
