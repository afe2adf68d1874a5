//! A socket of this machine, or a port of its loopback.

use std::io;
use std::pin::Pin;

use futures_util::FutureExt;
use tokio::net::{TcpStream, UnixStream};

use super::super::Error;
use super::{Dial, Line, Wire};

/// Connects so to one engine.
#[derive(Clone)]
pub(in super::super) struct Near(String);

impl Near {
    /// The engine at this address.
    pub(in super::super) fn new(host: &str) -> Self {
        Self(host.to_owned())
    }
}

impl Dial for Near {
    async fn dial(&self) -> Result<Line, Error> {
        let Self(host) = self;
        let failed = |error: io::Error| Error::NoEngine { host: host.clone(), detail: error.to_string() };
        let why = Box::new(|_: &hyper::Error| std::future::ready(None).boxed());
        let wire: Pin<Box<dyn Wire>> = if let Some(path) = host.strip_prefix("unix://") {
            Box::pin(UnixStream::connect(path).await.map_err(failed)?)
        } else {
            Box::pin(TcpStream::connect(host.trim_start_matches("tcp://")).await.map_err(failed)?)
        };
        Ok(Line { wire, why })
    }
}
