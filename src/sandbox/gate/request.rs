//! What a program says to its proxy, as RFC 9110 (9.3.6) and RFC 9112 (3.2) have it: `CONNECT host:port`, or a request with a whole
//! URL.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::project::egress::Endpoint;

/// The longest head of a request, in bytes.
const LONGEST: usize = 32 * 1024;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it goes.
    pub target: Endpoint,
    /// Whether the program waits to be told that the way is open.
    pub tunnel: bool,
    /// What is sent on first.
    pub first: Vec<u8>,
}

/// Why a program does not get through.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It said something else.
    #[error("that is no request to a proxy")]
    NotUnderstood,
    /// It is not to go there.
    #[error("`egress` does not name {0}")]
    NotNamed(Endpoint),
    /// A name leads into this machine.
    #[error("{0} is {1}, which is this machine's own: `egress` would have to name that address and port, too")]
    ThisMachine(Endpoint, IpAddr),
    /// Nobody answers there.
    #[error("{0} does not answer: {1}")]
    NoAnswer(Endpoint, String),
    /// There are too many connections.
    #[error("the sandbox has too many connections to the outside")]
    TooMany,
}

impl Refusal {
    /// The answer.
    pub fn answer(&self) -> Vec<u8> {
        let status = match self {
            Self::NotUnderstood => "400 Bad Request",
            Self::NotNamed(_) | Self::ThisMachine(..) => "403 Forbidden",
            Self::NoAnswer(..) => "502 Bad Gateway",
            Self::TooMany => "503 Service Unavailable",
        };
        let body = format!("onramp: {self}\n");
        let kind = "Content-Type: text/plain; charset=utf-8\r\nConnection: close";
        format!("HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
}

impl Request {
    /// Reads the head of a request, and with it what already came of its body.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, Refusal> {
        let mut bytes = Vec::new();
        loop {
            let read = stream.read_buf(&mut bytes).await.map_err(|_| Refusal::NotUnderstood)?;
            // The end may have begun in what was read before.
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                return Self::of(&bytes[..end], &rest).ok_or(Refusal::NotUnderstood);
            }
            if read == 0 || bytes.len() > LONGEST {
                return Err(Refusal::NotUnderstood);
            }
        }
    }

    fn of(head: &[u8], rest: &[u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
            return None;
        }
        if method == "CONNECT" {
            return Some(Self { target: target.parse().ok()?, tunnel: true, first: rest.to_vec() });
        }
        let scheme = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"))?;
        let target = &target[scheme.len()..];
        let (authority, path) = target.split_at(target.find(['/', '?']).unwrap_or(target.len()));
        let endpoint = authority.parse().or_else(|_| format!("{authority}:80").parse()).ok()?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        let mut first = format!("{method} {slash}{path} {version}\r\nHost: {authority}\r\nConnection: close\r\n");
        for line in lines {
            let name = line.split_once(':')?.0.trim().to_ascii_lowercase();
            // Those between a program and its proxy stay here. One request a connection: the next may go elsewhere.
            let ours = ["host", "connection", "keep-alive", "te", "upgrade"].contains(&name.as_str());
            if !ours && !name.starts_with("proxy-") {
                first.push_str(&format!("{line}\r\n"));
            }
        }
        first.push_str("\r\n");
        Some(Self { target: endpoint, tunnel: false, first: [first.as_bytes(), rest].concat() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut text: &[u8]) -> Option<(String, bool, String)> {
        let request = Request::read(&mut text).await.ok()?;
        Some((request.target.to_string(), request.tunnel, String::from_utf8(request.first).unwrap()))
    }

    #[tokio::test]
    async fn a_way_is_asked_for() {
        let asked = read(b"CONNECT a.test:443 HTTP/1.1\r\nHost: b.test\r\n\r\nhello").await;
        assert_eq!(asked, Some(("a.test:443".to_owned(), true, "hello".to_owned())));
    }

    #[tokio::test]
    async fn a_request_goes_on_as_to_its_server_and_no_other_follows() {
        let asked = read(
            b"POST HTTP://a.test/x?y=http://c.test HTTP/1.1\r\nHost: b.test\r\nProxy-Authorization: Basic eA==\r\n\
              Connection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        );
        let first =
            "POST /x?y=http://c.test HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(asked.await, Some(("a.test:80".to_owned(), false, first.to_owned())));
        let bare = read(b"GET http://a.test:81?q HTTP/1.0\r\n\r\n").await;
        let first = "GET /?q HTTP/1.0\r\nHost: a.test:81\r\nConnection: close\r\n\r\n";
        assert_eq!(bare, Some(("a.test:81".to_owned(), false, first.to_owned())));
    }

    #[tokio::test]
    async fn anything_else_is_not_understood() {
        for text in [
            "",
            "GET / HTTP/1.1\r\n\r\n",
            "GET https://a.test/ HTTP/1.1\r\n\r\n",
            "GET http://u:p@a.test/ HTTP/1.1\r\n\r\n",
            "CONNECT a.test HTTP/1.1\r\n\r\n",
            "CONNECT a.test:443 HTTP/2\r\n\r\n",
            "CONNECT a.test:443 HTTP/1.1 x\r\n\r\n",
            "GET http://a.test/ HTTP/1.1\r\nno header\r\n\r\n",
            "CONNECT a.test:443 HTTP/1.1\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            assert_eq!(read(text.as_bytes()).await, None, "{text:?}");
        }
        let mut endless = tokio::io::repeat(b'a');
        assert!(Request::read(&mut endless).await.is_err(), "it ends");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0_u8..128, 0..200)) {
            let _ = Request::of(&bytes, b"");
        }
    }
}
