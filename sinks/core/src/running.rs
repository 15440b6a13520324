//! One sink of a pipeline while it runs: its queue, its worker, its accounts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tracing::debug;

use crate::counters::Counters;
use crate::queue::{CoarseClock, Queue};
use crate::worker::{Answer, Change, Setup, State, Worker};
use crate::{Deadline, QueueOptions, Resource, SinkSpec, SinkStats};

/// How much longer than its calls a change may take.
const SETTLING: Duration = Duration::from_secs(2);

/// A sink that was started.
#[derive(Clone)]
pub(crate) struct RunningSink {
    /// As it is configured now.
    pub(crate) spec: SinkSpec,
    pub(crate) queue: Arc<Queue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) worker: Arc<Worker>,
    clock: Arc<CoarseClock>,
    frames_per_second: f64,
}

impl RunningSink {
    /// Starts a worker, which opens the sink.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(
        spec: SinkSpec,
        frames_per_second: f64,
        clock: &Arc<CoarseClock>,
    ) -> io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let queue = queue(spec.queue, frames_per_second, clock, &counters);
        let state = State::new(
            Setup::new(&spec),
            Arc::clone(&queue),
            Arc::clone(&counters),
            Arc::clone(clock),
        );
        let worker = Worker::start(spec.name.clone(), state)?;
        debug!(sink = spec.name, kind = spec.kind, queue = ?spec.queue, "Sink starts.");
        let clock = Arc::clone(clock);
        Ok(RunningSink { spec, queue, counters, worker, clock, frames_per_second })
    }

    pub(crate) fn stats(&self) -> SinkStats {
        self.counters.stats(&self.spec.name, &self.spec.kind)
    }

    /// How the first try to open went; `None` if it takes longer than this.
    pub(crate) fn first_open(&self, until: Deadline) -> Option<Answer> {
        self.worker.wait(until, |state| state.first_open.clone())
    }

    /// Whether that flush was carried out in time.
    pub(crate) fn wait_flushed(&self, order: u64, until: Deadline) -> bool {
        let nothing_lost = || self.counters.lost_at_shutdown.load(Relaxed) == 0;
        let ended = |state: &State| state.ended.then(nothing_lost);
        let answer = |state: &State| state.flush.answer(order).or_else(|| ended(state));
        self.worker.wait(until, answer).unwrap_or(false)
    }

    /// Takes nothing more, and orders the rest to be written until this time.
    pub(crate) fn order_stop(&self, until: Deadline) {
        self.queue.close();
        self.worker.order(|state| state.order_stop(until));
    }

    /// Whether the worker ended in time.
    pub(crate) fn wait_ended(&self, until: Deadline) -> bool {
        self.worker.wait(until, |state| state.ended.then_some(())).is_some()
    }

    /// Has the worker go on with another configuration, which gets what waits here. Returns the sink as
    /// it is then.
    ///
    /// # Errors
    ///
    /// Why the new one can't work, or that there was no answer in time; the sink stays as it was.
    pub(crate) fn change(&self, spec: SinkSpec, until: Deadline) -> Result<Self, String> {
        let queue = (spec.queue != self.spec.queue)
            .then(|| queue(spec.queue, self.frames_per_second, &self.clock, &self.counters));
        let wanted = claims(&spec);
        let close_first = claims(&self.spec)
            .iter()
            .any(|held| wanted.iter().any(|claim| claim.clashes_with(held)));
        let change = Change { setup: Setup::new(&spec), queue: queue.clone(), close_first };
        self.worker.order(|state| state.order_change(change));
        let answer = |until| self.worker.wait(until, |state| state.changed.clone());
        let answer = match answer(until) {
            Some(answer) => Some(answer),
            None if self.worker.order(State::cancel_change) => None,
            // It is under way, and comes to an end or is given up by the watcher.
            None => answer(Deadline::after(3 * self.spec.timeout + SETTLING)),
        };
        match answer {
            Some(Ok(())) => {
                let queue = queue.unwrap_or_else(|| Arc::clone(&self.queue));
                Ok(RunningSink { spec, queue, ..self.clone() })
            }
            Some(Err((_, message))) => Err(message),
            None => Err("the sink is busy with a call and did not take the change in time".into()),
        }
    }
}

/// What a sink must have for itself, by the names the file system gives.
pub(crate) fn claims(spec: &SinkSpec) -> Vec<Resource> {
    spec.config.claims().into_iter().map(Resource::followed).collect()
}

/// A queue for as many frames as these emit in its seconds.
fn queue(
    options: QueueOptions,
    frames_per_second: f64,
    clock: &Arc<CoarseClock>,
    counters: &Arc<Counters>,
) -> Arc<Queue> {
    let frames = (options.seconds * frames_per_second).ceil().clamp(1.0, 1e7) as usize;
    Arc::new(Queue::new(frames, options.full, Arc::clone(clock), Arc::clone(counters)))
}
