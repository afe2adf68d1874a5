//! Networks of sandboxes: one bridge each, closed to the outside.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use bollard::errors::Error as Raw;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{EventsOptions, InspectNetworkOptions, ListNetworksOptions};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{Engine, Error, carries, is_status, label, label_filter};

/// How long it may take until the engine tells that a network is left, and how often that is looked at.
const LEAVING: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);
/// How many /24 networks onramp has to choose from, in [`NetworkSpec::subnet`].
const SUBNETS: u8 = 255;

/// A network to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// Its labels, the owner's label aside.
    pub labels: Vec<(String, String)>,
    /// Whether its containers may reach the outside.
    pub egress: bool,
    /// Where among onramp's subnets the search for a free one begins.
    pub preferred: u8,
    /// Whether it spans the nodes of a swarm. Its name is one that a swarm takes.
    pub overlay: bool,
}

/// The machine's own end of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The id of the network.
    pub network: String,
    /// The address that the machine has on it.
    pub address: IpAddr,
}

impl NetworkSpec {
    /// onramp's networks are /24s of 10.231.0.0/16.
    ///
    /// A closed network's gateway *in its containers* is an address that nobody has, while the bridge itself has another:
    /// packets to the outside find no next hop and fail at once, and published loopback ports still work, because the
    /// engine's proxy speaks to a container from the bridge's own address. An `internal` network would be as tight, but
    /// publishes no ports; a bridge that merely does not masquerade leaks where the upstream routes private addresses
    /// back.
    ///
    /// An engine whose networks are plain ([`super::Place::plain`]) takes no address for a dead end: there a closed
    /// network is an internal one, and its containers are reached at their own addresses.
    ///
    /// One that spans a swarm has a subnet of the swarm's choice, and is closed by being internal: nothing is published of
    /// it. Containers of this engine join it as well, among them those through which its services are reached.
    fn request(&self, subnet: u8, plain: bool) -> NetworkCreateRequest {
        let address = |host: u8| format!("10.231.{subnet}.{host}");
        let dead_end = || HashMap::from([("DefaultGatewayIPv4".to_owned(), address(254))]);
        let ipam = IpamConfig {
            subnet: Some(format!("10.231.{subnet}.0/24")),
            gateway: Some(address(1)),
            auxiliary_addresses: (!plain && !self.egress).then(dead_end),
            ip_range: None,
        };
        let mut labels: HashMap<String, String> = self.labels.iter().cloned().collect();
        labels.insert(label::OWNER.to_owned(), "onramp".to_owned());
        labels.insert(label::EGRESS.to_owned(), self.egress.to_string());
        if self.overlay {
            return NetworkCreateRequest {
                name: self.name.clone(),
                driver: Some("overlay".to_owned()),
                internal: Some(!self.egress),
                attachable: Some(true),
                labels: Some(labels),
                ..Default::default()
            };
        }
        let masquerade = ("com.docker.network.bridge.enable_ip_masquerade".to_owned(), self.egress.to_string());
        NetworkCreateRequest {
            name: self.name.clone(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam { config: Some(vec![ipam]), ..Default::default() }),
            options: (!plain).then(|| HashMap::from([masquerade])),
            internal: plain.then_some(!self.egress),
            labels: Some(labels),
            ..Default::default()
        }
    }
}

impl Engine {
    /// Makes a network on the first free subnet from the preferred one on; its id.
    pub async fn create_network(&self, spec: &NetworkSpec) -> Result<String, Error> {
        if spec.overlay {
            return self.create_overlay(spec).await;
        }
        // The engine looks at its own networks only.
        let routes = if self.place().here { std::fs::read_to_string("/proc/net/route") } else { Ok(String::new()) };
        let taken = taken(&routes.unwrap_or_default());
        let turns = (0..SUBNETS).map(|step| (u16::from(spec.preferred) + u16::from(step)) % u16::from(SUBNETS));
        for subnet in turns.filter_map(|subnet| u8::try_from(subnet).ok()).filter(|subnet| !taken.contains(subnet)) {
            match self.docker.create_network(spec.request(subnet, self.place().plain)).await {
                Ok(made) => return Ok(made.id),
                Err(bollard::errors::Error::DockerResponseServerError { message, .. })
                    if ["overlap", "conflicts with", "already used on the host"]
                        .iter()
                        .any(|words| message.contains(words)) => {}
                Err(error) => return Err(Self::failed(format!("create network {}", spec.name), error)),
            }
        }
        Err(Error::Refused {
            verb: format!("create network {}", spec.name),
            status: 0,
            detail: "all of onramp's subnets (10.231.0.0/16) are in use".to_owned(),
        })
    }

    /// A swarm has no two networks of one name: one of ours that is there was asked for by a process that was killed.
    async fn create_overlay(&self, spec: &NetworkSpec) -> Result<String, Error> {
        let refused = match self.docker.create_network(spec.request(0, false)).await {
            Ok(made) => return Ok(made.id),
            Err(error) => error,
        };
        if is_status(&refused, 409) {
            let found = self.docker.inspect_network(&spec.name, None::<InspectNetworkOptions>).await;
            let found = found.map_err(|e| Self::failed(format!("inspect network {}", spec.name), e))?;
            let egress = spec.egress.to_string();
            if let Some(id) = found.id
                && carries(&found.labels.unwrap_or_default(), &[(label::EGRESS, &egress)])
            {
                return Ok(id);
            }
        }
        Err(Self::failed(format!("create network {}", spec.name), refused))
    }

    /// The networks that onramp made and that carry these labels: their names and all their labels.
    pub async fn networks(&self, labels: &[(&str, &str)]) -> Result<Vec<(String, HashMap<String, String>)>, Error> {
        let options = ListNetworksOptions { filters: Some(label_filter(labels)) };
        let found = self.docker.list_networks(Some(options)).await.map_err(|e| Self::failed("list networks", e))?;
        let all = found.into_iter().filter_map(|network| Some((network.name?, network.labels.unwrap_or_default())));
        Ok(all.filter(|(_, found)| carries(found, labels)).collect())
    }

    /// The machine's end of a network; none where the network is not there.
    pub async fn gateway(&self, name: &str) -> Result<Option<Gateway>, Error> {
        let found = match self.docker.inspect_network(name, None::<InspectNetworkOptions>).await {
            Ok(found) => found,
            Err(error) if is_status(&error, 404) => return Ok(None),
            Err(error) => return Err(Self::failed(format!("inspect network {name}"), error)),
        };
        let address =
            found.ipam.and_then(|ipam| ipam.config?.into_iter().find_map(|config| config.gateway?.parse().ok()));
        Ok(found.id.zip(address).map(|(network, address)| Gateway { network, address }))
    }

    /// Waits until a network is gone, or the engine with it.
    pub async fn network_gone(&self, id: &str) -> Result<(), Error> {
        let filter = |(key, value): (&str, &str)| (key.to_owned(), vec![value.to_owned()]);
        let filters = [("type", "network"), ("event", "destroy"), ("network", id)].map(filter).into();
        // What happens between the look below and the subscription is told, too.
        let since = Some((jiff::Timestamp::now().as_second() - 1).to_string());
        let options = EventsOptions { filters: Some(filters), since, ..Default::default() };
        if self.gateway(id).await?.is_some() {
            self.docker.events(Some(options)).next().await;
        }
        Ok(())
    }

    /// Removes a network of onramp's; one that is not there is removed.
    pub async fn remove_network(&self, name: &str) -> Result<(), Error> {
        self.remove_networks(name, None).await
    }

    /// Removes what else onramp made under the name of a network. Names are not unique to an engine, and what a process that
    /// was killed asked for may be made after it, beside what the next one made; then no container can be started on the
    /// name.
    pub async fn remove_namesakes(&self, name: &str, id: &str) -> Result<(), Error> {
        self.remove_networks(name, Some(id)).await
    }

    async fn remove_networks(&self, name: &str, but: Option<&str>) -> Result<(), Error> {
        let mut filters = label_filter(&[]);
        // The engine takes it for a part of names.
        filters.insert("name".to_owned(), vec![name.to_owned()]);
        let options = ListNetworksOptions { filters: Some(filters) };
        let found = self.docker.list_networks(Some(options)).await.map_err(|e| Self::failed("list networks", e))?;
        let ours =
            |network: &bollard::models::Network| network.labels.as_ref().is_some_and(|found| carries(found, &[]));
        let named = found.into_iter().filter(|network| network.name.as_deref() == Some(name) && ours(network));
        for id in named.filter_map(|network| network.id).filter(|id| but != Some(id)) {
            self.remove_once_left(name, &id).await?;
        }
        Ok(())
    }

    /// The engine tells that a container or a swarm's task has left a network a moment after it has. What is on it for longer is
    /// somebody's.
    async fn remove_once_left(&self, name: &str, id: &str) -> Result<(), Error> {
        let until = Instant::now() + LEAVING;
        loop {
            let error = match self.docker.remove_network(id).await {
                Ok(()) => return Ok(()),
                Err(error) if is_status(&error, 404) => return Ok(()),
                Err(error) => error,
            };
            let left = match &error {
                Raw::DockerResponseServerError { message, .. } if message.contains("is in use by") => true,
                Raw::DockerResponseServerError { message, .. } if message.contains("has active endpoints") => {
                    self.nobody_is_on(name, id).await?
                }
                _ => false,
            };
            if !left || Instant::now() > until {
                return Err(Self::failed(format!("remove network {name}"), error));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether no container is on a network. An end that has none is called after itself, `ep-…`, or after one that is gone.
    async fn nobody_is_on(&self, name: &str, id: &str) -> Result<bool, Error> {
        let found = match self.docker.inspect_network(id, None::<InspectNetworkOptions>).await {
            Ok(found) => found,
            Err(error) if is_status(&error, 404) => return Ok(true),
            Err(error) => return Err(Self::failed(format!("inspect network {name}"), error)),
        };
        for container in found.containers.unwrap_or_default().keys() {
            if container.starts_with("ep-") {
                continue;
            }
            match self.docker.inspect_container(container, None).await {
                Ok(_) => return Ok(false),
                Err(error) if is_status(&error, 404) => {}
                Err(error) => return Err(Self::failed(format!("inspect what is on network {name}"), error)),
            }
        }
        Ok(true)
    }
}

/// Those of onramp's subnets that the machine has a route into already, from its table: a VPN's, or that of a
/// bridge which an engine left behind that is no more. A wider route does not matter, since the narrower one counts.
fn taken(routes: &str) -> BTreeSet<u8> {
    // The kernel writes an address as the number that its bytes are on this machine.
    let address = |word: &str| Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes());
    let subnet = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (destination, mask) = (address(words.get(1)?)?, address(words.get(7)?)?);
        match (destination, mask) {
            ([10, 231, subnet, _], [255, 255, 255, _]) => Some(subnet),
            _ => None,
        }
    };
    routes.lines().filter_map(subnet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_that_the_machine_has_a_route_into_is_taken() {
        let word = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let route = |to: [u8; 4], mask: [u8; 4]| {
            format!("br0\t{}\t{}\t1\t0\t0\t0\t{}\t0\t0\t0", word(to), word([0; 4]), word(mask))
        };
        let table = [
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT".to_owned(),
            route([0, 0, 0, 0], [0, 0, 0, 0]),
            route([10, 0, 0, 0], [255, 0, 0, 0]),
            route([10, 231, 7, 0], [255, 255, 255, 0]),
            route([10, 231, 9, 130], [255, 255, 255, 255]),
            route([10, 232, 5, 0], [255, 255, 255, 0]),
            "br1\tgarbage".to_owned(),
        ];
        assert_eq!(taken(&table.join("\n")), [7, 9].into());
        assert_eq!(taken(""), [].into());
    }
}
