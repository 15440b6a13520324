//! wanctl with one sink more. All of its commands are here, and know the kind `graphite`.

use std::process::ExitCode;

// Without this line the crate is not linked, and the program does not know the kind.
use wanctl_sink_graphite as _;

fn main() -> ExitCode {
    wanctl::cli::main(std::env::args_os())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_sinks_we_use_are_linked() {
        wanctl::sink::assert_linked!("graphite", "sqlite");
    }
}
