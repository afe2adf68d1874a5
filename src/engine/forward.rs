//! Ports that an engine elsewhere publishes on its own loopback, brought to this one's by ssh.
//!
//! Each has an ssh in the background, which ends with its container. Its control socket is all that is remembered of it: the
//! name says for which container it is and which two ports it joins, and who answers there is asked to end.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use super::dial::ssh;
use super::{Destination, Engine, Error, Way};
use crate::reference::Digest;
use crate::task::blocking;

/// How often a port is chosen anew that somebody else took before ssh could.
const TURNS: usize = 3;

/// A port of this machine that leads to one of the engine's.
struct Forward {
    socket: PathBuf,
    there: u16,
    here: u16,
}

impl Engine {
    /// Where ssh goes; none where the engine is reached otherwise.
    fn through(&self) -> Option<&Destination> {
        match self.address().way() {
            Way::Ssh(to) => Some(to),
            _ => None,
        }
    }

    /// The loopback port of this machine that leads to a container's published one; none where nothing does any more.
    pub(super) fn seen_here(&self, container: &str, published: u16) -> Option<u16> {
        let Some(to) = self.through() else { return Some(published) };
        let mut forwards = forwards(to, container).into_iter();
        forwards.find(|forward| forward.there == published && forward.runs()).map(|forward| forward.here)
    }

    /// The same; where nothing leads there yet, it is made so.
    pub(super) async fn brought_here(&self, container: &str, published: u16) -> Result<u16, Error> {
        let Some(to) = self.through() else { return Ok(published) };
        if let Some(here) = self.seen_here(container, published) {
            return Ok(here);
        }
        // A container that was started again has another port.
        self.forget_forwards(container).await;
        let mut said = String::new();
        for turn in 0..TURNS {
            let here = free(if turn == 0 { published } else { 0 }).or_else(|| free(0)).unwrap_or_default();
            match forward(to, container, published, here).await {
                Ok(done) if done.status.success() => return Ok(here),
                Ok(done) => said = ssh::last_line(&String::from_utf8_lossy(&done.stderr)),
                Err(error) => said = error.to_string(),
            }
        }
        Err(Error::NoForward { host: self.host().to_owned(), port: published, detail: said })
    }

    /// Ends what leads to a container.
    pub(super) async fn forget_forwards(&self, container: &str) {
        let Some(to) = self.through() else { return };
        for forward in forwards(to, container) {
            end(to, &forward.socket).await;
        }
    }
}

impl Forward {
    /// Whether somebody answers at its socket.
    fn runs(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok()
    }
}

/// What the names of a container's sockets begin with.
fn prefix(to: &Destination, container: &str) -> String {
    let whole = Digest::of(format!("{}\0{container}", to.arguments().join("\0")).as_bytes());
    whole.hex()[..8].to_owned()
}

fn forwards(to: &Destination, container: &str) -> Vec<Forward> {
    let prefix = prefix(to, container);
    let entries = ssh::sockets().and_then(|directory| std::fs::read_dir(directory).ok());
    let forward = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let (there, here) = name.strip_prefix(&prefix)?.strip_prefix('.')?.split_once('.')?;
        Some(Forward { socket: entry.path(), there: there.parse().ok()?, here: here.parse().ok()? })
    };
    entries.into_iter().flatten().flatten().filter_map(forward).collect()
}

/// Starts one: an ssh that goes into the background, and is then asked for the port. What the user's own settings forward is
/// none of its business, and would be refused to the second of them: so it begins without any forward.
async fn forward(to: &Destination, container: &str, there: u16, here: u16) -> std::io::Result<Output> {
    let nowhere = || std::io::Error::other("there is no directory for its socket");
    let directory = ssh::sockets().ok_or_else(nowhere)?;
    let socket = directory.join(format!("{}.{there}.{here}", prefix(to, container)));
    let begun = begin(to, &socket).await?;
    if !begun.status.success() {
        return Ok(begun);
    }
    let mut command = ssh::command(to, &ssh::Sharing::By(&socket));
    command.args(["-F", "none", "-O", "forward", "-L", &format!("127.0.0.1:{here}:127.0.0.1:{there}")]);
    let asked = command.args(to.arguments()).output().await?;
    if !asked.status.success() {
        end(to, &socket).await;
    }
    Ok(asked)
}

/// Starts an ssh that waits in the background.
async fn begin(to: &Destination, socket: &Path) -> std::io::Result<Output> {
    let mut command = ssh::command(to, &ssh::Sharing::As(socket)).into_std();
    command.args(["-f", "-N", "-o", "ServerAliveInterval=15", "-o", "ClearAllForwardings=yes"]).args(to.arguments());
    // What goes into the background keeps hold of what it was given to write to: that is a file then, and no pipe.
    blocking(move || {
        let mut said = tempfile::tempfile()?;
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone()?).status()?;
        let mut stderr = Vec::new();
        std::io::Seek::rewind(&mut said)?;
        std::io::Read::read_to_end(&mut said, &mut stderr)?;
        Ok(Output { status, stdout: Vec::new(), stderr })
    })
    .await
}

/// Asks the ssh that answers at a socket to end.
async fn end(to: &Destination, socket: &Path) {
    let mut command = ssh::command(to, &ssh::Sharing::By(socket));
    let _ = command.args(["-O", "exit"]).args(to.arguments()).output().await;
    // One that was killed left its name.
    let _ = std::fs::remove_file(socket);
}

/// This port, if nobody listens there; with 0, one that the system chooses.
fn free(port: u16) -> Option<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    listener.local_addr().ok().map(|address| address.port())
}
