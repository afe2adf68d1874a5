//! Brings Xdebug's connections from a container whose network has no way out to the editor on this machine's loopback.
//!
//! A program of the container listens on the container's own loopback, and its input and output are the only wire: no port of
//! this machine is opened, and nothing but this reaches the editor.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;

use super::PORT;
use crate::engine::{Engine, Error, ExecSpec, Interactive};

/// The program in the container.
const LISTENER: &str = include_str!("listener.php");
/// The longest frame that is believed, in bytes. The listener reads no more at once.
const LONGEST: usize = 65_536;
/// How many bytes are read from the editor at once.
const CHUNK: usize = 16 * 1024;
/// How many connections there may be at once.
const MOST: usize = 64;
/// How long a container that was stopped may take to run again: a test starts its service anew.
const GRACE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// Relays as long as the container is there, to the editor at a loopback port. `ready` is called once it listens.
pub async fn run(engine: &Engine, container: &str, editor: u16, ready: impl Fn()) -> Result<(), Error> {
    while is_running(engine, container).await? {
        listen(engine, container, editor, &ready).await?;
        if !comes_back(engine, container).await? {
            break;
        }
    }
    Ok(())
}

async fn is_running(engine: &Engine, container: &str) -> Result<bool, Error> {
    let found = engine.containers(&[]).await?;
    Ok(found.iter().any(|found| found.id == container && found.running))
}

/// Whether a container that ended is started again.
async fn comes_back(engine: &Engine, container: &str) -> Result<bool, Error> {
    let until = tokio::time::Instant::now() + GRACE;
    while tokio::time::Instant::now() < until {
        let Some(found) = engine.containers(&[]).await?.into_iter().find(|found| found.id == container) else {
            return Ok(false);
        };
        if found.running {
            return Ok(true);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(false)
}

/// Listens in the container until the listener ends.
async fn listen(engine: &Engine, container: &str, editor: u16, ready: &impl Fn()) -> Result<(), Error> {
    // It must not be debugged itself.
    let command =
        ["php", "-d", "xdebug.mode=off", "-d", "display_errors=stderr", "-r", LISTENER, "--"].map(str::to_owned);
    let spec = ExecSpec {
        container: container.to_owned(),
        command: command.into_iter().chain([PORT.to_string()]).collect(),
        env: vec!["XDEBUG_MODE=off".to_owned()],
        input: true,
        ..ExecSpec::default()
    };
    let Interactive { id: _, mut output, mut input } = engine.exec(&spec).await?;
    let (sender, mut answers) = mpsc::channel::<(u32, Vec<u8>)>(MOST);
    let mut editors: BTreeMap<u32, OwnedWriteHalf> = BTreeMap::new();
    let mut said = Vec::new();
    loop {
        tokio::select! {
            chunk = output.next() => {
                let Some(chunk) = chunk else { return Ok(()) };
                let (stderr, bytes) = chunk?;
                if stderr {
                    continue;
                }
                said.extend(bytes);
                while let Some((id, bytes)) = take_frame(&mut said)? {
                    if id == 0 {
                        ready();
                    } else {
                        tell(editor, &mut editors, id, bytes, &sender).await;
                    }
                }
            }
            Some((id, bytes)) = answers.recv() => {
                if bytes.is_empty() {
                    editors.remove(&id);
                }
                let frame = frame(id, &bytes);
                if input.write_all(&frame).await.is_err() || input.flush().await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// Tells the editor what Xdebug said on a connection. Where no editor listens, Xdebug hears the end of it, and goes on.
async fn tell(
    port: u16,
    editors: &mut BTreeMap<u32, OwnedWriteHalf>,
    id: u32,
    bytes: Vec<u8>,
    answers: &mpsc::Sender<(u32, Vec<u8>)>,
) {
    if bytes.is_empty() {
        editors.remove(&id);
        return;
    }
    if !editors.contains_key(&id) {
        let stream = if editors.len() < MOST { TcpStream::connect(("127.0.0.1", port)).await.ok() } else { None };
        let Some(stream) = stream else {
            let _ = answers.send((id, Vec::new())).await;
            return;
        };
        let (mut reading, writing) = stream.into_split();
        editors.insert(id, writing);
        let answers = answers.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; CHUNK];
            while let Ok(count @ 1..) = reading.read(&mut buffer).await {
                if answers.send((id, buffer[..count].to_vec())).await.is_err() {
                    return;
                }
            }
            let _ = answers.send((id, Vec::new())).await;
        });
    }
    if let Some(editor) = editors.get_mut(&id)
        && editor.write_all(&bytes).await.is_err()
    {
        editors.remove(&id);
    }
}

fn frame(id: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("no more was read");
    [&id.to_be_bytes()[..], &length.to_be_bytes(), bytes].concat()
}

/// Takes the first frame of what was said, if it is whole.
fn take_frame(said: &mut Vec<u8>) -> Result<Option<(u32, Vec<u8>)>, Error> {
    let Some((id, rest)) = said.split_first_chunk::<4>() else { return Ok(None) };
    let Some(length) = rest.first_chunk::<4>() else { return Ok(None) };
    let (id, length) = (u32::from_be_bytes(*id), u32::from_be_bytes(*length) as usize);
    if length > LONGEST {
        return Err(Error::Broken { verb: "relay Xdebug".to_owned(), detail: "it sent no frame".to_owned() });
    }
    if said.len() < 8 + length {
        return Ok(None);
    }
    let bytes = said[8..8 + length].to_vec();
    said.drain(..8 + length);
    Ok(Some((id, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_whole_and_long_ones_are_refused() {
        let mut said = [frame(7, b"init"), frame(7, b""), vec![0, 0]].concat();
        assert_eq!(take_frame(&mut said).unwrap(), Some((7, b"init".to_vec())));
        assert_eq!(take_frame(&mut said).unwrap(), Some((7, Vec::new())));
        assert_eq!(take_frame(&mut said).unwrap(), None);
        let mut wrong = b"PHP Warning: something".to_vec();
        assert!(take_frame(&mut wrong).is_err());
    }
}
