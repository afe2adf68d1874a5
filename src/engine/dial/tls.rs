//! TCP with TLS: the engine proves itself by a certificate of the user's own authority, the user by one of theirs.

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::{Error, address};
use super::{Dial, Line};
use crate::files;

/// The largest file of certificates or keys, in bytes.
const CAP: u64 = 1024 * 1024;
/// A connection that takes longer than this is not going to be one.
const CONNECTING: Duration = Duration::from_secs(10);

/// Connects so to one engine.
#[derive(Clone)]
pub(in super::super) struct Tls {
    host: String,
    at: (String, u16),
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Tls {
    /// Reads the certificates and the key. `ca.pem` alone is trusted: an authority that the whole world trusts proves no
    /// engine.
    pub(in super::super) fn new(host: &str, to: &address::Tls) -> Result<Self, Error> {
        let at = |name: &str| to.files.join(name);
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&at("ca.pem"))? {
            roots.add(certificate).map_err(wrong(&at("ca.pem")))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(wrong(&at("ca.pem")))?
            .with_root_certificates(roots);
        let config = if at("cert.pem").exists() || at("key.pem").exists() {
            let key = PrivateKeyDer::from_pem_slice(&read(&at("key.pem"))?).map_err(wrong(&at("key.pem")))?;
            builder.with_client_auth_cert(certificates(&at("cert.pem"))?, key).map_err(wrong(&at("cert.pem")))?
        } else {
            builder.with_no_client_auth()
        };
        let name = ServerName::try_from(to.name.clone()).map_err(|_| Error::BadHost {
            host: host.to_owned(),
            detail: "no certificate can have its name".to_owned(),
        })?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { host: host.to_owned(), at: (to.name.clone(), to.port), name, connector })
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Option<Error> {
        let host = self.host.clone();
        let mut cause = Some(error);
        while let Some(error) = cause {
            // An error of a connection holds what TLS said, and does not call it its source.
            let held = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
            let held = held.and_then(|held| held.downcast_ref::<rustls::Error>());
            match held.or_else(|| error.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::AlertReceived(_)) => {
                    return Some(Error::NotLetIn { host, detail: held.map(ToString::to_string).unwrap_or_default() });
                }
                Some(other) => return Some(Error::NotTrusted { host, detail: other.to_string() }),
                None => cause = error.source(),
            }
        }
        None
    }
}

impl Dial for Tls {
    async fn dial(&self) -> Result<Line, Error> {
        let unreachable = |detail: String| Error::NoMachine { host: self.host.clone(), detail };
        let connecting = async {
            let stream = TcpStream::connect(&self.at).await.map_err(|error| unreachable(error.to_string()))?;
            let _ = stream.set_nodelay(true);
            let wire = self.connector.connect(self.name.clone(), stream).await;
            wire.map_err(|error| self.broken(&error).unwrap_or_else(|| unreachable(error.to_string())))
        };
        let late = |_| unreachable(format!("no connection within {} s", CONNECTING.as_secs()));
        let wire = tokio::time::timeout(CONNECTING, connecting).await.map_err(late)??;
        // With TLS 1.3 the engine looks at the user's certificate after the user has begun to speak.
        let this = self.clone();
        let why = move |error: &hyper::Error| ready(this.broken(error)).boxed();
        Ok(Line { wire: Box::pin(wire), why: Box::new(why) })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    files::read(path, CAP)
        .map_err(|error| Error::BadFile { path: path.to_owned(), detail: crate::error::chain(&error) })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::BadFile { path: path.to_owned(), detail: "it has no certificate".to_owned() }),
        Err(error) => Err(wrong(path)(error)),
    }
}

fn wrong<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Error + use<E> {
    let path: PathBuf = path.to_owned();
    move |error| Error::BadFile { path, detail: error.to_string() }
}
