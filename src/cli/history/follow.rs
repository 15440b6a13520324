//! Rows as they are committed.
//!
//! The file is opened again for every look, which takes about a millisecond: it may be deleted, replaced
//! or not there yet, and no lock of ours outlives a look. What was shown is known by the newest instant of
//! each series, because a series is committed in the order of time. Rows ahead of the clock wait until their
//! time has come: they are of a clock that was wrong, and would take all others for old.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wanctl_sink_sqlite::{
    Granularity, History, HistoryError, Order, Query, Record, SeriesName, Tiers,
};

use super::events::{self, Before};
use super::names::Names;
use super::{Output, damage, remark, rows, table, time};
use crate::daemon::Clock;

/// How long to wait between two looks, in milliseconds.
const INTERVAL: u16 = 500;

/// How far behind the newest row of all a series may be and still be looked for, in seconds: rows that a
/// sink kept back while the file was locked come late.
const BACKLOG: i64 = 60;

/// Prints new rows until the reader of standard output goes away. SIGINT ends the program as usual.
///
/// With `past`, it begins with the rows from `query.from` on; without, nothing that is there already is
/// shown.
///
/// # Errors
///
/// A file that can't be read at the first look, and standard output that can't be written.
pub(super) fn run(
    path: &Path,
    query: Query,
    past: bool,
    output: &Output,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let begin = query.from;
    let query = Query {
        from: if past { query.from } else { i64::MIN },
        tiers: Tiers::Only(Granularity::Raw),
        order: Order::OldestFirst,
        ..query
    };
    let mut tail = Tail { query, begin, newest: HashMap::new() };
    let mut printer = Printer { output, names, before: Before::default() };
    if output.csv {
        printer.csv_heads(out)?;
    }
    let mut said: Option<String> = None;
    let mut damaged: Option<String> = None;
    let mut is_first = true;
    loop {
        let now = Clock::start().stamp().unix_seconds();
        let looked = History::open(path).map_err(anyhow::Error::from).and_then(|history| {
            if is_first && !past {
                return tail.skip(&history, now);
            }
            tail.look(&history, now, |record| printer.print(record, &history, out))?;
            let text = damage::text(&history).filter(|text| damaged.as_ref() != Some(text));
            if let Some(text) = text {
                remark(&text);
                damaged = Some(text);
            }
            Ok(())
        });
        match looked {
            Ok(()) => said = None,
            Err(error) => {
                let unreadable = error.downcast::<HistoryError>()?;
                if is_first && matches!(unreadable, HistoryError::Sqlite { .. }) {
                    return Err(super::refused(unreadable));
                }
                let text = format!("{unreadable}; waiting");
                if said.as_ref() != Some(&text) {
                    remark(&text);
                }
                said = Some(text);
            }
        }
        is_first = false;
        out.flush()?;
        if is_reader_gone()? {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Waits for the next look; ends early, with true, when nobody reads standard output any more.
fn is_reader_gone() -> io::Result<bool> {
    let out = io::stdout();
    // Errors and hang-ups are reported without being asked for.
    let mut watched = [PollFd::new(out.as_fd(), PollFlags::empty())];
    match poll(&mut watched, PollTimeout::from(INTERVAL)) {
        Ok(events) => Ok(events > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Where the rows that were shown end.
struct Tail {
    query: Query,
    /// The second in which the next look begins.
    begin: i64,
    /// The newest instant of each series, in µs. Events of one metric are one series here, whatever
    /// their labels.
    newest: HashMap<(bool, SeriesName), i64>,
}

impl Tail {
    /// Takes all there is for shown.
    fn skip(&mut self, history: &History, now: i64) -> anyhow::Result<()> {
        if let Some((second, _)) = history.newest()? {
            self.begin = self.begin.min(second.min(now).saturating_sub(BACKLOG));
            self.look(history, now, |_| Ok(()))?;
        }
        Ok(())
    }

    /// Gives each row up to now that was not given before.
    fn look(
        &mut self,
        history: &History,
        now: i64,
        mut give: impl FnMut(&Record) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut newer: HashMap<(bool, SeriesName), i64> = HashMap::new();
        let mut result = Ok(());
        // What was shown before the clock was set back is no newer than what comes now.
        self.begin = self.begin.min(now);
        let latest = now.saturating_mul(1_000_000).saturating_add(999_999);
        self.newest.values_mut().for_each(|shown| *shown = latest.min(*shown));
        let query = Query { from: self.begin.max(self.query.from), to: now, ..self.query.clone() };
        for record in history.records(&query)? {
            let at_record = record.map_err(anyhow::Error::from).and_then(|record| {
                let (key, at) = (key(&record), time::micros(&record));
                // Against what was newest before this look: an instant may have several events.
                if self.newest.get(&key).is_none_or(|&shown| at > shown) {
                    give(&record)?;
                    newer.insert(key, at);
                }
                Ok(())
            });
            if at_record.is_err() {
                result = at_record;
                break;
            }
        }
        self.newest.extend(newer);
        self.forget();
        result
    }

    /// Begins the next look where the series that still go on were last.
    fn forget(&mut self) {
        let Some(newest) = self.newest.values().max() else { return };
        let oldest = newest.saturating_sub(BACKLOG * 1_000_000);
        self.newest.retain(|_, at| *at >= oldest);
        let from = self.newest.values().min().map_or(oldest, |at| *at).div_euclid(1_000_000);
        self.begin = self.begin.max(from);
    }
}

fn key(record: &Record) -> (bool, SeriesName) {
    let mut series = SeriesName::clone(&record.series);
    if record.is_event {
        series.labels = None;
    }
    (record.is_event, series)
}

/// How a row is printed.
struct Printer<'a> {
    output: &'a Output,
    names: &'a Names,
    before: Before,
}

impl Printer<'_> {
    fn csv_heads(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut csv = rows::csv_writer(out);
        csv.write_record(rows::HEADS).map_err(rows::io_error)?;
        Ok(csv.flush()?)
    }

    fn print(
        &mut self,
        record: &Record,
        history: &History,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        if self.output.json {
            Ok(rows::json_line(record, self.names, out)?)
        } else if self.output.csv {
            let mut csv = rows::csv_writer(out);
            rows::csv_row(record, self.names, &mut csv)?;
            Ok(csv.flush()?)
        } else if self.output.events {
            events::line(record, history, &mut self.before, self.names, out)
        } else {
            table::line(record, self.names, out)
        }
    }
}
