//! Room for values in values in values: a template can nest them as deep as its fuel lasts, and what is that deep is
//! dropped, compared and shown by functions that call themselves.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{io, panic, thread};

use crate::text::neutral_line;

/// The stack of a thread that renders, in bytes. Nothing of it is memory before it is used.
const STACK: usize = 256 * 1024 * 1024;

/// How long one text may take to render. The largest honest ones take a second.
const LONGEST: Duration = Duration::from_secs(20);
/// How much memory the process may gain while something is rendered, in bytes.
const MOST_GAINED: u64 = 1024 * 1024 * 1024;

/// What is rendered now.
static RENDERINGS: Mutex<Vec<Rendering>> = Mutex::new(Vec::new());

/// A text that is rendered.
struct Rendering {
    thread: thread::ThreadId,
    since: Instant,
    /// The memory that the process had when its thread began.
    before: u64,
    /// Where the text stands; nothing before the thread's first one.
    place: String,
}

thread_local! {
    static ROOMY: Cell<bool> = const { Cell::new(false) };
}

/// Runs something where there is room. `place` is where the template's text stands: what [`exhausted`] calls it.
pub fn with_room<T: Send>(place: &str, run: impl FnOnce() -> T + Send) -> io::Result<T> {
    in_room(|| {
        let _watched = Watched::next(place);
        run()
    })
}

/// Runs something that renders now and then, all of it where there is room: what one thread after the other leaves in memory
/// is more than what one does.
pub fn in_room<T: Send>(run: impl FnOnce() -> T + Send) -> io::Result<T> {
    if ROOMY.get() {
        return Ok(run());
    }
    thread::scope(|scope| {
        let roomy = || {
            ROOMY.set(true);
            run()
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, roomy)?;
        Ok(thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)))
    })
}

/// A rendering that [`exhausted`] knows of.
struct Watched(thread::ThreadId);

impl Watched {
    /// The thread's next text begins. Given back is what ends with the first one.
    fn next(place: &str) -> Option<Self> {
        let thread = thread::current().id();
        let mut renderings = renderings();
        if let Some(rendering) = renderings.iter_mut().find(|rendering| rendering.thread == thread) {
            rendering.since = Instant::now();
            place.clone_into(&mut rendering.place);
            return None;
        }
        renderings.push(Rendering { thread, since: Instant::now(), before: memory(), place: place.to_owned() });
        Some(Self(thread))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        renderings().retain(|rendering| rendering.thread != self.0);
    }
}

fn renderings() -> std::sync::MutexGuard<'static, Vec<Rendering>> {
    // A thread that panicked left whole entries.
    RENDERINGS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Where the text stands that takes longer, or more memory, than any honest one. Fuel ends most of them; not one that makes
/// an operation of a single step huge (`x + x` of lists, again and again). A thread cannot be ended from outside, so who
/// asks ends the process: nothing is written while something is rendered.
pub fn exhausted() -> Option<String> {
    let renderings = renderings();
    let exhausts = |rendering: &&Rendering| {
        rendering.since.elapsed() > LONGEST || memory().saturating_sub(rendering.before) > MOST_GAINED
    };
    renderings.iter().find(exhausts).map(|rendering| neutral_line(&rendering.place, 200))
}

/// The memory of this process, in bytes; nothing where the system does not tell.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}
