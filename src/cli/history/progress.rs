//! How far long work is, in one line of a terminal.

use std::io::{self, IsTerminal, Write};

/// How many steps pass between two looks at the line.
const STRIDE: u64 = 1 << 14;

/// A line on standard error that counts; nothing unless that is a terminal.
pub(super) struct Progress {
    what: &'static str,
    is_shown: bool,
    done: u64,
}

impl Progress {
    /// Counts `what` (`rows`), unless results go to the same terminal.
    pub(super) fn of(what: &'static str) -> Self {
        let is_shown = io::stderr().is_terminal() && !io::stdout().is_terminal();
        Progress { what, is_shown, done: 0 }
    }

    /// One more is done.
    pub(super) fn step(&mut self) {
        self.done += 1;
        if self.is_shown && self.done.is_multiple_of(STRIDE) {
            self.show(&format!("{} {}", self.done, self.what));
        }
    }

    fn show(&self, text: &str) {
        let mut err = io::stderr();
        // A terminal that is gone has nobody to tell.
        let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown && self.done >= STRIDE {
            self.show("");
        }
    }
}
