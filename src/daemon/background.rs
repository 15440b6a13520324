//! Threads that serve control without being part of it: shaping, routing, reading, keeping state.
#![expect(clippy::disallowed_methods, reason = "waits in real time")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::error;

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

    /// Tells the thread to stop, and waits until it has finished what it was doing.
    pub(super) fn stop(self) {
        self.stop.0.store(true, Ordering::Release);
        self.thread.thread().unpark();
        let name = self.thread.thread().name().unwrap_or_default().to_owned();
        if self.thread.join().is_err() {
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
        background.unwrap().stop();
    }
}
