//! The `onramp` binary: run, and turn the outcome into an exit code.

use std::process::ExitCode;

/// Gives back what a phase of a large project's command took as soon as it ends, which the system's own does not.
/// `.cargo/config.toml` says how.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    onramp::cli::main()
}
