//! Words that must be seen also when a test passes.

use std::io::Write;

/// Writes a line to standard error. What the print macros write, the test runner keeps to itself.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
