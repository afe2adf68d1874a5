//! The router itself: takes connections on loopback, with TLS or without, and answers requests by their names.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::{SignedDuration, Timestamp};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Hostname;
use super::authority::Authority;
use super::pass::{self, Answer, Refusal};
use super::routes::Routes;

/// How many connections there are at once.
const MOST: usize = 256;
/// How long a client may take to begin, to agree on TLS, and to send the head of a request; a connection without one ends then.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest head of a request, in bytes, and the most lines of it.
const LONGEST: usize = 64 * 1024;
const LINES: usize = 100;
/// What TLS begins with (RFC 8446, 5.1): a record of a handshake.
const HANDSHAKE: u8 = 22;
/// How many certificates are kept, and for how long: they are good for a week.
const KEPT: usize = 256;
const RENEWED: SignedDuration = SignedDuration::from_hours(24);

/// What every connection knows.
pub struct Router {
    routes: Routes,
    tls: TlsAcceptor,
    room: Arc<Semaphore>,
}

impl Router {
    /// A router of these routes, whose certificates this authority makes.
    pub fn new(routes: Routes, authority: Authority) -> Arc<Self> {
        let certificates = Arc::new(Certificates { authority, made: Mutex::default() });
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        Arc::new(Self { routes, tls: TlsAcceptor::from(Arc::new(config)), room: Arc::new(Semaphore::new(MOST)) })
    }

    /// Takes connections, for ever.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            // What cannot be taken now (files run out) may be taken when another one has ended.
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            // Where there is no room, the connection is closed.
            let Ok(place) = self.room.clone().try_acquire_owned() else { continue };
            let router = self.clone();
            tokio::spawn(async move { router.connection(stream, Arc::new(place)).await });
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, place: Arc<OwnedSemaphorePermit>) {
        let _ = stream.set_nodelay(true);
        let mut first = [0];
        let Ok(Ok(1)) = timeout(PATIENCE, stream.peek(&mut first)).await else { return };
        if first[0] == HANDSHAKE {
            let Ok(Ok(stream)) = timeout(PATIENCE, self.tls.accept(stream)).await else { return };
            // Without a name there was no certificate.
            let Some(name) = stream.get_ref().1.server_name().and_then(Hostname::asked) else { return };
            self.requests(stream, Some(name), "https", place).await;
        } else {
            self.requests(stream, None, "http", place).await;
        }
    }

    /// Answers the requests of a connection, one after the other.
    async fn requests(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        name: Option<Hostname>,
        scheme: &'static str,
        place: Arc<OwnedSemaphorePermit>,
    ) {
        let service = service_fn(|request| {
            let (router, name, place) = (self.clone(), name.clone(), place.clone());
            async move {
                let answered = router.answer(request, name.as_ref(), scheme, place).await;
                Ok::<_, Infallible>(answered.unwrap_or_else(|refusal| refusal.answer()))
            }
        });
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        server.max_buf_size(2 * LONGEST).max_header_size(LONGEST).max_headers(LINES);
        // A client that breaks off is no failure of the router.
        let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        connection: Option<&Hostname>,
        scheme: &'static str,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Result<Answer, Refusal> {
        let name = pass::name(&request, connection)?;
        let at = self.routes.address(&name).await.map_err(|_| Refusal::NoEngine)?.ok_or(Refusal::Unknown)?;
        pass::on(request, at, scheme, place).await
    }
}

/// The certificates of names, made when they are asked for.
struct Certificates {
    authority: Authority,
    made: Mutex<BTreeMap<Hostname, (Timestamp, Arc<CertifiedKey>)>>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = Hostname::asked(hello.server_name()?)?;
        let mut made = self.made.lock().expect("nobody panics with it");
        let now = Timestamp::now();
        if let Some((when, certificate)) = made.get(&name)
            && now.duration_since(*when) < RENEWED
        {
            return Some(certificate.clone());
        }
        if made.len() >= KEPT {
            made.clear();
        }
        let certificate = Arc::new(self.authority.issue(&name)?);
        made.insert(name, (now, certificate.clone()));
        Some(certificate)
    }
}
