//! The `wanctl` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    wanctl::cli::main(std::env::args_os())
}
