//! ssh: the system's own, with the user's settings, keys and known hosts. On the other machine Docker's client connects what it
//! is told to the engine (`docker system dial-stdio`), as it does for a client of Docker's.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use super::super::{Destination, Error};
use super::{Dial, Line};
use crate::files;
use crate::reference::Digest;
use crate::text::neutral_line;

/// How much of a complaint is read, in bytes.
const COMPLAINT: u64 = 4096;
/// What ssh ends with when the failure is its own, a shell where there is no such program.
const OWN: i32 = 255;
const NO_PROGRAM: i32 = 127;
/// The longest directory of ssh's sockets, in bytes: the system's limit for a path is 104 on some, and ssh puts a name behind
/// it, and for a while 17 more.
const DIRECTORY: usize = 66;
/// How long a process may take to end when nobody speaks with it any more.
const ENDING: Duration = Duration::from_secs(1);

/// Connects so to one engine.
#[derive(Clone)]
pub(in super::super) struct Ssh {
    host: String,
    to: Destination,
}

impl Ssh {
    pub(in super::super) fn new(host: &str, to: &Destination) -> Self {
        Self { host: host.to_owned(), to: to.clone() }
    }

    /// What a connection that ended before it answered had to complain about.
    fn sort(&self, status: Option<ExitStatus>, complaint: &str) -> Option<Error> {
        let (host, detail) = (self.host.clone(), last_line(complaint));
        let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
        match status?.code() {
            Some(OWN) if says(&["Host key verification failed", "REMOTE HOST IDENTIFICATION"]) => {
                Some(Error::NotTrusted { host, detail })
            }
            Some(OWN) if says(&["Permission denied", "Too many authentication"]) => {
                Some(Error::NotLetIn { host, detail })
            }
            Some(OWN) => Some(Error::NoMachine { host, detail }),
            Some(NO_PROGRAM) => Some(Error::NoDialler { host, detail }),
            _ if says(&["permission denied"]) => Some(Error::NotAllowed { host }),
            _ if says(&["is not a docker command", "unknown command", "unknown flag"]) => {
                Some(Error::NoDialler { host, detail })
            }
            _ => Some(Error::NoEngine { host, detail }),
        }
    }
}

/// How an ssh shares its connection with others.
pub(in super::super) enum Sharing<'a> {
    /// It takes the way of the last one, which stays open for a minute: a command takes dozens of connections, and a server
    /// lets in a few at a time.
    Alike,
    /// It has one of its own, and answers at this socket.
    As(&'a Path),
    /// It speaks to the one that answers there.
    By(&'a Path),
}

/// ssh, to be told more, and where to go. It never asks.
pub(in super::super) fn command(to: &Destination, sharing: &Sharing<'_>) -> Command {
    let mut command = Command::new("ssh");
    command.args(["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]);
    let control = |command: &mut Command, master: &str, path: Option<&Path>| {
        let path = path.map_or_else(|| "none".to_owned(), |path| path.display().to_string().replace('%', "%%"));
        command.args(["-o", &format!("ControlMaster={master}"), "-o", &format!("ControlPath={path}")]);
    };
    match sharing {
        Sharing::Alike => {
            let name = Digest::of(to.arguments().join("\0").as_bytes());
            let path = sockets().map(|directory| directory.join(&name.hex()[..8]));
            control(&mut command, if path.is_some() { "auto" } else { "no" }, path.as_deref());
            command.args(["-o", "ControlPersist=60"]);
            // One that is dead (a laptop slept, a network changed) would hold up whoever comes next.
            command.args(["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]);
            // What the user's settings forward is for their own sessions.
            command.args(["-o", "ClearAllForwardings=yes"]);
        }
        Sharing::As(path) => {
            control(&mut command, "yes", Some(path));
            command.args(["-o", "ControlPersist=no"]);
        }
        Sharing::By(path) => control(&mut command, "no", Some(path)),
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The directory of ssh's sockets, which this user alone may look into; none where somebody else was there first.
pub(in super::super) fn sockets() -> Option<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|set| set.is_absolute());
    let fitting = |directory: &PathBuf| directory.as_os_str().len() <= DIRECTORY;
    let directory = runtime.map(|runtime| runtime.join("onramp")).filter(fitting);
    let directory = directory.unwrap_or_else(|| std::env::temp_dir().join(format!("onramp-ssh-{user}")));
    files::private_directory(&directory).ok()?;
    let meta = directory.symlink_metadata().ok()?;
    let own = meta.is_dir() && meta.uid() == user && meta.mode().trailing_zeros() >= 6;
    (own && fitting(&directory)).then_some(directory)
}

impl Dial for Ssh {
    async fn dial(&self) -> Result<Line, Error> {
        let failed = |error: io::Error| Error::NoDialler { host: self.host.clone(), detail: format!("ssh: {error}") };
        let mut command = command(&self.to, &Sharing::Alike);
        command.args(self.to.arguments()).arg("docker");
        if let Some(socket) = &self.to.socket {
            command.args(["--host", &format!("unix://{socket}")]);
        }
        let mut child = command.args(["system", "dial-stdio"]).kill_on_drop(true).spawn().map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take();
        let (hold, held) = oneshot::channel::<()>();
        let process = tokio::spawn(async move {
            let complaint = async {
                let mut text = Vec::new();
                if let Some(stderr) = stderr {
                    let _ = stderr.take(COMPLAINT).read_to_end(&mut text).await;
                }
                String::from_utf8_lossy(&text).into_owned()
            };
            let ending = async {
                tokio::select! {
                    biased;
                    status = child.wait() => return status.ok(),
                    _ = held => {}
                }
                // Nobody speaks with it any more: mostly because it is about to end, and then how is worth knowing.
                if let Ok(status) = tokio::time::timeout(ENDING, child.wait()).await {
                    return status.ok();
                }
                let _ = child.kill().await;
                None
            };
            join(ending, complaint).await
        });
        let this = self.clone();
        let why = move |_: &hyper::Error| {
            async move {
                let (status, complaint) = process.await.ok()?;
                this.sort(status, &complaint)
            }
            .boxed()
        };
        Ok(Line { wire: Box::pin(Spoken { stdin, stdout, _process: hold }), why: Box::new(why) })
    }
}

/// What is said to a process and what it says, as one. It ends with it.
struct Spoken {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    _process: oneshot::Sender<()>,
}

impl AsyncRead for Spoken {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdout {
            Some(stdout) => Pin::new(stdout).poll_read(cx, into),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Spoken {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// A pipe is at its end when nobody has it any more.
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}

/// The last thing that somebody complained about.
pub(in super::super) fn last_line(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
    neutral_line(line, 200)
}
