//! An HTTP server on loopback that answers as it is told, wrongly where that is the test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use onramp::reference::ImageRef;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// From 0.
    pub number: usize,
    pub method: String,
    /// Path and query.
    pub target: String,
    pub body: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The first and last byte of the range that is asked for.
    pub fn range(&self) -> Option<(usize, usize)> {
        let (start, end) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().ok()?, end.parse().ok()?))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered.
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunked: bool,
    cut: Option<usize>,
    hold: bool,
    endless: bool,
    wait: Duration,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            chunked: false,
            cut: None,
            hold: false,
            endless: false,
            wait: Duration::ZERO,
        }
    }

    pub fn json(text: &str) -> Self {
        Self::status(200).header("Content-Type", "application/json").body(text.as_bytes())
    }

    pub fn manifest(bytes: &[u8]) -> Self {
        Self::status(200).header("Content-Type", "application/vnd.oci.image.manifest.v1+json").body(bytes)
    }

    /// Nothing at all: the connection ends.
    pub fn silence() -> Self {
        Self { cut: Some(0), ..Self::status(200) }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// Without saying how long it is.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// A blob as an honest registry sends it: the range that is asked for, or all.
    pub fn blob(seen: &Seen, bytes: &[u8]) -> Self {
        let Some((start, end)) = seen.range() else { return Self::status(200).body(bytes) };
        let told = format!("bytes {start}-{end}/{}", bytes.len());
        Self::status(206).header("Content-Range", &told).body(&bytes[start..=end])
    }

    /// Only after this time.
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The body again and again, until nobody listens.
    pub fn endless(mut self) -> Self {
        (self.chunked, self.endless) = (true, true);
        self
    }

    /// After so many bytes of the body nothing comes any more, and the connection stays.
    pub fn hold_after(mut self, bytes: usize) -> Self {
        (self.cut, self.hold) = (Some(bytes), true);
        self
    }

    /// The connection ends after so many bytes of the body.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    async fn write(self, stream: &mut TcpStream) -> std::io::Result<()> {
        tokio::time::sleep(self.wait).await;
        if self.cut == Some(0) && !self.hold {
            return Ok(());
        }
        let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name.as_str(), ": ", value, "\r\n"]);
        }
        if self.chunked {
            head.push_str("Transfer-Encoding: chunked\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            loop {
                for chunk in self.body.chunks(65_536) {
                    stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
                    stream.write_all(chunk).await?;
                    stream.write_all(b"\r\n").await?;
                }
                if !self.endless {
                    break;
                }
            }
            return stream.write_all(b"0\r\n\r\n").await;
        }
        stream.write_all(format!("{head}Content-Length: {}\r\n\r\n", self.body.len()).as_bytes()).await?;
        let end = self.cut.unwrap_or(self.body.len());
        stream.write_all(&self.body[..end]).await?;
        if self.hold {
            // Until the client hangs up.
            stream.read_u8().await?;
        }
        Ok(())
    }
}

/// The server. Ends with the test.
pub struct Liar {
    host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Liar {
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(move |seen, _| answer(seen)).await
    }

    /// The same, for answers that name the server itself.
    pub async fn start_with(answer: impl Fn(&Seen, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (own, log, answer) = (host.clone(), seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (own, log, answer) = (own.clone(), log.clone(), answer.clone());
                tokio::spawn(async move {
                    let Some(mut request) = read(&mut stream).await else { return };
                    let reply = {
                        let mut log = log.lock().unwrap();
                        request.number = log.len();
                        log.push(request.clone());
                        answer(&request, &own)
                    };
                    // The client may hang up on what it does not want to hear.
                    let _ = reply.write(&mut stream).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { host, seen }
    }

    pub fn host(&self) -> String {
        self.host.clone()
    }

    pub fn image(&self, rest: &str) -> ImageRef {
        format!("{}/{rest}", self.host).parse().unwrap()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).await.ok()?;
    Some(Seen { number: 0, method, target, body: String::from_utf8_lossy(&body).into_owned(), headers })
}
