//! HTTP clients: who may be spoken to without TLS, through which proxy, and whose certificates are believed.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url, redirect};

use super::origin::Origin;
use super::tls::Trust;

/// How long a connection may take to stand, at most.
const CONNECT: Duration = Duration::from_secs(10);

/// The clients of one registry, made when they are needed.
pub struct Clients {
    trust: Trust,
    connect: Duration,
    plain: OnceLock<Client>,
    own: OnceLock<Client>,
    elsewhere: OnceLock<Client>,
}

impl Clients {
    /// With what is trusted for the registry. `limit` is a call's.
    pub fn new(trust: Trust, limit: Duration) -> Self {
        let (plain, own, elsewhere) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { trust, connect: limit.min(CONNECT), plain, own, elsewhere }
    }

    /// The client for a URL. Plain http goes straight to loopback; https takes the system's proxy and its trusted
    /// certificates.
    ///
    /// Authorities that are trusted for the registry hold for its token service and storage, too, as in docker: it is
    /// the registry that names them. Our own certificate is shown to the registry alone.
    pub fn of(&self, origin: &Origin, url: &Url) -> Result<&Client, reqwest::Error> {
        // Installing it a second time fails and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cell = match url.scheme() {
            "http" => &self.plain,
            _ if origin.owns(url) => &self.own,
            _ => &self.elsewhere,
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let builder = if url.scheme() == "http" {
            // A machine without any certificates still speaks to its own registry.
            self.builder().no_proxy().tls_certs_only([])
        } else {
            let builder = self.builder().https_only(true);
            let builder = match self.trust.authorities.as_slice() {
                [] => builder,
                authorities => builder.tls_certs_merge(authorities.iter().cloned()),
            };
            match &self.trust.identity {
                Some(identity) if origin.owns(url) => builder.identity(identity.clone()),
                _ => builder,
            }
        };
        let client = builder.build()?;
        Ok(cell.get_or_init(|| client))
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect)
            .user_agent(concat!("onramp/", env!("CARGO_PKG_VERSION")))
    }
}
