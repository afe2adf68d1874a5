//! A person at a terminal: a pseudo-terminal, what stands on it, and keys.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::run::Run;

/// How long is waited for what must come.
const LIMIT: Duration = Duration::from_mins(1);

pub const ENTER: &str = "\r";
pub const ESCAPE: &str = "\x1b";
pub const DOWN: &str = "\x1b[B";
pub const SPACE: &str = " ";
pub const INTERRUPT: &str = "\x03";

/// A run that talks to a person.
pub struct Talk {
    child: Child,
    keys: File,
    bytes: Receiver<Vec<u8>>,
    said: Vec<u8>,
    /// How much of what was said has been waited for, as text.
    seen: usize,
}

impl Talk {
    /// Starts a run at a terminal of its own.
    pub fn start(run: Run<'_>) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        tcsetwinsize(&controller, Winsize { ws_row: 50, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
        let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
        // It gives the run a session with this terminal, as a shell's window does.
        let mut command = run.env("TERM", "xterm-256color").through("setsid", &["--ctty", "--wait"]);
        command.stdin(terminal.try_clone().unwrap()).stdout(terminal.try_clone().unwrap()).stderr(terminal);
        let child = command.spawn().expect("setsid is there");
        // The command holds the run's end of the terminal; the last output is known only once that is closed here.
        drop(command);
        let keys = File::from(controller);
        let mut screen = keys.try_clone().unwrap();
        let (sender, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal that nobody holds any more ends with an error.
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, bytes, said: Vec::new(), seen: 0 }
    }

    /// Everything that was said, without colours and the cursor's moves.
    pub fn said(&self) -> String {
        console::strip_ansi_codes(&String::from_utf8_lossy(&self.said)).into_owned()
    }

    /// Waits until this is said, after what was waited for before.
    #[track_caller]
    pub fn hears(&mut self, text: &str) -> &mut Self {
        let until = Instant::now() + LIMIT;
        loop {
            let said = self.said();
            if let Some(at) = said.get(self.seen..).and_then(|new| new.find(text)) {
                self.seen += at + text.len();
                return self;
            }
            match self.bytes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.said.extend(bytes),
                Err(error) => panic!("`{text}` is not said ({error}) after {:?}, in:\n{said}", said.get(..self.seen)),
            }
        }
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits for the end; the code, and everything that was said.
    #[track_caller]
    pub fn ends(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + LIMIT;
        while let Ok(bytes) = self.bytes.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.said.extend(bytes);
        }
        assert!(Instant::now() < until, "it does not end:\n{}", self.said());
        let code = self.child.wait().unwrap().code();
        (code, self.said())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // One that a failed test left; one that ended is not there to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
