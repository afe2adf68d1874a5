//! The `onramp` binary: run, and turn the outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    onramp::cli::main()
}
