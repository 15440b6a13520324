//! What a worker makes of how a call went: the accounts, the next try, what is said of it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::{Call, Setup, State};
use crate::counters::{self, Health};
use crate::worker::breaker::BreakerState;
use crate::worker::notice::Notice;
use crate::worker::pending::Narrowed;
use crate::{FaultClass, SinkError, Startup, Written};

/// A row that makes the writer panic this often, alone, is put aside.
const PANICS_PER_ROW: u32 = 3;
/// A sink whose code panics this often within this time rests before it is opened again. What it does over
/// one batch, while the row to blame is looked for, counts once.
const PANICS: (usize, Duration) = (3, Duration::from_secs(600));
/// How long it rests.
const REST: Duration = Duration::from_secs(60);
/// How many threads a sink may leave behind that hang in a call.
const LEFT_BEHIND: u32 = 3;
/// Rejected rows are mentioned again when there were none for this long.
const QUIET: Duration = Duration::from_secs(600);

/// How a task went. A panic is an error of class [`FaultClass::Bug`].
pub(crate) enum Outcome {
    Opened(Result<(), SinkError>),
    /// How many items were given, and what became of them.
    Wrote(usize, Result<Written, SinkError>),
    /// Which order was carried out.
    Flushed(u64, Result<(), SinkError>),
    Closed(Result<(), SinkError>),
    Exchanged(Result<(), SinkError>),
}

/// What happens to the writer after a call.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Keep {
    Writer,
    Nothing,
}

/// A destination that does not work, since when and how often it was tried.
pub(super) struct Outage {
    since: Instant,
    failures: u64,
    /// Rows that had been given up before it.
    given_up: u64,
}

/// Whether a failed write calls for another writer: a mended file, another password, an address that is
/// looked up anew.
fn is_reopened_after(class: FaultClass) -> bool {
    use FaultClass::{Auth, Bug, Config, Corrupt};
    matches!(class, Auth | Bug | Config | Corrupt)
}

/// Whether another configuration is not taken because it failed so; what can heal is taken, and tried again.
pub(crate) fn refuses_a_change(class: FaultClass) -> bool {
    matches!(class, FaultClass::Bug | FaultClass::Config)
}

impl State {
    /// Takes note of how the call went.
    pub(crate) fn done(&mut self, outcome: Outcome, now: Instant) -> Keep {
        if let Some(Call { since, .. }) = self.call.take() {
            let took = u64::try_from(now.duration_since(since).as_micros()).unwrap_or(u64::MAX);
            self.counters.longest_call.fetch_max(took, Relaxed);
        }
        let keep = match outcome {
            Outcome::Opened(opened) => self.opened(opened, now),
            Outcome::Wrote(items, Ok(written)) => {
                self.wrote(items, written, now);
                Keep::Writer
            }
            Outcome::Wrote(items, Err(panic)) => self.panicked(items, &panic, now),
            Outcome::Flushed(order, Ok(())) => {
                self.unflushed = false;
                self.flushed(order);
                if self.pending.is_empty() {
                    self.recovered(now);
                }
                Keep::Writer
            }
            Outcome::Flushed(_, Err(error)) => {
                self.failed(&error, now);
                if error.class == FaultClass::Bug { Keep::Nothing } else { Keep::Writer }
            }
            Outcome::Closed(closed) => {
                match closed {
                    Ok(()) => self.unflushed = false,
                    // In an outage it is no news.
                    Err(_) if self.outage.is_some() => {}
                    Err(error) => {
                        self.notices.push(Notice::NotClosed { error: error.to_string() });
                    }
                }
                Keep::Nothing
            }
            Outcome::Exchanged(exchanged) => self.exchanged(exchanged, now),
        };
        self.open = keep == Keep::Writer;
        if !self.open {
            self.lost_unflushed |= std::mem::take(&mut self.unflushed);
        }
        self.tell_health();
        keep
    }

    fn opened(&mut self, opened: Result<(), SinkError>, now: Instant) -> Keep {
        let first = self.first_open.is_none();
        if first || self.is_off() {
            let answer = opened.as_ref().copied();
            self.first_open = Some(answer.map_err(|error| (error.class, error.to_string())));
        }
        let off = self.is_off();
        for (queue, _) in &self.queues {
            if off { queue.disable() } else { queue.enable() }
        }
        let Err(error) = opened else {
            if first {
                self.notices.push(Notice::Open);
            }
            if self.pending.is_empty() {
                self.recovered(now);
            }
            return Keep::Writer;
        };
        let stops_the_start = first
            && !self.unattended
            && error.class == FaultClass::Config
            && self.setup.startup == Startup::Error;
        if !stops_the_start {
            self.failed(&error, now);
        }
        Keep::Nothing
    }

    fn wrote(&mut self, items: usize, written: Written, now: Instant) {
        match written {
            Written::All => self.delivered(items, 0, now),
            Written::Rejected(rows) => {
                let rejected = self.pending.rejected(items, &rows);
                let reason = rows.first().map_or("", |(_, reason)| reason);
                self.say_rejected(rejected, reason, now);
                self.delivered(items, rejected, now);
            }
            Written::TooLarge => {
                if self.pending.narrow(items) == Narrowed::Alone {
                    self.say_rejected(1, "too large for the destination", now);
                    self.delivered(1, 1, now);
                }
            }
            Written::Failed(error) => {
                self.pending.failed(items);
                self.failed(&error, now);
                self.unfit = is_reopened_after(error.class);
            }
        }
    }

    /// The first items are at the destination, but for this many rows.
    fn delivered(&mut self, items: usize, rejected: usize, now: Instant) {
        let (rows, again) = self.pending.remove(items);
        self.panics = 0;
        self.searching &= !self.pending.is_empty();
        self.lingering = None;
        self.unflushed = true;
        let counters = &self.counters;
        counters::shift(&counters.in_flight, &counters.rejected, rejected);
        counters::shift(&counters.in_flight, &counters.delivered, rows - rejected);
        counters::add(&counters.redelivered, again);
        if !self.pending.is_empty() {
            // A full disk may take a row and not the next; it is well when all of the batch is through.
            return self.breaker.go_on();
        }
        self.recovered(now);
    }

    /// The destination works, as far as can be told. Said once, if it did not before.
    fn recovered(&mut self, now: Instant) {
        self.breaker.succeeded();
        if let Some(outage) = self.outage.take() {
            let seconds = now.duration_since(outage.since).as_secs_f64();
            let given_up = self.counters.given_up() - outage.given_up;
            let failures = outage.failures;
            self.notices.push(Notice::Recovered { seconds, failures, given_up });
        }
        self.counters.tell(None);
    }

    /// Said once, when it begins.
    fn say_rejected(&mut self, rows: usize, reason: &str, now: Instant) {
        let quiet = self.rejected.is_none_or(|at| now >= at + QUIET);
        if rows > 0 {
            self.rejected = Some(now);
            if quiet {
                self.notices.push(Notice::Rejects { rows, reason: reason.to_owned() });
            }
        }
    }

    /// A call failed. Said once, when the outage begins.
    fn failed(&mut self, error: &SinkError, now: Instant) {
        self.counters.failures.fetch_add(1, Relaxed);
        self.breaker.failed(error.class, &self.setup.retry, now);
        if error.class == FaultClass::Bug {
            self.counters.panics.fetch_add(1, Relaxed);
            if !self.searching {
                self.panicked.push_back(now);
                self.panicked.retain(|at| now < *at + PANICS.1);
            }
            if !self.searching && self.panicked.len() >= PANICS.0 {
                self.breaker.rest(REST, now);
            }
        }
        if self.breaker.state(now) != BreakerState::Closed {
            self.pending.start_small();
        }
        match &mut self.outage {
            Some(outage) => outage.failures += 1,
            None => {
                let (class, error) = (error.class, error.to_string());
                self.notices.push(if self.is_off() {
                    Notice::Off { error }
                } else {
                    Notice::Fails { class, error }
                });
                let given_up = self.counters.given_up();
                self.outage = Some(Outage { since: now, failures: 1, given_up });
            }
        }
        self.counters.tell(Some(error));
    }

    /// The writer panicked over the first items: it is built again, and the row to blame is looked for.
    fn panicked(&mut self, items: usize, panic: &SinkError, now: Instant) -> Keep {
        self.pending.failed(items);
        self.failed(panic, now);
        self.searching = true;
        if self.pending.narrow(items) == Narrowed::Alone {
            self.panics += 1;
            if self.panics >= PANICS_PER_ROW {
                self.put_aside();
            }
        }
        Keep::Nothing
    }

    /// The first row makes the sink panic whenever it sees it.
    fn put_aside(&mut self) {
        let (rows, _) = self.pending.remove(1);
        self.panics = 0;
        self.searching &= !self.pending.is_empty();
        self.notices.push(Notice::PutAside { rows });
        counters::shift(&self.counters.in_flight, &self.counters.quarantined, rows);
    }

    fn exchanged(&mut self, exchanged: Result<(), SinkError>, now: Instant) -> Keep {
        let Some(change) = self.exchanging.take() else { return Keep::Nothing };
        if let Err(error) = &exchanged
            && refuses_a_change(error.class)
        {
            self.changed = Some(Err((error.class, error.to_string())));
            self.discarded.push(change.setup);
            // With the same file or port, the old writer had to go, and comes back with the next rows.
            return if change.close_first || !self.open { Keep::Nothing } else { Keep::Writer };
        }
        self.first_open = Some(Ok(()));
        self.queues.iter().for_each(|(queue, _)| queue.enable());
        self.close_windows(true);
        self.discarded.push(std::mem::replace(&mut self.setup, change.setup));
        if let Some(queue) = change.queue {
            queue.set_epoch(self.flush.newest());
            self.queues.iter_mut().for_each(|(_, replaced)| *replaced = Some(now));
            self.queues.push_back((queue, None));
        }
        self.breaker.succeeded();
        self.panicked.clear();
        self.changed = Some(Ok(()));
        match exchanged {
            Ok(()) => {
                if self.pending.is_empty() {
                    self.recovered(now);
                }
                Keep::Writer
            }
            Err(error) => {
                self.failed(&error, now);
                Keep::Nothing
            }
        }
    }

    /// Leaves the thread behind whose call has not returned in twice its time. Returns the generation of
    /// the thread that is to work from now on, if one is to be started.
    pub(crate) fn replace(&mut self, now: Instant) -> Option<u64> {
        if self.needs_thread {
            return Some(self.generation);
        }
        let Call { since, deadline, writes } = self.call?;
        let overdue = deadline.is_over() && now >= since + self.setup.timeout.saturating_mul(2);
        if !overdue || self.stop.is_some() {
            return None;
        }
        if let Some(change) = self.exchanging.take() {
            self.discarded.push(change.setup);
            let message = "the new configuration does not open in time".to_owned();
            self.changed = Some(Err((FaultClass::Cancelled, message)));
        }
        if self.left_behind >= LEFT_BEHIND {
            self.counters.set_health(Health::Stalled);
            return None;
        }
        self.left_behind += 1;
        self.generation += 1;
        self.counters.replaced.fetch_add(1, Relaxed);
        let message = format!(
            "a call has not returned for {:?}; its thread is left behind and the sink opened again",
            now.duration_since(since)
        );
        let error = SinkError::new(FaultClass::Cancelled, message);
        if self.first_open.is_none() {
            self.first_open = Some(Err((error.class, error.to_string())));
        }
        if writes {
            // The call may have come as far as the destination.
            self.pending.hangs();
        }
        self.abandoned();
        self.failed(&error, now);
        self.tell_health();
        Some(self.generation)
    }

    /// A thread was started, or could not be: then another look tries again.
    pub(crate) fn has_thread(&mut self, has: bool) {
        self.needs_thread = !has;
    }

    /// The thread came to an end by itself, by a mistake of ours; the next one begins anew.
    pub(crate) fn died(&mut self, now: Instant) {
        if let Some(change) = self.exchanging.take() {
            self.discarded.push(change.setup);
            self.changed = Some(Err((FaultClass::Bug, "the sink's thread died".to_owned())));
        }
        self.abandoned();
        self.failed(&SinkError::new(FaultClass::Bug, "the sink's thread died"), now);
        self.breaker.rest(REST, now);
    }

    /// The writer is gone, with what it was doing.
    fn abandoned(&mut self) {
        self.call = None;
        self.open = false;
        self.lost_unflushed |= std::mem::take(&mut self.unflushed);
    }

    /// A thread that was left behind has come back.
    pub(crate) fn returned(&mut self) {
        self.left_behind = self.left_behind.saturating_sub(1);
    }

    /// What is to be said and dropped now that the lock is about to be released.
    pub(crate) fn leftovers(&mut self) -> (Vec<Notice>, Vec<Setup>) {
        (std::mem::take(&mut self.notices), std::mem::take(&mut self.discarded))
    }

    fn tell_health(&self) {
        self.counters.set_health(if self.is_off() {
            Health::Off
        } else if self.panicked.len() >= PANICS.0 && self.outage.is_some() {
            Health::Quarantined
        } else if self.outage.is_some() {
            Health::Failing
        } else {
            Health::Ok
        });
    }
}
