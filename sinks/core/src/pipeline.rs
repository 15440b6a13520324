//! The running sinks of a program, and the one handle its controllers need.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::queue::{Queue, Queued};
use crate::worker::{Mailbox, Worker};
use crate::{
    Deadline, Fanout, FaultClass, Issue, MetricsSink, OpenContext, Resource, SinkSpec, SinkStats,
    Startup,
};

/// How long a start waits to see whether sinks open.
const OPENING: Duration = Duration::from_secs(2);
/// How long a dropped pipeline tries to write what is queued.
const LAST_CHANCE: Duration = Duration::from_millis(250);

/// What all sinks of a pipeline have in common.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// How many frames a second all controllers together emit; turns a queue's seconds into frames.
    /// Default 40.
    pub frames_per_second: f64,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        PipelineOptions { frames_per_second: 40.0 }
    }
}

/// The running sinks: for each a bounded queue and a worker thread, isolated from the others.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use wanctl_sink::{Pipeline, PipelineOptions};
///
/// // No sinks at all is a pipeline too: it takes everything and keeps nothing.
/// let pipeline = Pipeline::start(Vec::new(), PipelineOptions::default()).unwrap();
/// let sink = pipeline.sink();
/// # let _ = sink;
/// let report = pipeline.shutdown(Duration::from_secs(3));
/// assert!(report.is_empty());
/// ```
///
/// Call [`shutdown`](Self::shutdown) to have everything written that is queued. A pipeline that is
/// dropped tries for a quarter of a second.
#[derive(Debug)]
pub struct Pipeline {
    sinks: Vec<RunningSink>,
    handle: Fanout,
}

#[derive(Debug)]
struct RunningSink {
    name: String,
    kind: String,
    queue: Arc<Queue>,
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

impl Pipeline {
    /// Checks and opens every sink that is enabled.
    ///
    /// Waits at most two seconds. A sink that can't open *now* (locked, full, unreachable) starts all
    /// the same: its rows queue and it is tried again.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once, with key paths below `sinks`: settings that don't check, two
    /// sinks on one file or port, two sinks of one name, destinations that can't work (unless the
    /// sink's `startup` says otherwise). Nothing runs then.
    pub fn start(specs: Vec<SinkSpec>, options: PipelineOptions) -> Result<Self, Vec<Issue>> {
        let mut issues = Self::check(&specs);
        if !issues.is_empty() {
            return Err(issues);
        }
        let specs: Vec<SinkSpec> = specs.into_iter().filter(|spec| spec.enabled).collect();
        let startups: Vec<Startup> = specs.iter().map(|spec| spec.startup).collect();
        let mut sinks = Vec::with_capacity(specs.len());
        for spec in specs {
            let path = format!("sinks.{}", spec.name);
            match RunningSink::start(spec, &options) {
                Ok(sink) => sinks.push(sink),
                Err(error) => issues.push(Issue::new(path, format!("no thread: {error}"))),
            }
        }
        let until = Deadline::after(OPENING);
        for (sink, startup) in sinks.iter().zip(startups) {
            match sink.mailbox.first_open(until) {
                Some(Err((FaultClass::Config, message))) if startup == Startup::Error => {
                    issues.push(Issue::new(format!("sinks.{}", sink.name), message));
                }
                Some(_) => {}
                None => warn!(sink = sink.name, "Sink is still opening; its rows queue."),
            }
        }
        let handles =
            sinks.iter().map(|sink| Box::new(Queued(Arc::clone(&sink.queue))) as Box<_>).collect();
        let pipeline = Pipeline { sinks, handle: Fanout::new(handles) };
        if issues.is_empty() { Ok(pipeline) } else { Err(issues) }
    }

    /// Everything wrong with the enabled ones of these sinks that can be told without opening them, as
    /// [`start`](Self::start) says it: settings that don't check, two sinks of one name or on one resource.
    ///
    /// Follows symbolic links of folders; opens and creates nothing.
    pub fn check(specs: &[SinkSpec]) -> Vec<Issue> {
        let mut issues = Vec::new();
        let mut names: BTreeMap<&str, ()> = BTreeMap::new();
        let mut claims: BTreeMap<Resource, &SinkSpec> = BTreeMap::new();
        for spec in specs.iter().filter(|spec| spec.enabled) {
            let path = format!("sinks.{}", spec.name);
            if names.insert(&spec.name, ()).is_some() {
                issues.push(Issue::new(&path, "two sinks have this name"));
            }
            let settings = format!("{path}.settings");
            issues.extend(spec.config.check().into_iter().map(|issue| issue.below(&settings)));
            for claim in spec.config.claims().into_iter().map(Resource::followed) {
                if let Some(other) = claims.get(&claim) {
                    let message = format!("{claim} is already taken by sinks.{}", other.name);
                    issues.push(Issue::new(&path, message));
                } else {
                    claims.insert(claim, spec);
                }
            }
        }
        issues
    }

    /// A handle to all sinks, for a controller to hold.
    pub fn sink(&self) -> Box<dyn MetricsSink> {
        Box::new(self.handle.clone())
    }

    /// What became of the rows so far, sink by sink.
    pub fn stats(&self) -> Vec<SinkStats> {
        self.sinks.iter().map(RunningSink::stats).collect()
    }

    /// Has everything written that was emitted before this call. True if all sinks did it in time.
    pub fn flush(&self, within: Duration) -> bool {
        let until = Deadline::after(within);
        let orders: Vec<u64> = self.sinks.iter().map(RunningSink::order_flush).collect();
        let done = |(sink, order): (&RunningSink, u64)| sink.mailbox.wait_flushed(order, until);
        self.sinks.iter().zip(orders).all(done)
    }

    /// Takes nothing more, writes what is queued, and ends the workers.
    ///
    /// Returns the final accounts. A worker that has not ended by the deadline is left alone: its rows
    /// stay in flight in its accounts.
    pub fn shutdown(mut self, within: Duration) -> Vec<SinkStats> {
        self.stop(within)
    }

    fn stop(&mut self, within: Duration) -> Vec<SinkStats> {
        let until = Deadline::after(within);
        let sinks = std::mem::take(&mut self.sinks);
        for sink in &sinks {
            sink.queue.close();
            sink.mailbox.order_stop(until);
            sink.unpark();
        }
        for one in sinks.iter().map(RunningSink::stats).filter(|one| one.queued + one.in_flight > 0)
        {
            let (rows, seconds) = (one.queued + one.in_flight, within.as_secs_f64());
            info!(sink = one.name, rows, seconds, "Writing what is queued, for at most this long.");
        }
        // A call that begins before the deadline ends with it; leave it a moment to return.
        let grace = Deadline::after(within + LAST_CHANCE);
        for sink in &sinks {
            if !sink.mailbox.wait_ended(grace) {
                warn!(sink = sink.name, "Sink did not stop in time and is left behind.");
            }
        }
        let stats: Vec<SinkStats> = sinks.iter().map(RunningSink::stats).collect();
        for one in stats.iter().filter(|one| one.unwritten() > 0) {
            let rows = one.unwritten();
            warn!(sink = one.name, rows, "Rows were not written before the deadline.");
        }
        stats
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if !self.sinks.is_empty() {
            self.stop(LAST_CHANCE);
        }
    }
}

impl RunningSink {
    fn start(spec: SinkSpec, options: &PipelineOptions) -> std::io::Result<Self> {
        let frames =
            (spec.queue.seconds * options.frames_per_second).ceil().clamp(1.0, 1e7) as usize;
        let queue = Arc::new(Queue::new(frames, spec.queue.full));
        let mailbox = Arc::new(Mailbox::default());
        let worker = Worker {
            queue: Arc::clone(&queue),
            mailbox: Arc::clone(&mailbox),
            config: spec.config,
            context: OpenContext { sink: spec.name.clone() },
            batch: spec.batch,
            startup: spec.startup,
        };
        let thread = thread::Builder::new()
            .name(format!("sink/{}", spec.name))
            .spawn(move || worker.run())?;
        debug!(sink = spec.name, kind = spec.kind, queue_frames = frames, "Sink starts.");
        Ok(RunningSink { name: spec.name, kind: spec.kind, queue, mailbox, thread: Some(thread) })
    }

    fn stats(&self) -> SinkStats {
        self.queue.counters.stats(&self.name, &self.kind)
    }

    fn order_flush(&self) -> u64 {
        let order = self.mailbox.order_flush();
        self.unpark();
        order
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}
