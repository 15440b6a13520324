//! The thread between a controller and its shaper, so that a slow shaper delays no cycle.
//!
//! The controller leaves its newest rates in a slot of one; the thread takes them from there. Only the
//! newest matter: rates that a slow shaper had no time for are replaced, not queued. A failed write is
//! tried again, with backoff, with whatever is newest by then.
#![expect(clippy::disallowed_methods, reason = "waits and backs off in real time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use tracing::{info, warn};

use crate::shaper::{Rates, Shaper};

/// How often the thread looks for new rates. Short beside a cycle, and no cycle has to wake it.
const POLL: Duration = Duration::from_millis(5);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// A shaper on a thread of its own.
#[derive(Debug)]
pub struct Actuator {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// Where a controller leaves its newest rates.
#[derive(Clone, Debug)]
pub struct Target(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    newest: ArrayQueue<Rates>,
    stop: AtomicBool,
    writes: AtomicU64,
    failures: AtomicU64,
}

impl Target {
    /// Leaves these rates for the shaper; does not wait for it.
    pub fn set(&self, rates: Rates) {
        self.0.newest.force_push(rates);
    }
}

impl Actuator {
    /// Starts the thread. `name` is the WAN's, for logs.
    ///
    /// # Errors
    ///
    /// The system has no thread to give.
    pub fn start(name: &str, shaper: Box<dyn Shaper>) -> std::io::Result<(Self, Target)> {
        let shared = Arc::new(Shared {
            newest: ArrayQueue::new(1),
            stop: AtomicBool::new(false),
            writes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        let (wan, worker) = (name.to_owned(), Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name(format!("shaper/{name}"))
            .spawn(move || work(&wan, &worker, shaper))?;
        let target = Target(Arc::clone(&shared));
        Ok((Actuator { shared, thread }, target))
    }

    /// Ends the thread after the newest rates were tried once. The shaper keeps the last rates it took.
    pub fn stop(self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            warn!("The shaper's thread panicked.");
        }
    }
}

fn work(wan: &str, shared: &Shared, mut shaper: Box<dyn Shaper>) {
    let mut applied: Option<Rates> = None;
    let mut wanted: Option<Rates> = None;
    let mut retry_at = Instant::now();
    let mut retry = FIRST_RETRY;
    let mut failing = false;
    loop {
        let stop = shared.stop.load(Ordering::Acquire);
        if let Some(newest) = shared.newest.pop() {
            wanted = Some(newest);
        }
        let due = wanted.filter(|rates| applied != Some(*rates));
        if let Some(rates) = due
            && (stop || Instant::now() >= retry_at)
        {
            match shaper.apply(rates) {
                Ok(_) => {
                    shared.writes.fetch_add(1, Ordering::Relaxed);
                    applied = Some(rates);
                    retry = FIRST_RETRY;
                    if std::mem::take(&mut failing) {
                        info!(wan, "Shaper takes rates again.");
                    }
                }
                Err(error) => {
                    shared.failures.fetch_add(1, Ordering::Relaxed);
                    // What the shaper has now is unknown, so the next success must write.
                    applied = None;
                    retry_at = Instant::now() + retry;
                    retry = (retry * 2).min(LONGEST_RETRY);
                    if !std::mem::replace(&mut failing, true) {
                        warn!(wan, %error, "Shaper does not take rates; the newest are tried again.");
                    }
                }
            }
        }
        if stop && shared.newest.is_empty() {
            return;
        }
        thread::park_timeout(POLL);
    }
}
