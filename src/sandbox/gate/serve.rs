//! The gate itself: takes connections of the sandbox's containers, and of nobody else, to where each may go.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::reach::Reach;
use super::reached_by;
use super::request::{Refusal, Request};
use crate::engine::{Engine, label};

/// How many connections a sandbox has to the outside at once, and how many of them one of its services.
const MOST: usize = 256;
const MOST_EACH: usize = 128;
/// How many more of a service's are told that they are too many; whoever comes after those is hung up on.
const TOLD: usize = 8;
/// How long the engine may take to say who somebody is, and a program to say where it wants to go.
const PATIENCE: Duration = Duration::from_secs(15);
/// After how long a silent connection is asked whether somebody is still there.
const SILENCE: Duration = Duration::from_mins(1);

/// A gate that listens.
pub struct Gate {
    /// The engine that has the sandbox.
    pub engine: Engine,
    /// The sandbox's name.
    pub sandbox: String,
    /// Where it listens.
    pub listener: TcpListener,
}

/// What every connection knows.
struct Shared {
    engine: Engine,
    sandbox: String,
    room: Arc<Semaphore>,
    each: Mutex<HashMap<IpAddr, usize>>,
}

impl Gate {
    /// Takes connections, for ever.
    pub async fn serve(self) {
        let shared = Arc::new(Shared {
            engine: self.engine,
            sandbox: self.sandbox,
            room: Arc::new(Semaphore::new(MOST)),
            each: Mutex::default(),
        });
        loop {
            // What cannot be taken now (files run out) may be taken when another one has ended.
            let Ok((stream, peer)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            // Where there is no room, the connection is closed: the engine is not asked about more at once.
            let Ok(room) = shared.room.clone().try_acquire_owned() else { continue };
            let shared = shared.clone();
            tokio::spawn(async move {
                shared.connection(stream, peer).await;
                drop(room);
            });
        }
    }
}

impl Shared {
    async fn connection(&self, mut stream: TcpStream, peer: SocketAddr) {
        let Some(place) = Place::take(&self.each, peer.ip()) else { return };
        // Whoever is in no container of the sandbox is told nothing.
        let Ok(Some(reach)) = timeout(PATIENCE, self.reach_of(peer.ip())).await else { return };
        let passed = if place.is_too_many() { Err(Refusal::TooMany) } else { self.pass(&mut stream, &reach).await };
        if let Err(refusal) = passed {
            let _ = stream.write_all(&refusal.answer()).await;
            let _ = stream.shutdown().await;
        }
    }

    /// Where the container at an address may go, asked at every connection: addresses change hands.
    async fn reach_of(&self, peer: IpAddr) -> Option<Reach> {
        let containers = self.engine.containers(&[(label::SANDBOX, &self.sandbox)]).await.ok()?;
        let container = containers.into_iter().find(|container| container.addresses.contains(&peer))?;
        Some(Reach::of(reached_by(&container)))
    }

    async fn pass(&self, stream: &mut TcpStream, reach: &Reach) -> Result<(), Refusal> {
        let read = timeout(PATIENCE, Request::read(stream)).await;
        let request = read.map_err(|_| Refusal::NotUnderstood)??;
        let mut outside = reach.connect(&request.target).await?;
        for stream in [&*stream, &outside] {
            let _ = sockopt::set_tcp_keepidle(stream, SILENCE);
            let _ = sockopt::set_socket_keepalive(stream, true);
        }
        let begun = async {
            if request.tunnel {
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            }
            outside.write_all(&request.first).await
        };
        // From here on there is nobody to be told: what breaks on one side ends on the other.
        if begun.await.is_ok() {
            let _ = copy_bidirectional(stream, &mut outside).await;
        }
        Ok(())
    }
}

/// One connection of an address.
struct Place<'a> {
    each: &'a Mutex<HashMap<IpAddr, usize>>,
    peer: IpAddr,
    /// How many the address had when it came, itself among them.
    number: usize,
}

impl<'a> Place<'a> {
    fn take(each: &'a Mutex<HashMap<IpAddr, usize>>, peer: IpAddr) -> Option<Self> {
        let mut counts = each.lock().expect("nobody panics with it");
        let count = counts.entry(peer).or_default();
        let number = *count + 1;
        (number <= MOST_EACH + TOLD).then(|| *count = number)?;
        Some(Self { each, peer, number })
    }

    /// Whether it is one of those that are only told so.
    fn is_too_many(&self) -> bool {
        self.number > MOST_EACH
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.each.lock().expect("nobody panics with it");
        let left = counts.get_mut(&self.peer).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            counts.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_service_does_not_take_the_place_of_all() {
        let each = Mutex::default();
        let (one, other): (IpAddr, IpAddr) = ("10.231.1.2".parse().unwrap(), "10.231.1.3".parse().unwrap());
        let mut places: Vec<_> = (0..MOST_EACH + TOLD).map(|_| Place::take(&each, one).unwrap()).collect();
        assert_eq!(places.iter().filter(|place| place.is_too_many()).count(), TOLD);
        assert!(Place::take(&each, one).is_none() && Place::take(&each, other).is_some());
        places.pop();
        assert!(Place::take(&each, one).is_some());
        drop(places);
        assert!(each.lock().unwrap().is_empty());
    }
}
