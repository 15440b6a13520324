//! What history costs and how fast it answers, beside the original's plain layout in the same run.
//!
//! The signal is that of one WAN, 20 cycles of 6 samples a second; see `signal.rs`. Simulated days are written
//! as fast as it goes, so the sink believes they pass.
//!
//!     cargo bench --bench history                              everything: ten minutes, 2 GB of disk
//!     cargo bench --bench history -- --only size --days 2      one section, and less of it
//!
//! | section | what |
//! |---|---|
//! | `ingest` | samples a second |
//! | `live` | bytes written to disk a sample, at 20 cycles a second (`--seconds`, 60) |
//! | `size` | bytes a sample in the file, and every sample back (`--days`, 7) |
//! | `queries` | how long queries take over a day |
//! | `upkeep` | maintenance while somebody reads (`--days`, 10) |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

#[path = "history/ingest.rs"]
mod ingest;
#[path = "history/live.rs"]
mod live;
#[path = "history/ours.rs"]
mod ours;
#[path = "history/plain.rs"]
mod plain;
#[path = "history/queries.rs"]
mod queries;
mod report;
mod signal;
#[path = "history/size.rs"]
mod size;
#[path = "history/upkeep.rs"]
mod upkeep;

use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The first second of every simulated time: midnight, UTC.
const START: i64 = 1_769_299_200;

/// A section and its name.
type Section = (&'static str, fn());

fn main() {
    let sections: [Section; 5] = [
        ("ingest", ingest::run),
        ("live", live::run),
        ("size", size::run),
        ("queries", queries::run),
        ("upkeep", upkeep::run),
    ];
    let mut arguments = std::env::args().skip_while(|argument| argument != "--only");
    let only = arguments.nth(1);
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    assert!(sections.iter().any(|(name, _)| is_wanted(name)), "no section is called {only:?}");
    for (name, run) in sections {
        if is_wanted(name) {
            println!("{name}");
            run();
        }
    }
}

/// Prints a figure that has a limit, and whether it keeps it.
fn at_most(what: &str, measured: f64, limit: f64) {
    let verdict = format!("{what}: required <= {limit:.4}: measured {measured:.4}");
    report::verdict(&verdict, measured <= limit);
}

/// How many bytes a file and its write-ahead log have.
fn bytes(path: &Path) -> u64 {
    let log = path.with_file_name(format!("{}-wal", path.file_name().unwrap().display()));
    let len = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    len(path) + len(&log)
}

/// What the calling thread has computed for so far.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}
