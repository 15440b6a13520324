//! One sink's thread: carries out what the [`State`] decides, and reports how it went.
//!
//! Nothing a sink does reaches further than this thread. A panic is caught and the writer is built
//! again from its configuration; a call that hangs costs this thread and no other: the pipeline's
//! watcher leaves it behind and starts another one in its place.

mod breaker;
mod notice;
mod pending;
mod state;

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use state::{Answer, Change, Setup, State};

use crate::{Batch, Deadline, FaultClass, OpenContext, SinkConfig, SinkError, SinkWriter};
use state::{Keep, Outcome, Task, refuses_a_change};

/// How long a worker that died of our own mistake waits before it begins anew.
const AFTER_DEATH: Duration = Duration::from_secs(1);

/// What a sink's threads, the watcher and the pipeline share. No control thread ever touches it.
pub(crate) struct Worker {
    sink: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[expect(clippy::disallowed_methods, reason = "a worker waits and measures in real time")]
impl Worker {
    /// Starts a thread that works until it is told to stop.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(sink: String, state: State) -> io::Result<Arc<Self>> {
        let worker = Arc::new(Worker { sink, state: Mutex::new(state), changed: Condvar::new() });
        worker.spawn(0)?;
        Ok(worker)
    }

    fn spawn(self: &Arc<Self>, generation: u64) -> io::Result<()> {
        let worker = Arc::clone(self);
        let name = format!("sink/{}", self.sink);
        thread::Builder::new().name(name).spawn(move || worker.work(generation)).map(drop)
    }

    /// Works, and begins anew should our own code panic.
    fn work(&self, generation: u64) {
        while catch_unwind(AssertUnwindSafe(|| self.run(generation))).is_err() {
            let mut state = self.lock();
            if state.generation != generation {
                return;
            }
            state.died(Instant::now());
            drop(state);
            thread::park_timeout(AFTER_DEATH);
        }
    }

    /// Does what the state decides, for as long as this thread is the one to do it.
    fn run(&self, generation: u64) {
        let mut writer: Option<Box<dyn SinkWriter>> = None;
        let mut state = self.lock();
        loop {
            if state.generation != generation {
                // Another thread has taken over; what came of the call counts for nothing.
                state.returned();
                drop(state);
                return let_go(writer);
            }
            let (notices, discarded) = state.leftovers();
            if !notices.is_empty() || !discarded.is_empty() {
                drop(state);
                notices.iter().for_each(|notice| notice.say(&self.sink));
                drop_all(discarded);
                state = self.lock();
                continue;
            }
            let task = state.next(Instant::now());
            self.changed.notify_all();
            match task {
                Task::Rest(time) => {
                    let rested = self.changed.wait_timeout(state, time);
                    state = rested.unwrap_or_else(PoisonError::into_inner).0;
                }
                Task::End => {
                    state.finish();
                    self.changed.notify_all();
                    return;
                }
                call => {
                    drop(state);
                    let outcome = self.perform(call, &mut writer);
                    state = self.lock();
                    if state.generation == generation
                        && state.done(outcome, Instant::now()) == Keep::Nothing
                        && writer.is_some()
                    {
                        state.letting_go(Instant::now());
                        drop(state);
                        let_go(writer.take());
                        state = self.lock();
                        if state.generation == generation {
                            state.let_go();
                        }
                    }
                }
            }
        }
    }

    /// Makes one call to the sink's code.
    fn perform(&self, task: Task, writer: &mut Option<Box<dyn SinkWriter>>) -> Outcome {
        match task {
            Task::Write(items, deadline) => {
                let write = |writer: &mut Box<dyn SinkWriter>| {
                    Ok(writer.write(&Batch::new(&items), deadline))
                };
                Outcome::Wrote(items.len(), on(writer, "write", write))
            }
            Task::Flush(order, deadline) => {
                Outcome::Flushed(order, on(writer, "flush", |writer| writer.flush(deadline)))
            }
            Task::Close(deadline) => Outcome::Closed(close(writer, deadline)),
            Task::Exchange { config, close_first, deadline } => {
                if close_first {
                    self.close(writer, deadline);
                }
                let opened = self.open(&*config, deadline);
                if !opened.as_ref().is_err_and(|error| refuses_a_change(error.class)) {
                    self.close(writer, deadline);
                }
                Outcome::Exchanged(opened.map(|new| *writer = Some(new)))
            }
            Task::Open(config, deadline) => {
                let opened = self.open(&*config, deadline);
                Outcome::Opened(opened.map(|new| *writer = Some(new)))
            }
            Task::Rest(_) | Task::End => Outcome::Opened(Ok(())),
        }
    }

    /// Closes the writer, if there is one, on the way to another.
    fn close(&self, writer: &mut Option<Box<dyn SinkWriter>>, deadline: Deadline) {
        if let Err(error) = close(writer, deadline) {
            tracing::warn!(sink = self.sink, %error, "Sink did not close cleanly.");
        }
    }

    fn open(
        &self,
        config: &dyn SinkConfig,
        deadline: Deadline,
    ) -> Result<Box<dyn SinkWriter>, SinkError> {
        let context = OpenContext::new(self.sink.as_str(), deadline);
        caught("open", || config.open(&context))
    }

    /// The state, for a moment: nothing waits or writes while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding this lock can't leave the plain data behind it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an order to the worker, which looks at it at once.
    pub(crate) fn order<T>(&self, order: impl FnOnce(&mut State) -> T) -> T {
        let answer = order(&mut self.lock());
        self.changed.notify_all();
        answer
    }

    /// Waits until the state has an answer; `None` when it takes longer than this.
    pub(crate) fn wait<T>(
        &self,
        until: Deadline,
        ready: impl Fn(&State) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(answer) = ready(&state) {
                return Some(answer);
            }
            let left = until.remaining();
            if left.is_zero() {
                return None;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Starts another thread in the place of one that hangs. Looks another time if the state is in use.
    pub(crate) fn look_after(self: &Arc<Self>) {
        let state = match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(mut state) = state else { return };
        if let Some(generation) = state.replace(Instant::now()) {
            self.changed.notify_all();
            state.has_thread(self.spawn(generation).is_ok());
        }
    }
}

/// Calls the writer, if there is one.
fn on<T>(
    writer: &mut Option<Box<dyn SinkWriter>>,
    call: &'static str,
    make: impl FnOnce(&mut Box<dyn SinkWriter>) -> Result<T, SinkError>,
) -> Result<T, SinkError> {
    match writer {
        Some(writer) => caught(call, || make(writer)),
        None => Err(SinkError::new(FaultClass::Bug, format!("nothing is open to {call}"))),
    }
}

fn close(writer: &mut Option<Box<dyn SinkWriter>>, deadline: Deadline) -> Result<(), SinkError> {
    match writer.take() {
        Some(mut writer) => {
            let closed = caught("close", || writer.close(deadline));
            let_go(Some(writer));
            closed
        }
        None => Ok(()),
    }
}

/// Drops a writer. What it says while it goes interests nobody any more.
fn let_go(writer: Option<Box<dyn SinkWriter>>) {
    let _ = caught("drop", || {
        drop(writer);
        Ok(())
    });
}

/// Drops what others wrote, which may panic.
fn drop_all<T>(things: Vec<T>) {
    let _ = caught("drop", || {
        drop(things);
        Ok(())
    });
}

/// A call of the sink's code, with a panic turned into an error.
pub(crate) fn caught<T>(
    call: &'static str,
    make: impl FnOnce() -> Result<T, SinkError>,
) -> Result<T, SinkError> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|panic| Err(panicked(call, &*panic)))
}

fn panicked(call: &str, panic: &(dyn Any + Send)) -> SinkError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let why = text.unwrap_or("no message");
    SinkError::new(FaultClass::Bug, format!("the sink panicked in `{call}`: {why}"))
}
