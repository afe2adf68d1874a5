//! Room for values in values in values: a template can nest them as deep as its fuel lasts, and what is that deep is
//! dropped, compared and shown by functions that call themselves.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{io, panic, thread};

/// The stack of a thread that renders, in bytes. Nothing of it is memory before it is used.
const STACK: usize = 256 * 1024 * 1024;

/// How long one text may take to render. The largest honest ones take a second.
const LONGEST: Duration = Duration::from_secs(20);
/// How much memory the process may gain while something is rendered, in bytes.
const MOST_GAINED: u64 = 1024 * 1024 * 1024;

/// Since when a text is rendered, with the memory that the process had when its thread began.
static SINCE: Mutex<Vec<(thread::ThreadId, Instant, u64)>> = Mutex::new(Vec::new());

thread_local! {
    static ROOMY: Cell<bool> = const { Cell::new(false) };
}

/// Runs something where there is room.
pub fn with_room<T: Send>(run: impl FnOnce() -> T + Send) -> io::Result<T> {
    if ROOMY.get() {
        Watched::next();
        return Ok(run());
    }
    thread::scope(|scope| {
        let roomy = || {
            ROOMY.set(true);
            let _watched = Watched::new();
            run()
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, roomy)?;
        Ok(thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)))
    })
}

/// A rendering that [`exhausted`] knows of.
struct Watched(thread::ThreadId);

impl Watched {
    fn new() -> Self {
        let id = thread::current().id();
        renderings().push((id, Instant::now(), memory()));
        Self(id)
    }

    /// The thread's next text begins.
    fn next() {
        let id = thread::current().id();
        if let Some((_, since, _)) = renderings().iter_mut().find(|(other, ..)| *other == id) {
            *since = Instant::now();
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        renderings().retain(|(id, ..)| *id != self.0);
    }
}

fn renderings() -> std::sync::MutexGuard<'static, Vec<(thread::ThreadId, Instant, u64)>> {
    // A thread that panicked left whole entries.
    SINCE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Whether a template takes longer, or more memory, than any honest one. Fuel ends most of them; not one that makes an
/// operation of a single step huge (`x + x` of lists, again and again). A thread cannot be ended from outside, so who asks
/// ends the process: nothing is written while something is rendered.
pub fn exhausted() -> bool {
    let renderings = renderings();
    renderings
        .iter()
        .any(|(_, since, before)| since.elapsed() > LONGEST || memory().saturating_sub(*before) > MOST_GAINED)
}

/// The memory of this process, in bytes; nothing where the system does not tell.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}
