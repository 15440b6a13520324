//! Threads that serve control without being part of it: shaping, routing, reading, keeping state.
#![expect(clippy::disallowed_methods, reason = "waits in real time")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{error, warn};

/// How often a thread that should end is looked at.
const JOIN_POLL: Duration = Duration::from_millis(2);

/// A thread that works until it is told to stop.
#[derive(Debug)]
pub(super) struct Background {
    stop: Stop,
    thread: JoinHandle<()>,
}

/// How such a thread learns that it is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Background {
    /// Starts a thread of this name.
    ///
    /// # Errors
    ///
    /// The system has no thread to give.
    pub(super) fn start(
        name: String,
        body: impl FnOnce(Stop) + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Stop::default();
        let told = stop.clone();
        let thread = thread::Builder::new().name(name).spawn(move || body(told))?;
        Ok(Background { stop, thread })
    }

    /// The thread's name.
    pub(super) fn name(&self) -> &str {
        self.thread.thread().name().unwrap_or_default()
    }

    /// Whether the thread is over.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Tells the thread to stop, and does not wait for it.
    pub(super) fn tell(&self) {
        self.stop.0.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }
}

/// Tells these threads to stop, and waits until they have finished what they were doing.
///
/// One that takes longer than `limit` is left behind with a warning: a device that does not answer must
/// not keep the program from ending.
pub(super) fn join_all(all: Vec<Background>, limit: Duration) {
    let until = Instant::now() + limit;
    all.iter().for_each(Background::tell);
    for one in all {
        while !one.has_ended() && Instant::now() < until {
            thread::sleep(JOIN_POLL);
        }
        let name = one.name().to_owned();
        if !one.has_ended() {
            warn!(name, "A helper thread does not end; it is left behind.");
        } else if one.thread.join().is_err() {
            error!(name, "A helper thread had panicked.");
        }
    }
}

impl Stop {
    /// Whether it is over.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Waits this long, or until it is over.
    pub(super) fn wait(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while !self.is_set() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_the_thread_is_told_to_stop() {
        let background = Background::start("test".to_owned(), |stop| {
            while !stop.is_set() {
                stop.wait(Duration::from_secs(3600));
            }
        });
        join_all(vec![background.unwrap()], Duration::from_secs(60));
    }

    #[test]
    fn a_thread_that_does_not_end_is_left_behind() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let stuck = Background::start("stuck".to_owned(), move |_| {
            let _ = released.recv();
        });
        // This would wait for ever if it waited for the thread.
        join_all(vec![stuck.unwrap()], Duration::from_millis(20));
        drop(release);
    }
}
