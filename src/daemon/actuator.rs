//! The thread between a controller and its shaper, so that a slow shaper delays no cycle.
//!
//! The controller leaves its newest rates in a slot of one; the thread takes them from there. Only the
//! newest matter: rates that a slow shaper had no time for are replaced, not queued. A failed write is
//! tried again, with backoff, with whatever is newest by then. Rates that stay are written again now and
//! then, because others can take a shaper away: a link that is dialled anew comes without its CAKE.
#![expect(clippy::disallowed_methods, reason = "backs off in real time")]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use tracing::{info, warn};

use super::background::{Background, Stop};
use crate::shaper::{Rates, Shaper};

/// How often the thread looks for new rates. Short beside a cycle, and no cycle has to wake it.
const POLL: Duration = Duration::from_millis(5);
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// How often rates that stay are written again.
const REFRESH: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// Where a controller leaves its newest rates.
#[derive(Clone, Debug)]
pub(super) struct Target(Arc<ArrayQueue<Rates>>);

impl Target {
    /// A slot with no rates in it.
    pub(super) fn new() -> Self {
        Target(Arc::new(ArrayQueue::new(1)))
    }

    /// Leaves these rates for the shaper; does not wait for it.
    pub(super) fn set(&self, rates: Rates) {
        self.0.force_push(rates);
    }
}

/// Starts the thread that puts what is left in `target` on a shaper. `wan` is for logs.
///
/// When it is told to stop it tries the newest rates once more; the shaper keeps the last it took.
///
/// # Errors
///
/// The system has no thread to give.
pub(super) fn start(wan: &str, shaper: Box<dyn Shaper>, target: &Target) -> io::Result<Background> {
    start_with(wan, shaper, target, REFRESH)
}

fn start_with(
    wan: &str,
    shaper: Box<dyn Shaper>,
    target: &Target,
    refresh: Duration,
) -> io::Result<Background> {
    let newest = Arc::clone(&target.0);
    let wan = wan.to_owned();
    Background::start(format!("shaper/{wan}"), move |stop| {
        let worker = Worker {
            wan,
            shaper,
            applied: None,
            refresh,
            retry_at: Instant::now(),
            retry: FIRST_RETRY,
            failing: false,
        };
        worker.run(&newest, &stop);
    })
}

struct Worker {
    wan: String,
    shaper: Box<dyn Shaper>,
    /// What the shaper has, and since when that is known; `None` when it is not.
    applied: Option<(Rates, Instant)>,
    refresh: Duration,
    retry_at: Instant,
    retry: Duration,
    failing: bool,
}

impl Worker {
    fn run(mut self, newest: &ArrayQueue<Rates>, stop: &Stop) {
        let mut wanted = None;
        loop {
            // Read first, so that what was left before the order to stop is still seen.
            let last = stop.is_set();
            wanted = newest.pop().or(wanted);
            if let Some(rates) = wanted
                && self.is_due(rates, last)
            {
                self.apply(rates);
            }
            if last {
                return;
            }
            stop.wait(POLL);
        }
    }

    /// Whether to write now; `last` is the last chance to.
    fn is_due(&self, rates: Rates, last: bool) -> bool {
        let now = Instant::now();
        match self.applied {
            Some((applied, at)) if applied == rates => !last && at + self.refresh <= now,
            _ => last || self.retry_at <= now,
        }
    }

    fn apply(&mut self, rates: Rates) {
        let wan = &self.wan;
        match self.shaper.apply(rates) {
            Ok(_) => {
                self.applied = Some((rates, Instant::now()));
                self.retry = FIRST_RETRY;
                if std::mem::take(&mut self.failing) {
                    info!(wan, "Shaper takes rates again.");
                }
            }
            Err(error) => {
                // What the shaper has now is unknown, so the next success must write.
                self.applied = None;
                self.retry_at = Instant::now() + self.retry;
                self.retry = (self.retry * 2).min(LONGEST_RETRY);
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(wan, %error, "Shaper does not take rates; the newest are tried again.");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::daemon::background::join_all;
    use crate::shaper::{Applied, ShaperError};
    use crate::units::Rate;

    /// Fails a number of times, then keeps what it is given.
    struct Flaky {
        failures: u32,
        taken: Arc<Mutex<Vec<Rates>>>,
    }

    impl Shaper for Flaky {
        fn apply(&mut self, rates: Rates) -> Result<Applied, ShaperError> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(ShaperError::NoInterface { interface: "test0".to_owned() });
            }
            self.taken.lock().unwrap().push(rates);
            Ok(Applied { rates })
        }

        fn check(&mut self) -> Result<String, ShaperError> {
            Ok(String::new())
        }

        fn describe(&self) -> String {
            String::new()
        }
    }

    fn rates(mbps: f64) -> Rates {
        Rates { download: Rate::from_mbps(mbps), upload: Rate::from_mbps(1.0) }
    }

    #[test]
    fn a_failed_write_is_tried_again_with_the_newest_rates() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let shaper = Flaky { failures: 2, taken: Arc::clone(&taken) };
        let target = Target::new();
        let background = start("test", Box::new(shaper), &target).unwrap();
        target.set(rates(1.0));
        target.set(rates(2.0));
        let deadline = Instant::now() + Duration::from_secs(10);
        while taken.lock().unwrap().is_empty() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(*taken.lock().unwrap(), [rates(2.0)]);
        join_all(vec![background], Duration::from_secs(60));
    }

    #[test]
    fn rates_left_before_the_stop_are_still_applied_and_equal_ones_are_not_written_twice() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let shaper = Flaky { failures: 0, taken: Arc::clone(&taken) };
        let target = Target::new();
        let background = start("test", Box::new(shaper), &target).unwrap();
        target.set(rates(5.0));
        target.set(rates(5.0));
        join_all(vec![background], Duration::from_secs(60));
        assert_eq!(*taken.lock().unwrap(), [rates(5.0)]);
    }
    #[test]
    fn rates_that_stay_are_written_again_after_a_while() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let shaper = Flaky { failures: 0, taken: Arc::clone(&taken) };
        let target = Target::new();
        let refresh = Duration::from_millis(1);
        let background = start_with("test", Box::new(shaper), &target, refresh).unwrap();
        target.set(rates(5.0));
        let deadline = Instant::now() + Duration::from_secs(10);
        while taken.lock().unwrap().len() < 3 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        join_all(vec![background], Duration::from_secs(60));
        assert!(taken.lock().unwrap().starts_with(&[rates(5.0); 3]), "{taken:?}");
    }
}
