//! A way to a registry that counts what comes through, and can be closed in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onramp::reference::ImageRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The way. Ends with the test.
pub struct Narrow {
    host: String,
    came: Arc<AtomicU64>,
    /// How many bytes may come through, all connections together.
    open: watch::Sender<u64>,
    /// Told of every change of `came`.
    told: watch::Receiver<u64>,
}

impl Narrow {
    /// Leads to the registry at `to`. What comes after the first `open` bytes waits.
    pub async fn start(to: &str, open: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (came, to) = (Arc::new(AtomicU64::new(0)), to.to_owned());
        let (open, allowed) = watch::channel(open);
        let (tell, told) = watch::channel(0);
        let (count, tell) = (came.clone(), Arc::new(tell));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&to).await.unwrap();
                let (count, tell, mut allowed) = (count.clone(), tell.clone(), allowed.clone());
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                tokio::spawn(async move {
                    let mut buffer = vec![0; 16 * 1024];
                    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                        allowed.wait_for(|open| count.load(Ordering::SeqCst) < *open).await.unwrap();
                        let came = count.fetch_add(read as u64, Ordering::SeqCst) + read as u64;
                        tell.send_replace(came);
                        if to_client.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { host, came, open, told }
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn image(&self, rest: &str) -> ImageRef {
        format!("{}/{rest}", self.host).parse().unwrap()
    }

    /// Waits until so many bytes came through.
    pub async fn reached(&self, bytes: u64) {
        self.told.clone().wait_for(|came| *came >= bytes).await.unwrap();
    }

    /// How many bytes came through since this was asked last.
    pub fn take_count(&self) -> u64 {
        self.came.swap(0, Ordering::SeqCst)
    }

    /// Lets everything through from now on.
    pub fn widen(&self) {
        self.open.send_replace(u64::MAX);
    }
}
