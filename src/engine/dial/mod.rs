//! Ways to an engine elsewhere: a request goes over a connection that is idle, or a new one.

mod near;
pub(super) mod ssh;
mod tls;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::errors::Error as Raw;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Error;

pub(super) use near::Near;
pub(super) use ssh::Ssh;
pub(super) use tls::Tls;

/// How long an engine may think about a request, in seconds: as over a socket.
const PATIENCE: u64 = 120;
/// The longest answer to [`get`], in bytes.
const CAP: usize = 256 * 1024 * 1024;
/// What stands for the engine in requests; where it is, the connection knows.
const NAME: &str = "engine";

/// A connection to an engine.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Wire for T {}

type Why = Box<dyn FnOnce(&hyper::Error) -> BoxFuture<'static, Option<Error>> + Send>;

/// A connection, and what tells why it broke before there was an answer; none where that is as puzzling as it looks.
pub(super) struct Line {
    wire: Pin<Box<dyn Wire>>,
    why: Why,
}

/// What connects to an engine.
pub(super) trait Dial: Clone + Send + Sync + 'static {
    /// Connects.
    fn dial(&self) -> impl Future<Output = Result<Line, Error>> + Send;
}

/// A client that reaches its engine so.
pub(super) fn client(dial: impl Dial) -> Result<Docker, Raw> {
    let idle = Arc::new(Idle::default());
    let transport = move |request: BollardRequest| exchange(dial.clone(), idle.clone(), request);
    Docker::connect_with_custom_transport(transport, Some(format!("http://{NAME}")), PATIENCE, API_DEFAULT_VERSION)
}

/// Asks for what the client has no call for: the answer's body.
pub(super) async fn get(dial: impl Dial, path: &str) -> Result<Bytes, Raw> {
    let request = Request::get(path).body(Empty::<Bytes>::new())?;
    let asked = exchange(dial, Arc::new(Idle::default()), request);
    let patience = Duration::from_secs(PATIENCE);
    let response = tokio::time::timeout(patience, asked).await.map_err(|_| Raw::RequestTimeoutError)??;
    let status = response.status();
    let too_much = |error: Box<dyn std::error::Error + Send + Sync>| Raw::IOError { err: io::Error::other(error) };
    let body = Limited::new(response.into_body(), CAP).collect().await.map_err(too_much)?.to_bytes();
    if !status.is_success() {
        let message = String::from_utf8_lossy(&body).into_owned();
        return Err(Raw::DockerResponseServerError { status_code: status.as_u16(), message });
    }
    Ok(body)
}

/// Connections over which nothing is said at the moment: a new one takes a process here and one there.
struct Idle<B>(Mutex<Vec<http1::SendRequest<B>>>);

impl<B> Default for Idle<B> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<B> Idle<B> {
    fn take(&self) -> Option<http1::SendRequest<B>> {
        let mut idle = self.0.lock().expect("no panic while held");
        std::iter::from_fn(|| idle.pop()).find(http1::SendRequest::is_ready)
    }

    fn put(&self, sender: http1::SendRequest<B>) {
        self.0.lock().expect("no panic while held").push(sender);
    }
}

/// One request. Whoever hijacks its connection (exec, attach) does so afterwards.
async fn exchange<B>(dial: impl Dial, idle: Arc<Idle<B>>, mut request: Request<B>) -> Result<Response<Incoming>, Raw>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
{
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = path.into();
    }
    request.headers_mut().insert(HOST, HeaderValue::from_static(NAME));
    if let Some(mut sender) = idle.take() {
        match sender.try_send_request(request).await {
            Ok(response) => return Ok(kept(idle, sender, response)),
            // It was closed before it was said.
            Err(mut refused) => match refused.take_message() {
                Some(unsaid) => request = unsaid,
                None => return Err(refused.into_error().into()),
            },
        }
    }
    let Line { wire, why } = dial.dial().await.map_err(wrapped)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await?;
    let connection = tokio::spawn(connection.with_upgrades());
    match sender.send_request(request).await {
        Ok(response) => Ok(kept(idle, sender, response)),
        // What was to be sent could not be read: the connection is not to blame.
        Err(error) if error.is_user() => Err(error.into()),
        Err(error) => {
            // Where it broke before anything was said, the connection knows more than the request.
            let error = connection.await.ok().and_then(Result::err).unwrap_or(error);
            Err(why(&error).await.map_or_else(|| Raw::from(error), wrapped))
        }
    }
}

/// The answer; once it is read to its end, its connection serves for the next request.
fn kept<B: Send + 'static>(
    idle: Arc<Idle<B>>,
    mut sender: http1::SendRequest<B>,
    response: Response<Incoming>,
) -> Response<Incoming> {
    tokio::spawn(async move {
        if sender.ready().await.is_ok() {
            idle.put(sender);
        }
    });
    response
}

/// An error of ours on its way through the client.
fn wrapped(error: Error) -> Raw {
    Raw::IOError { err: io::Error::other(error) }
}

/// An error of ours that came through the client.
pub(super) fn unwrapped(error: Raw) -> Result<Error, Raw> {
    match error {
        Raw::IOError { err } => err.downcast::<Error>().map_err(|err| Raw::IOError { err }),
        other => Err(other),
    }
}
