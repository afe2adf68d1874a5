//! One request on its way to a service, and the answer on its way back, as RFC 9110 (7.6) has it of an intermediary.
//!
//! A message is read by one parser and written anew, so that where it ends is the same for the router and for the service: with
//! both a length and chunks the chunks count, the length does not go on, and the connection ends, as RFC 9112 (6.3) says.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

use super::Hostname;

/// How long a service of this machine may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a client may be silent in the middle of what it sends.
const SILENCE: Duration = Duration::from_mins(1);

/// What is answered.
pub type Answer = Response<Either<Full<Bytes>, Incoming>>;

/// Why a request does not get through. What it says is the same whatever there is, but for the name that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It names no host, or several.
    #[error("a request has one Host")]
    NoHost,
    /// It is one to a proxy.
    #[error("this is no proxy")]
    NoProxy,
    /// Its host is none that is answered for: where a name of somebody else's was made to lead here, its page learns nothing.
    #[error("only names below localhost are answered here")]
    NotHere,
    /// It asks for another name than the connection was made for.
    #[error("the connection was made for another name")]
    OtherName,
    /// There is no such service, or it does not run, or it did not ask.
    #[error("no service of this name runs here; `onramp hostnames status` tells which do")]
    Unknown,
    /// The service takes no connection, or breaks it off.
    #[error("the service does not answer: {0}")]
    NoAnswer(String),
    /// The engine cannot be asked.
    #[error("the engine cannot be asked where the service is")]
    NoEngine,
}

impl Refusal {
    /// The answer.
    pub fn answer(&self) -> Answer {
        let status = match self {
            Self::NoHost | Self::NoProxy => StatusCode::BAD_REQUEST,
            Self::NotHere | Self::OtherName => StatusCode::MISDIRECTED_REQUEST,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::NoAnswer(_) | Self::NoEngine => StatusCode::BAD_GATEWAY,
        };
        let mut answer = Response::new(Either::Left(Full::from(format!("onramp: {self}\n"))));
        *answer.status_mut() = status;
        for (name, value) in [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CACHE_CONTROL, "no-store"),
            (header::CONNECTION, "close"),
        ] {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}

/// The name that a request is for, on a connection that was made for this name, or for none.
pub fn name(request: &Request<Incoming>, connection: Option<&Hostname>) -> Result<Hostname, Refusal> {
    if request.method() == Method::CONNECT || request.uri().authority().is_some() {
        return Err(Refusal::NoProxy);
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Refusal::NoHost) };
    let name = host.to_str().ok().and_then(Hostname::asked).ok_or(Refusal::NotHere)?;
    if connection.is_some_and(|connection| *connection != name) { Err(Refusal::OtherName) } else { Ok(name) }
}

/// Sends a request on to the service at an address, and brings back what it answers. `held` is kept as long as the connection
/// of two who speak something else then.
pub async fn on<T: Send + 'static>(
    mut request: Request<Incoming>,
    at: SocketAddr,
    scheme: &'static str,
    held: T,
) -> Result<Answer, Refusal> {
    let failed = |error: &dyn std::error::Error| Refusal::NoAnswer(crate::error::chain(error));
    let connecting = timeout(CONNECT, TcpStream::connect(at)).await;
    let stream = connecting.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    tokio::spawn(connection.with_upgrades());

    let client = hyper::upgrade::on(&mut request);
    let upgrade = prepare(&mut request, scheme);
    let mut answer = sender.send_request(request.map(Patient::new)).await.map_err(|error| failed(&error))?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        if upgrade.is_none() {
            return Err(Refusal::NoAnswer("it changes the protocol unasked".to_owned()));
        }
        let service = hyper::upgrade::on(&mut answer);
        tokio::spawn(async move {
            let _held = held;
            if let Ok((client, service)) = tokio::try_join!(client, service) {
                // There is nobody to be told: what breaks on one side ends on the other.
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(service)).await;
            }
        });
    } else {
        strip(answer.headers_mut());
    }
    Ok(answer.map(Either::Right))
}

/// Makes a client's request the router's own. What it asks to change the protocol to, if it does.
fn prepare<B>(request: &mut Request<B>, scheme: &'static str) -> Option<HeaderValue> {
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    let upgrade = headers.get(header::UPGRADE).cloned().filter(|_| names(headers, "upgrade"));
    strip(headers);
    if let Some(protocol) = &upgrade {
        headers.insert(header::UPGRADE, protocol.clone());
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    // What the router tells, nobody else does.
    let told: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-") || **name == header::FORWARDED)
        .cloned()
        .collect();
    for name in told {
        headers.remove(name);
    }
    let host = headers.get(header::HOST).cloned();
    headers.insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
    headers.insert("x-forwarded-proto", HeaderValue::from_static(scheme));
    headers.extend(host.map(|host| (HeaderName::from_static("x-forwarded-host"), host)));
    // The router has answered that it may go on.
    headers.remove(header::EXPECT);
    upgrade
}

/// Whether `Connection` names this.
fn names(headers: &HeaderMap, option: &str) -> bool {
    options(headers).any(|named| named.eq_ignore_ascii_case(option))
}

/// What `Connection` names.
fn options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::CONNECTION).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Takes away what is between two neighbours only. How long a body is, is written anew.
fn strip(headers: &mut HeaderMap) {
    let own = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
    // The host and the length are nobody's to leave out.
    let kept = [header::HOST, header::CONTENT_LENGTH];
    let named = options(headers).filter_map(|name| name.parse::<HeaderName>().ok());
    let all: Vec<HeaderName> =
        named.filter(|name| !kept.contains(name)).chain(own.map(HeaderName::from_static)).collect();
    for name in all {
        headers.remove(name);
    }
}

/// A body that is given up when its sender says nothing for too long. A receiver that takes nothing is no such silence.
struct Patient {
    body: Incoming,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(body: Incoming) -> Self {
        Self { body, silence: None }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.silence = None;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(SILENCE)));
                ready!(silence.as_mut().poll(cx));
                Poll::Ready(Some(Err("the client says nothing more".into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::get("/a?b=c").body(()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        request
    }

    fn shown(request: &Request<()>) -> Vec<String> {
        let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        let mut lines: Vec<String> = request.headers().iter().map(line).collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_is_between_neighbours_stays_there_and_the_router_alone_tells_who_asks() {
        let mut asked = request(&[
            ("host", "web.shop.localhost:8443"),
            ("connection", "close, X-Secret, Host"),
            ("x-secret", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-port", "1"),
            ("forwarded", "for=10.0.0.1"),
            ("cookie", "a=b"),
        ]);
        assert_eq!(prepare(&mut asked, "https"), None, "an upgrade that `Connection` does not name is none");
        assert_eq!(
            shown(&asked),
            [
                "cookie: a=b",
                "host: web.shop.localhost:8443",
                "x-forwarded-for: 127.0.0.1",
                "x-forwarded-host: web.shop.localhost:8443",
                "x-forwarded-proto: https",
            ]
        );
        assert_eq!(asked.uri(), "/a?b=c");
    }

    #[test]
    fn an_upgrade_is_asked_for_on_the_other_side_too() {
        let mut asked = request(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(prepare(&mut asked, "http").unwrap(), "websocket");
        let lines = shown(&asked);
        assert!(lines.contains(&"connection: upgrade".to_owned()), "{lines:?}");
        assert!(lines.contains(&"upgrade: websocket".to_owned()), "{lines:?}");
    }
}
