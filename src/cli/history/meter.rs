//! How far long work is that prints nothing else: rows, share, speed and the time left.
//!
//! On a terminal it is one line that changes, elsewhere a line every few seconds.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::daemon::Clock;

/// How often the line on a terminal changes.
const BLINK: Duration = Duration::from_millis(200);

/// How often there is a line elsewhere.
const LINE: Duration = Duration::from_secs(5);

/// A line on standard error.
pub(super) struct Meter {
    clock: Clock,
    started: Instant,
    shown: Option<Instant>,
    is_terminal: bool,
    is_line_open: bool,
}

impl Meter {
    /// Begins now.
    pub(super) fn start() -> Self {
        let clock = Clock::start();
        let (started, is_terminal) = (clock.now(), io::stderr().is_terminal());
        Meter { clock, started, shown: None, is_terminal, is_line_open: false }
    }

    /// So many rows are done, of so many if that is known. Shown unless that is all or the last time was
    /// just now.
    pub(super) fn show(&mut self, done: u64, of: Option<u64>) {
        let now = self.clock.now();
        let interval = if self.is_terminal { BLINK } else { LINE };
        let is_early = self.shown.is_some_and(|shown| now.duration_since(shown) < interval);
        if is_early || of == Some(done) {
            return;
        }
        self.shown = Some(now);
        let text = line(done, of, now.duration_since(self.started));
        if self.is_terminal {
            write(&format!("\r\x1b[K{text}"));
            self.is_line_open = true;
        } else {
            write(&format!("wanctl: {text}\n"));
        }
    }

    /// How long it has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.now().duration_since(self.started)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.is_line_open {
            write("\r\x1b[K");
        }
    }
}

fn line(done: u64, of: Option<u64>, elapsed: Duration) -> String {
    let speed = done as f64 / elapsed.as_secs_f64().max(1e-3);
    let total = of.filter(|total| *total > 0 && done <= *total);
    let Some(total) = total else { return format!("{done} rows, {speed:.0} rows/s") };
    let percent = done * 100 / total;
    let left = (total - done) as f64 / speed.max(1.0);
    format!("{done} of {total} rows, {percent} %, {speed:.0} rows/s, {left:.0} s left")
}

fn write(text: &str) {
    let mut err = io::stderr();
    // A terminal that is gone has nobody to tell.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_rows_share_speed_and_time_left() {
        let second = Duration::from_secs(2);
        assert_eq!(line(50, Some(200), second), "50 of 200 rows, 25 %, 25 rows/s, 6 s left");
        assert_eq!(line(50, None, second), "50 rows, 25 rows/s");
        assert_eq!(line(50, Some(0), second), "50 rows, 25 rows/s");
    }
}
