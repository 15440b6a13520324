//! What the benches share: calls on an absolute schedule, their percentiles, verdicts, options.
//!
//! A verdict is printed and never fails a bench, since a shared machine breaks any bound now and then.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(dead_code, reason = "each bench uses its part")]

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// The number after this option on the command line.
pub(crate) fn option(name: &str, default: f64) -> f64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(default, |value| value.parse().expect("a number"))
}

/// Makes this many calls, each at its time, `hz` a second, or back to back for 0; returns what each took.
///
/// What `prepare` makes of the call's number just before is not measured. `phase` moves the schedule by
/// this part of a period, so that several of them don't fall together.
pub(crate) fn paced<T>(
    cycles: u32,
    hz: f64,
    phase: f64,
    mut prepare: impl FnMut(u32) -> T,
    mut call: impl FnMut(T),
) -> Costs {
    // Filled, so that its memory is in use from the start and the bench's own does not seem to grow.
    let mut costs = vec![Duration::MAX; cycles as usize];
    let start = Instant::now();
    for (i, cost) in (0..cycles).zip(&mut costs) {
        if hz > 0.0 {
            let due = start + Duration::from_secs_f64((f64::from(i) + phase) / hz);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let prepared = prepare(i);
        let began = Instant::now();
        call(prepared);
        *cost = began.elapsed();
    }
    costs.sort_unstable();
    Costs(costs)
}

/// What calls took, the shortest first.
pub(crate) struct Costs(Vec<Duration>);

impl Costs {
    /// What this share of the calls did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * share).ceil() as usize]
    }

    pub(crate) fn max(&self) -> Duration {
        self.quantile(1.0)
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.len()
    }

    /// Prints a line below that of [`header`].
    pub(crate) fn print(&self, name: &str) {
        println!("{name:<34}{self}");
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for share in [0.5, 0.99, 0.999, 0.9999, 1.0] {
            write!(f, " {:>9.2}", micros(self.quantile(share)))?;
        }
        write!(f, " {:>8}", self.0.len())
    }
}

/// Prints what the columns of [`Costs`] are.
pub(crate) fn header(of: &str) {
    let [a, b, c, d, e, n] = ["p50", "p99", "p99.9", "p99.99", "max", "calls"];
    println!("{of:<34} {a:>9} {b:>9} {c:>9} {d:>9} {e:>9} {n:>8}");
}

/// Prints whether something holds.
pub(crate) fn verdict(what: &str, met: bool) {
    println!("  {what}: {}", if met { "met" } else { "missed" });
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1_000.0
}
