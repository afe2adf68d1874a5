//! Relays: what a swarm runs is on networks that no port of this machine leads into, and a swarm would publish on all addresses.
//! So a container of the engine is on such a network and on one of the sandbox's own, whose ports are on loopback, and passes
//! on what comes. The program in it is this onramp itself, with the libraries that it has loaded, in an image of nothing else.

mod image;

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

pub use image::image;

/// How long a connection to the service may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// How often a service that does not answer yet is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// Passes on what comes to a port of this address, to the same port of a host, for ever. It listens once the host does: who
/// connects before is refused, and knows that nobody is there yet.
pub async fn run(at: IpAddr, host: &str, port: u16) -> std::io::Result<()> {
    while connect(host, port).await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
    let listener = TcpListener::bind((at, port)).await?;
    loop {
        let Ok((mut near, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let host = host.to_owned();
        tokio::spawn(async move {
            // The end of either is the end of both; where nobody answers, whoever asks hears that at once.
            if let Ok(mut far) = connect(&host, port).await {
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}

/// The name is looked up each time: a task that takes over has another address.
async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    timeout(CONNECTING, TcpStream::connect((host, port))).await?
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn it_listens_once_the_service_does_and_passes_on_both_ways() {
        // Two addresses of loopback are two hosts with the same port.
        let service = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = service.local_addr().unwrap().port();
        drop(service);
        let relay = tokio::spawn(async move { run([127, 0, 0, 1].into(), "127.0.0.2", port).await });
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "nobody is there yet");
        let service = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
        // The first connection only asks.
        drop(service.accept().await.unwrap());
        let mut asking = loop {
            match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let (mut answering, _) = service.accept().await.unwrap();
        asking.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        answering.read_exact(&mut heard).await.unwrap();
        answering.write_all(b"pong").await.unwrap();
        drop(answering);
        let mut answer = Vec::new();
        asking.read_to_end(&mut answer).await.unwrap();
        assert_eq!((&heard, answer.as_slice()), (b"ping", &b"pong"[..]));
        relay.abort();
    }
}
