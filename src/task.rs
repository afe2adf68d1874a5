//! Work that waits on files or git, run where it holds up nothing else.

use std::num::NonZero;

/// So many small files are worth a thread of their own.
const SHARE: usize = 500;
/// The most threads that are at the files of one project: more would wait for the disk, and each needs memory.
const MOST: usize = 2;

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

/// How many threads are worth it for so many small files.
pub fn threads(files: usize) -> usize {
    let here = std::thread::available_parallelism().map_or(1, NonZero::get);
    (files / SHARE).clamp(1, here.min(MOST))
}

/// Does the same to each of many small files, on a few threads. The error is the first one in their order.
pub fn each<'f, T: Sync, E: Send>(files: &'f [T], work: impl Fn(&'f T) -> Result<(), E> + Sync) -> Result<(), E> {
    let threads = threads(files.len());
    if threads == 1 {
        return files.iter().try_for_each(work);
    }
    let work = &work;
    std::thread::scope(|scope| {
        let shares = files.chunks(files.len().div_ceil(threads));
        let shares: Vec<_> = shares.map(|share| scope.spawn(move || share.iter().try_for_each(work))).collect();
        let join = |share: std::thread::ScopedJoinHandle<'_, _>| {
            share.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
        };
        shares.into_iter().try_for_each(join)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_is_done_once_and_the_first_error_is_told() {
        for count in [0, 1, SHARE - 1, 2 * SHARE, 7 * SHARE + 3] {
            let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            let all: Vec<usize> = (0..count).collect();
            let worked: Result<(), usize> = each(&all, |&at| {
                done[at].fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            assert_eq!(worked, Ok(()));
            assert!(done.iter().all(|times| times.load(Ordering::Relaxed) == 1));
            let failed = each(&all, |&at| if at % 100 == 99 { Err(at) } else { Ok(()) });
            assert_eq!(failed, if count < 100 { Ok(()) } else { Err(99) });
        }
    }
}
