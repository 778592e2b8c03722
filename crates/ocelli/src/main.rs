//! The `ocelli` executable. All code is in the library, so that tests can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ocelli::cli::main()
}
