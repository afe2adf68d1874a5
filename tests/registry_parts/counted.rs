//! A way to a registry on which requests are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The way.
pub struct Counted {
    host: String,
    requests: Arc<AtomicUsize>,
}

impl Counted {
    /// Leads to the registry at `to`. Requests have no bodies: the end of each head is counted.
    pub async fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (requests, to) = (Arc::new(AtomicUsize::new(0)), to.to_owned());
        let count = requests.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&to).await.unwrap();
                let count = count.clone();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                tokio::spawn(async move {
                    let (mut buffer, mut matched) = (vec![0; 16 * 1024], 0);
                    while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                        for byte in &buffer[..read] {
                            matched = match (matched, byte) {
                                (0 | 2, b'\r') => matched + 1,
                                (1, b'\n') => 2,
                                (3, b'\n') => {
                                    count.fetch_add(1, Ordering::SeqCst);
                                    0
                                }
                                (_, b'\r') => 1,
                                _ => 0,
                            };
                        }
                        if to_server.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { host, requests }
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// How many requests came since this was asked last.
    pub fn take_count(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}
