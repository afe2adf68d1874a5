//! A registry on loopback for one pull: the engine gets from it what we have verified, and nothing else.
//!
//! A small server of HTTP/1.1 (RFC 9112): GET and HEAD of the few paths below one unguessable name, one request a
//! connection. What it was not asked for in exactly this form it refuses.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::super::contents::{Fault, unpack};
use super::source::{Served, Source};
use crate::reference::Digest;
use crate::registry::Descriptor;
use crate::task::blocking;

/// The largest head of a request, in bytes.
const HEAD: usize = 16 * 1024;
/// How long a client may take to ask, and to take the next bytes of an answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// How much of a packed layer is read at once, in bytes.
const PIECE: usize = 256 * 1024;
/// How many connections are served at once.
const CONNECTIONS: usize = 64;

/// The server. Dropping it ends it.
pub struct Feed {
    address: SocketAddr,
    asked: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Feed {
    /// Serves what `source` has below `/v2/<path>/<number of the offer>/`.
    pub async fn open(path: &str, source: Arc<Source>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let asked = Arc::new(AtomicBool::new(false));
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let (path, seen) = (path.to_owned(), asked.clone());
        let serving = tokio::spawn(async move {
            // What is being served ends with the server.
            let mut answers = tokio::task::JoinSet::new();
            loop {
                let place = room.clone().acquire_owned().await.expect("never closed");
                let Ok((stream, _)) = listener.accept().await else { continue };
                while answers.try_join_next().is_some() {}
                let (path, source, seen) = (path.clone(), source.clone(), seen.clone());
                answers.spawn(async move {
                    // A client that hangs up, or breaks off, harms only itself.
                    let _ = serve(stream, &path, &source, &seen).await;
                    drop(place);
                });
            }
        });
        Ok(Self { address, asked, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether anybody has asked for something below its name.
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Whether this is a registry.
    Api,
    /// A manifest, of the offer of this number.
    Manifest(usize, Digest),
    /// A config or layer, of the offer of this number.
    Blob(usize, Digest),
}

/// A request, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    /// Whether only the head of the answer is wanted.
    head_only: bool,
    target: Target,
    /// `bytes=<first>-[last]`, the last one included.
    range: Option<(u64, Option<u64>)>,
}

/// Reads a request whose head is whole. The error is the status to answer with.
fn parse(head: &str, path: &str) -> Result<Request, u16> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(400);
    };
    let head_only = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err(405),
    };
    let mut range = None;
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(400_u16)?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" if value.trim() != "0" => return Err(400),
            "transfer-encoding" | "upgrade" => return Err(400),
            // What is no range of this form is ignored, as RFC 9110 allows.
            "range" => range = bounds(value.trim()),
            _ => {}
        }
    }
    let own = target.strip_prefix("/v2/").and_then(|rest| rest.strip_prefix(path)?.strip_prefix('/'));
    let target = match own {
        _ if target == "/v2/" => Target::Api,
        Some(own) => below(own).ok_or(404_u16)?,
        None => return Err(404),
    };
    Ok(Request { head_only, target, range })
}

/// What `<number of the offer>/<kind>/<digest>` is.
fn below(own: &str) -> Option<Target> {
    let mut names = own.split('/');
    let (offer, kind, digest) = (names.next()?, names.next()?, names.next()?);
    let (offer, digest) = (offer.parse().ok()?, digest.parse().ok()?);
    match (kind, names.next()) {
        ("manifests", None) => Some(Target::Manifest(offer, digest)),
        ("blobs", None) => Some(Target::Blob(offer, digest)),
        _ => None,
    }
}

fn bounds(value: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    Some((digits(first)?, if last.is_empty() { None } else { Some(digits(last)?) }))
}

async fn serve(mut stream: TcpStream, path: &str, source: &Source, asked: &AtomicBool) -> std::io::Result<()> {
    let request = match tokio::time::timeout(PATIENCE, read_head(&mut stream)).await {
        Ok(head) => head?.as_deref().map_or(Err(400), |head| parse(head, path)),
        Err(_) => return Ok(()),
    };
    let request = match request {
        Ok(request) => request,
        Err(status) => return refuse(&mut stream, status).await,
    };
    let head = |status: &str, extra: &str, length: u64| {
        format!("HTTP/1.1 {status}\r\n{extra}Content-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    let api = "Docker-Distribution-Api-Version: registry/2.0\r\n";
    match &request.target {
        Target::Api => {
            let text = format!("{}{{}}", head("200 OK", &format!("Content-Type: application/json\r\n{api}"), 2));
            stream.write_all(text.as_bytes()).await?;
        }
        Target::Manifest(offer, digest) => {
            asked.store(true, Ordering::Relaxed);
            let Some(offer) = source.manifest(*offer, digest) else { return refuse(&mut stream, 404).await };
            let extra = format!("Content-Type: {}\r\nDocker-Content-Digest: {digest}\r\n{api}", offer.media_type);
            stream.write_all(head("200 OK", &extra, offer.bytes.len() as u64).as_bytes()).await?;
            if !request.head_only {
                stream.write_all(&offer.bytes).await?;
            }
        }
        Target::Blob(offer, digest) => {
            asked.store(true, Ordering::Relaxed);
            let size = match source.served(*offer, digest) {
                None => return refuse(&mut stream, 404).await,
                Some(Served::Packed(size)) => size,
                Some(Served::Unpacked(layer)) => {
                    return unpacked(stream, source, digest, &layer, request.head_only).await;
                }
            };
            let span = match request.range {
                None => 0..size,
                Some((first, last)) if first < size => {
                    first..last.map_or(size, |last| last.saturating_add(1).min(size)).max(first)
                }
                Some(_) => return refuse(&mut stream, 416).await,
            };
            let extra = format!("Content-Type: application/octet-stream\r\nDocker-Content-Digest: {digest}\r\n");
            let head = if request.range.is_some() {
                let last = span.end.saturating_sub(1);
                let extra = format!("{extra}Content-Range: bytes {}-{last}/{size}\r\n", span.start);
                head("206 Partial Content", &extra, span.end - span.start)
            } else {
                head("200 OK", &format!("{extra}Accept-Ranges: bytes\r\n"), size)
            };
            if request.head_only {
                stream.write_all(head.as_bytes()).await?;
            } else {
                // Only now: what follows the head is verified.
                let Some(file) = source.blob(digest).await else { return refuse(&mut stream, 502).await };
                return send(stream, head, file, span).await;
            }
        }
    }
    stream.shutdown().await
}

/// The head of a request; none where it is too large, or no text.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 || head.len() + count > HEAD {
            return Ok(None);
        }
        head.extend_from_slice(&buffer[..count]);
        // An engine tries TLS first; it is to know at once that there is none.
        if !head[0].is_ascii_uppercase() {
            return Ok(None);
        }
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            head.truncate(end);
            return Ok(String::from_utf8(head).ok());
        }
    }
}

async fn refuse(stream: &mut TcpStream, status: u16) -> std::io::Result<()> {
    let text = format!("HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// Sends what a layer unpacks to. How long that is shows at its end, so the connection's end is the answer's; whether it is
/// all of it, the engine sees by the digest.
async fn unpacked(
    mut stream: TcpStream,
    source: &Source,
    digest: &Digest,
    layer: &Descriptor,
    head_only: bool,
) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nDocker-Content-Digest: {digest}\r\n\
         Connection: close\r\n\r\n"
    );
    if head_only {
        stream.write_all(head.as_bytes()).await?;
        return stream.shutdown().await;
    }
    let Some(path) = source.blob(&layer.digest).await else { return refuse(&mut stream, 502).await };
    let (mut stream, size) = (stream.into_std()?, layer.size);
    let (stream, sent) = blocking(move || {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(head.as_bytes())?;
        let mut file = BufReader::with_capacity(PIECE, std::fs::File::open(path)?);
        let first = file.fill_buf()?.first_chunk().copied().unwrap_or_default();
        let sent = copy(&mut unpack::open(first, file, size).map_err(std::io::Error::other)?, &mut stream)?;
        Ok::<_, std::io::Error>((stream, sent))
    })
    .await?;
    match sent {
        Ok(sent) => source.unpacked_to(&layer.digest, sent),
        // Before the engine hears the end: to it, what came so far may be all that there is.
        Err(fault) => source.spoiled(&layer.digest, fault),
    }
    stream.shutdown(std::net::Shutdown::Write)
}

/// Copies what a reader has, as it comes; how many bytes that are, or what is wrong with what it reads.
fn copy(reader: &mut impl BufRead, stream: &mut std::net::TcpStream) -> std::io::Result<Result<u64, Fault>> {
    let mut sent = 0;
    loop {
        let piece = match reader.fill_buf() {
            Ok(piece) => piece,
            Err(error) => return Ok(Err(Fault::unpack(error))),
        };
        let count = piece.len();
        if count == 0 {
            return Ok(Ok(sent));
        }
        stream.write_all(piece)?;
        reader.consume(count);
        sent += count as u64;
    }
}

/// Sends a part of a file, by the kernel alone.
async fn send(stream: TcpStream, head: String, path: PathBuf, span: Range<u64>) -> std::io::Result<()> {
    let mut stream = stream.into_std()?;
    blocking(move || {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(head.as_bytes())?;
        let file = std::fs::File::open(path)?;
        let mut at = span.start;
        while at < span.end {
            let count = usize::try_from(span.end - at).unwrap_or(usize::MAX).min(1024 * 1024);
            if rustix::fs::sendfile(&stream, &file, Some(&mut at), count)? == 0 {
                break;
            }
        }
        stream.shutdown(std::net::Shutdown::Write)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Result<Request, u16> {
        parse(&head.replace('\n', "\r\n"), "onramp/1f")
    }

    #[test]
    fn only_what_a_pull_asks_is_understood() {
        let digest = Digest::of(b"x");
        let get = |target: Target| Ok(Request { head_only: false, target, range: None });
        assert_eq!(parsed("GET /v2/ HTTP/1.1\nHost: x"), get(Target::Api));
        let manifest = format!("GET /v2/onramp/1f/0/manifests/{digest} HTTP/1.1\nHost: x\nAccept: y");
        assert_eq!(parsed(&manifest), get(Target::Manifest(0, digest.clone())));
        let blob = format!("HEAD /v2/onramp/1f/12/blobs/{digest} HTTP/1.1\nrange: bytes=3-");
        let expected = Request { head_only: true, target: Target::Blob(12, digest.clone()), range: Some((3, None)) };
        assert_eq!(parsed(&blob), Ok(expected));
        for (head, status) in [
            (format!("GET /v2/onramp/1e/0/blobs/{digest} HTTP/1.1"), 404),
            (format!("GET /v2/onramp/1f/../1f/0/blobs/{digest} HTTP/1.1"), 404),
            (format!("GET /v2/onramp/1f/0/blobs/{digest}?x HTTP/1.1"), 404),
            ("GET /v2/onramp/1f/0/manifests/latest HTTP/1.1".to_owned(), 404),
            (format!("GET /v2/onramp/1f/blobs/{digest} HTTP/1.1"), 404),
            (format!("GET /v2/onramp/1f/-1/blobs/{digest} HTTP/1.1"), 404),
            (format!("GET /v2/onramp/1f/0/blobs/{digest}/x HTTP/1.1"), 404),
            ("GET /etc/passwd HTTP/1.1".to_owned(), 404),
            (format!("DELETE /v2/onramp/1f/0/blobs/{digest} HTTP/1.1"), 405),
            ("GET /v2/ HTTP/1.0".to_owned(), 400),
            ("GET /v2/ HTTP/1.1 x".to_owned(), 400),
            ("GET /v2/ HTTP/1.1\nTransfer-Encoding: chunked".to_owned(), 400),
            ("GET /v2/ HTTP/1.1\nContent-Length: 5".to_owned(), 400),
            ("GET /v2/ HTTP/1.1\nx".to_owned(), 400),
            (String::new(), 400),
        ] {
            assert_eq!(parsed(&head), Err(status), "{head}");
        }
    }

    #[tokio::test]
    async fn who_speaks_tls_is_told_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(b"\x16\x03\x01\x02").await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        assert_eq!(read_head(&mut server).await.unwrap(), None);
    }

    #[test]
    fn ranges_of_the_one_form() {
        assert_eq!(bounds("bytes=0-9"), Some((0, Some(9))));
        for other in ["bytes=-5", "bytes=1-2,4-5", "bytes=+1-2", "bytes=5", "lines=1-2", "bytes=99999999999999999999-"]
        {
            assert_eq!(bounds(other), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_head_makes_the_parser_panic(head in "(?s).*") {
            let _ = parse(&head, "onramp/1f");
        }
    }
}
