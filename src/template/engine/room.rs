//! Room for values in values in values: a template can nest them as deep as its fuel lasts, and what is that deep is
//! dropped, compared and shown by functions that call themselves.

use std::cell::Cell;
use std::{io, panic, thread};

/// The stack of a thread that renders, in bytes. Nothing of it is memory before it is used.
const STACK: usize = 256 * 1024 * 1024;

thread_local! {
    static ROOMY: Cell<bool> = const { Cell::new(false) };
}

/// Runs something where there is room.
pub fn with_room<T: Send>(run: impl FnOnce() -> T + Send) -> io::Result<T> {
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
