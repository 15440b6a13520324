//! The thread between steering and its router, so that a slow router delays no cycle.
//!
//! Steering asks, goes on, and hears of the outcome at a later tick. It asks for one change at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use tracing::warn;

use crate::router::Router;
use crate::runner::RouteOutcome;
use crate::steering::Route;

/// How often the thread looks for a request; short beside a steering cycle.
const POLL: Duration = Duration::from_millis(5);

/// A router on a thread of its own.
#[derive(Debug)]
pub struct RouteActuator {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// Where steering leaves requests and finds outcomes.
#[derive(Clone, Debug)]
pub struct Requests(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    wanted: ArrayQueue<Route>,
    outcome: ArrayQueue<RouteOutcome>,
    stop: AtomicBool,
}

impl Requests {
    /// Asks for a change of route.
    pub fn ask(&self, to: Route) -> RouteOutcome {
        self.0.wanted.force_push(to);
        RouteOutcome::Pending
    }

    /// The outcome of the last request, once.
    pub fn outcome(&self) -> Option<RouteOutcome> {
        self.0.outcome.pop()
    }
}

impl RouteActuator {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system has no thread to give.
    pub fn start(mut router: Box<dyn Router>) -> std::io::Result<(Self, Requests)> {
        let shared = Arc::new(Shared {
            wanted: ArrayQueue::new(1),
            outcome: ArrayQueue::new(1),
            stop: AtomicBool::new(false),
        });
        let worker = Arc::clone(&shared);
        let thread = thread::Builder::new().name("router".to_owned()).spawn(move || {
            let mut failing = false;
            while !worker.stop.load(Ordering::Acquire) {
                if let Some(to) = worker.wanted.pop() {
                    let outcome = match router.route(to) {
                        Ok(()) => RouteOutcome::Changed,
                        Err(error) => {
                            if !std::mem::replace(&mut failing, true) {
                                warn!(%error, "Router does not change the route; it is asked again.");
                            }
                            RouteOutcome::Failed
                        }
                    };
                    failing &= outcome == RouteOutcome::Failed;
                    worker.outcome.force_push(outcome);
                }
                thread::park_timeout(POLL);
            }
        })?;
        let requests = Requests(Arc::clone(&shared));
        Ok((RouteActuator { shared, thread }, requests))
    }

    /// Ends the thread; a request under way is finished first. The route stays as it is.
    pub fn stop(self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            warn!("The router's thread panicked.");
        }
    }
}
