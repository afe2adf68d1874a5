//! Work that waits on files or git, run where it holds up nothing else.

/// Runs the work on a thread that may block. A panic in it is a panic here.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(broken) => std::panic::resume_unwind(broken.into_panic()),
    }
}

/// Runs the work on a new thread and holds up everything else until it is done. A new thread takes over the memory of one
/// that has ended, which no other thread does.
pub fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked)))
}
