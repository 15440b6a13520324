//! The thread between steering and its router, so that a slow router delays no cycle.
//!
//! Steering asks, goes on, and hears of the outcome at a later tick. It asks for one change at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use tracing::warn;

use super::background::Background;
use crate::router::Router;
use crate::runner::RouteOutcome;
use crate::steering::Route;

/// How often the thread looks for a request; short beside a steering cycle.
const POLL: Duration = Duration::from_millis(5);

/// Where steering leaves requests and finds outcomes.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    wanted: Arc<ArrayQueue<Route>>,
    outcome: Arc<ArrayQueue<RouteOutcome>>,
}

impl Requests {
    /// Asks for a change of route.
    pub(super) fn ask(&self, to: Route) -> RouteOutcome {
        self.wanted.force_push(to);
        RouteOutcome::Pending
    }

    /// The outcome of the last request, once.
    pub(super) fn outcome(&self) -> Option<RouteOutcome> {
        self.outcome.pop()
    }
}

/// Starts a router's thread. When it is told to stop, a request under way is finished first, and the
/// route stays as it is.
///
/// # Errors
///
/// The system has no thread to give.
pub(super) fn start(mut router: Box<dyn Router>) -> io::Result<(Background, Requests)> {
    let requests =
        Requests { wanted: Arc::new(ArrayQueue::new(1)), outcome: Arc::new(ArrayQueue::new(1)) };
    let Requests { wanted, outcome } = requests.clone();
    let background = Background::start("router".to_owned(), move |stop| {
        let mut failing = false;
        while !stop.is_set() {
            if let Some(to) = wanted.pop() {
                outcome.force_push(match router.route(to) {
                    Ok(()) => {
                        failing = false;
                        RouteOutcome::Changed
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            warn!(%error, "Router does not change the route; it is asked again.");
                        }
                        RouteOutcome::Failed
                    }
                });
            }
            stop.wait(POLL);
        }
    })?;
    Ok((background, requests))
}
