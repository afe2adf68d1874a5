//! Whether a service answers: probed over its loopback port, not by the engine's health interval.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::engine::Published;
use crate::project::service::Service;

/// The first probes come this close after each other.
const QUICK: Duration = Duration::from_millis(10);
/// After a second of them the gaps grow, up to this.
const SLOW: Duration = Duration::from_millis(500);
/// One probe takes at most this long.
const PROBE: Duration = Duration::from_secs(5);
/// More of an answer than this is not read, in bytes.
const ANSWER_CAP: u64 = 256 * 1024;
/// A connection to a container itself takes at most this long; where a firewall drops it, the published port is asked.
const DIRECT: Duration = Duration::from_secs(1);
/// A connection through the engine's proxy that is neither spoken to nor closed for this long is to a service that listens.
const SILENCE: Duration = Duration::from_millis(500);

/// Probes until the service answers; what it answered. `last` keeps what the latest probe saw, for a timeout's message.
pub async fn wait(service: &Service, port: Published, last: &mut String) -> String {
    let mut gap = QUICK;
    let mut quick_probes = 100;
    loop {
        let seen = match &service.ready {
            Some(ready) => http(port.at, &ready.http).await,
            None => tcp(port).await,
        };
        match seen {
            Ok(answer) => return answer,
            Err(reason) => *last = reason,
        }
        tokio::time::sleep(gap).await;
        if quick_probes > 0 {
            quick_probes -= 1;
        } else {
            gap = (gap * 3 / 2).min(SLOW);
        }
    }
}

/// One GET; what it answered if that is a 2xx or 3xx.
async fn http(at: SocketAddr, path: &str) -> Result<String, String> {
    let line = match timeout(PROBE, get(at, path)).await {
        Ok(Ok((line, _))) => line,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("GET {path} got no answer within {} s", PROBE.as_secs())),
    };
    match line.split(' ').nth(1) {
        Some(status) if is_good(&line) => Ok(format!("GET {path} → {status}")),
        Some(status) if line.starts_with("HTTP/") => {
            Err(format!("GET {path} → {}", crate::text::neutral_line(status, 10)))
        }
        _ => Err(format!("GET {path} got no HTTP answer")),
    }
}

/// Whether this is the status line of an answer that is 2xx or 3xx.
pub fn is_good(line: &str) -> bool {
    line.starts_with("HTTP/") && line.split(' ').nth(1).is_some_and(|status| status.starts_with(['2', '3']))
}

/// One GET over HTTP/1.0, whose answer ends with the connection (RFC 1945): the status line, and the body as text, cut at
/// the cap.
pub async fn get(at: SocketAddr, path: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(at).await?;
    let host = if at.ip().is_loopback() { format!("localhost:{}", at.port()) } else { at.to_string() };
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: onramp\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_CAP).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

/// A connection to the service. The engine's own proxy accepts for one that is not there yet, and closes as soon as it
/// finds out, which may take a while on a busy machine. So the container is asked itself; where it cannot be reached, only
/// a service that speaks or keeps a connection open for long counts.
async fn tcp(port: Published) -> Result<String, String> {
    let listens = || Ok("accepts connections".to_owned());
    if let Some(own) = port.own {
        match timeout(DIRECT, TcpStream::connect(own)).await {
            Ok(Ok(_)) => return listens(),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => return Err(error.to_string()),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    let connect = timeout(PROBE, TcpStream::connect(port.at));
    let mut stream = match connect.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("no connection".to_owned()),
    };
    let mut byte = [0];
    match timeout(SILENCE, stream.read(&mut byte)).await {
        Ok(Ok(0) | Err(_)) => Err("the connection was closed at once".to_owned()),
        Ok(Ok(_)) | Err(_) => listens(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers its connections with these bytes, one after the other, then hangs up. Where it is asked
    /// something it hears that first: a connection closed with something unread is reset, and the answer with it.
    async fn server(asked: bool, answers: &'static [&'static [u8]]) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                if asked {
                    let _ = stream.read(&mut [0; 512]).await;
                }
                stream.write_all(answer).await.unwrap();
            }
        });
        port
    }

    fn proxied(host: u16) -> Published {
        Published { at: ([127, 0, 0, 1], host).into(), own: None }
    }

    #[tokio::test]
    async fn a_service_is_ready_when_it_says_so_and_not_before() {
        let port =
            server(true, &[b"", b"HTTP/1.1 503 Busy\r\n\r\n", b"nonsense\n", b"HTTP/1.1 204 No Content\r\n\r\n"]).await;
        let service = Service {
            port: Some(80),
            ready: Some(crate::project::service::Ready { http: "/health".into() }),
            ..Default::default()
        };
        let mut last = String::new();
        assert_eq!(wait(&service, proxied(port), &mut last).await, "GET /health → 204");
        assert_eq!(last, "GET /health got no HTTP answer");
    }

    #[tokio::test]
    async fn a_port_that_closes_at_once_is_not_ready() {
        let port = server(false, &[b"", b"5.5.5-MariaDB"]).await;
        let mut last = String::new();
        assert_eq!(wait(&Service::default(), proxied(port), &mut last).await, "accepts connections");
        assert_eq!(last, "the connection was closed at once");
    }

    #[tokio::test]
    async fn a_proxy_that_holds_a_connection_is_not_the_service() {
        // It is accepted by the system, and nobody ever closes it.
        let proxy = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let service = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = Published { at: proxy.local_addr().unwrap(), own: Some(service.local_addr().unwrap()) };
        assert_eq!(tcp(port).await.as_deref(), Ok("accepts connections"));
        drop(service);
        let refused = tcp(port).await.unwrap_err();
        assert!(refused.contains("refused"), "{refused}");
        assert!(
            tcp(Published { own: None, ..port }).await.is_ok(),
            "where the container is out of reach, nothing tells them apart"
        );
    }
}
