//! The same program without the line: it has the dependency and not the kind. `.ci/plugin` shows what
//! its doctor says of that, and the test here what the test of such a program says.

use std::process::ExitCode;

fn main() -> ExitCode {
    wanctl::cli::main(std::env::args_os())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_assertion_names_the_forgotten_line() {
        let panic = std::panic::catch_unwind(|| wanctl::sink::assert_linked!("graphite"));
        let said = *panic.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("unknown kind `graphite`"), "{said}");
        assert!(said.contains("`use the_crate as _;`"), "{said}");
    }
}
