//! How far long work is, in one line of a terminal.

use std::io::{self, IsTerminal, Write};

/// How many rows pass between two looks at the line.
const STRIDE: u64 = 1 << 14;

/// A line on standard error, if that is a terminal and results do not go there too.
pub(super) struct Progress {
    is_shown: bool,
    is_dirty: bool,
    rows: u64,
}

impl Progress {
    pub(super) fn new() -> Self {
        let is_shown = io::stderr().is_terminal();
        Progress { is_shown, is_dirty: false, rows: 0 }
    }

    /// For rows that are printed as they are read.
    pub(super) fn beside_output() -> Self {
        let progress = Self::new();
        Progress { is_shown: progress.is_shown && !io::stdout().is_terminal(), ..progress }
    }

    /// One more row.
    pub(super) fn row(&mut self) {
        self.rows += 1;
        if self.rows.is_multiple_of(STRIDE) {
            self.say(&format!("{} rows", self.rows));
        }
    }

    /// Puts this in the place of what was said before.
    pub(super) fn say(&mut self, text: &str) {
        if self.is_shown {
            let mut err = io::stderr();
            // A terminal that is gone has nobody to tell.
            let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
            self.is_dirty = true;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_dirty {
            self.say("");
        }
    }
}
