//! The running sinks of a program, and the one handle its controllers need.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::running::{RunningSink, claims};
use crate::watch::{Watched, Watcher};
use crate::worker::{State, caught};
use crate::{Deadline, FaultClass, Issue, MetricsSink, Resource, SinkSpec, SinkStats, Startup};

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
    /// How often the accounts of each sink are sent through the pipeline themselves, as the
    /// `wanctl_sink_*` metrics of WAN `daemon`. Default `None`: never.
    pub report: Option<Duration>,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        PipelineOptions { frames_per_second: 40.0, report: None }
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
pub struct Pipeline {
    watched: Arc<Watched>,
    watcher: Option<Watcher>,
    options: PipelineOptions,
    /// Held while the set of sinks changes, which may take its time.
    applying: Mutex<()>,
}

/// What a change of the set of sinks has done; see [`Pipeline::apply`].
#[derive(Debug, Default)]
pub struct Applied {
    /// Sinks that were not touched.
    pub unchanged: Vec<String>,
    /// Sinks that go on with other settings or options, and what waited in their queues.
    pub changed: Vec<String>,
    /// Sinks that are new.
    pub added: Vec<String>,
    /// The final accounts of sinks that are gone.
    pub removed: Vec<SinkStats>,
    /// Sinks that can't work as configured now, and why. One that ran before still runs as it was.
    pub refused: Vec<Issue>,
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
        let issues = Self::check(&specs);
        if !issues.is_empty() {
            return Err(issues);
        }
        let watched = Arc::new(Watched::default());
        let watcher = Watcher::start(Arc::clone(&watched), options.report)
            .map_err(|error| vec![Issue::new("sinks", format!("no thread: {error}"))])?;
        let pipeline =
            Pipeline { watched, watcher: Some(watcher), options, applying: Mutex::new(()) };
        let wanted = specs.into_iter().filter(|spec| spec.enabled).collect();
        let (sinks, issues) = pipeline.open(wanted);
        pipeline.watched.set(sinks);
        if issues.is_empty() { Ok(pipeline) } else { Err(issues) }
    }

    /// Starts sinks and waits a while to see how they open; those that can't work are reported and end.
    fn open(&self, specs: Vec<SinkSpec>) -> (Vec<Arc<RunningSink>>, Vec<Issue>) {
        let (mut sinks, mut issues) = (Vec::with_capacity(specs.len()), Vec::new());
        for spec in specs {
            let path = format!("sinks.{}", spec.name);
            match RunningSink::start(spec, self.options.frames_per_second, &self.watched.clock) {
                Ok(sink) => sinks.push(Arc::new(sink)),
                Err(error) => issues.push(Issue::new(path, format!("no thread: {error}"))),
            }
        }
        let until = Deadline::after(OPENING);
        sinks.retain(|sink| match sink.first_open(until) {
            Some(Err((FaultClass::Config, message))) if sink.spec.startup == Startup::Error => {
                issues.push(Issue::new(format!("sinks.{}", sink.spec.name), message));
                sink.order_stop(Deadline::after(Duration::ZERO));
                false
            }
            Some(_) => true,
            None => {
                warn!(sink = sink.spec.name, "Sink is still opening; its rows queue.");
                sink.worker.order(State::leave_alone);
                true
            }
        });
        (sinks, issues)
    }

    /// Everything wrong with the enabled ones of these sinks that can be told without opening them, as
    /// [`start`](Self::start) says it: settings that don't check, two sinks of one name or on one resource.
    ///
    /// Follows symbolic links of folders; opens and creates nothing.
    pub fn check(specs: &[SinkSpec]) -> Vec<Issue> {
        let mut issues = Vec::new();
        for spec in specs.iter().filter(|spec| spec.enabled) {
            let path = format!("sinks.{}", spec.name);
            let settings = format!("{path}.settings");
            let checked = guarded(&path, "check", || spec.config.check());
            issues.extend(checked.into_iter().map(|issue| issue.below(&settings)));
            issues.extend(spec.check_options().into_iter().map(|issue| issue.below(&path)));
        }
        issues.extend(conflicts(specs));
        issues
    }

    /// Makes these the sinks, by difference: one that is configured as before is not touched, one that
    /// has other settings or options is opened anew and gets what waits for it (what was selected already
    /// stays so), one that is new is started, and one that is gone writes what it has and ends. Handles of controllers stay valid.
    ///
    /// A sink counts as configured as before if it was read from the same YAML, or its [`SinkSpec`] is a
    /// clone with the same options. Two sinks that exchange a file or a port are both refused: one of them
    /// has to let go first.
    ///
    /// Takes at most about `within` for each sink that changes or goes, three times its `timeout` if it
    /// hangs in a call just then. Emits go on meanwhile.
    ///
    /// # Errors
    ///
    /// What [`check`](Self::check) finds: then nothing was changed. A sink that is found wrong only
    /// when it is opened is in [`Applied::refused`], and the others are changed all the same.
    pub fn apply(&self, specs: Vec<SinkSpec>, within: Duration) -> Result<Applied, Vec<Issue>> {
        let _one_at_a_time = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let issues = Self::check(&specs);
        if !issues.is_empty() {
            return Err(issues);
        }
        let mut applied = Applied::default();
        let mut old: Vec<Arc<RunningSink>> = self.watched.sinks().clone();
        let mut wanted: Vec<SinkSpec> = specs.into_iter().filter(|spec| spec.enabled).collect();

        // What goes lets go first, since a new sink may want its file or port.
        let (stay, gone): (Vec<_>, Vec<_>) =
            old.drain(..).partition(|sink| wanted.iter().any(|spec| spec.name == sink.spec.name));
        self.watched.set(stay.clone());
        applied.removed = stop(&gone, within);

        let mut changes = Vec::new();
        for sink in stay {
            let Some(at) = wanted.iter().position(|spec| spec.name == sink.spec.name) else {
                continue;
            };
            let spec = wanted.remove(at);
            if spec.is_as_before(&sink.spec) {
                applied.unchanged.push(spec.name);
            } else {
                changes.push(spec);
            }
        }
        // One whose file or port another one still has waits for that one's change.
        while let Some(at) = changes.iter().position(|spec| self.holder(spec).is_none()) {
            self.change(changes.remove(at), within, &mut applied);
        }
        for spec in changes.into_iter().chain(std::mem::take(&mut wanted)) {
            match self.holder(&spec) {
                Some(issue) => {
                    warn!(sink = spec.name, error = issue.message, "Sink is as it was.");
                    applied.refused.push(issue);
                }
                None => wanted.push(spec),
            }
        }
        let (added, refused) = self.open(wanted);
        applied.added = added.iter().map(|sink| sink.spec.name.clone()).collect();
        applied.refused.extend(refused);
        let sinks = self.watched.sinks().iter().cloned().chain(added).collect();
        self.watched.set(sinks);
        Ok(applied)
    }

    /// Why this one can't run now: another sink has the file or port that it wants.
    fn holder(&self, spec: &SinkSpec) -> Option<Issue> {
        let wanted = claims(spec);
        let sinks = self.watched.sinks().clone();
        sinks.iter().filter(|sink| sink.spec.name != spec.name).find_map(|sink| {
            let is_wanted = |held: &Resource| wanted.iter().any(|claim| claim.clashes_with(held));
            let held = claims(&sink.spec).into_iter().find(is_wanted)?;
            let message = format!(
                "{held} is still held by sinks.{}; free it first, or start the program anew",
                sink.spec.name
            );
            Some(Issue::new(format!("sinks.{}", spec.name), message))
        })
    }

    /// Has a running sink go on with another configuration.
    fn change(&self, spec: SinkSpec, within: Duration, applied: &mut Applied) {
        let name = spec.name.clone();
        let mut sinks = self.watched.sinks().clone();
        let Some(sink) = sinks.iter_mut().find(|sink| sink.spec.name == name) else { return };
        let changed = caught("change", || Ok(sink.change(spec, Deadline::after(within))));
        match changed.unwrap_or_else(|panic| Err(panic.to_string())) {
            Ok(changed) => {
                info!(sink = name, "Sink goes on with its new configuration.");
                *sink = Arc::new(changed);
                // At once, so that emits go to the queue that it reads now.
                self.watched.set(sinks);
                applied.changed.push(name);
            }
            Err(message) => {
                warn!(sink = name, error = message, "Sink goes on as it was.");
                applied.refused.push(Issue::new(format!("sinks.{name}"), message));
            }
        }
    }

    /// Has every sink let go of its destination and open it again, as after a file was moved away.
    /// Returns at once; what waits is written to the destination that is opened then. One that failed is
    /// tried at once, also a sink that is off.
    pub fn reopen(&self) {
        let sinks = self.watched.sinks().clone();
        for sink in sinks {
            sink.worker.order(State::order_reopen);
        }
    }

    /// A handle to all sinks, for a controller to hold. It stays valid when the set of sinks changes.
    pub fn sink(&self) -> Box<dyn MetricsSink> {
        Box::new(self.watched.handle.clone())
    }

    /// What became of the rows so far, sink by sink.
    pub fn stats(&self) -> Vec<SinkStats> {
        self.watched.sinks().iter().map(|sink| sink.stats()).collect()
    }

    /// Has everything written that was emitted before this call, also what a window of `select.every` has so
    /// far. True if all sinks did it in time.
    pub fn flush(&self, within: Duration) -> bool {
        let until = Deadline::after(within);
        let sinks = self.watched.sinks().clone();
        let orders: Vec<u64> =
            sinks.iter().map(|sink| sink.worker.order(State::order_flush)).collect();
        sinks.iter().zip(orders).all(|(sink, order)| sink.wait_flushed(order, until))
    }

    /// Takes nothing more, writes what is queued, and ends the workers.
    ///
    /// Returns the final accounts. A worker that has not ended by the deadline is left alone: its rows
    /// stay in flight in its accounts.
    pub fn shutdown(mut self, within: Duration) -> Vec<SinkStats> {
        self.stop(within)
    }

    fn stop(&mut self, within: Duration) -> Vec<SinkStats> {
        // Queues stay where handles point, so that what comes now is counted.
        let sinks = std::mem::take(&mut *self.watched.sinks());
        let stats = stop(&sinks, within);
        self.watcher = None;
        stats
    }
}

/// What a sink finds wrong with itself; a panic is wrong, too.
fn guarded(path: &str, call: &'static str, ask: impl FnOnce() -> Vec<Issue>) -> Vec<Issue> {
    caught(call, || Ok(ask())).unwrap_or_else(|panic| vec![Issue::new(path, panic.to_string())])
}

/// Enabled sinks that have one name, or want one file or port.
pub(crate) fn conflicts(specs: &[SinkSpec]) -> Vec<Issue> {
    let mut issues = Vec::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut taken: Vec<(Resource, &SinkSpec)> = Vec::new();
    for spec in specs.iter().filter(|spec| spec.enabled) {
        let path = format!("sinks.{}", spec.name);
        if !names.insert(&spec.name) {
            issues.push(Issue::new(&path, "two sinks have this name"));
        }
        let claimed = caught("claims", || Ok(claims(spec))).unwrap_or_else(|panic| {
            issues.push(Issue::new(&path, panic.to_string()));
            Vec::new()
        });
        for claim in claimed {
            if let Some((_, other)) = taken.iter().find(|(other, _)| other.clashes_with(&claim)) {
                let message = format!("{claim} is already taken by sinks.{}", other.name);
                issues.push(Issue::new(&path, message));
            } else {
                taken.push((claim, spec));
            }
        }
    }
    issues
}

/// Has these sinks write what they have, and end.
fn stop(sinks: &[Arc<RunningSink>], within: Duration) -> Vec<SinkStats> {
    let until = Deadline::after(within);
    for sink in sinks {
        sink.order_stop(until);
    }
    for one in sinks.iter().map(|sink| sink.stats()).filter(|one| one.queued + one.in_flight > 0) {
        let (rows, seconds) = (one.queued + one.in_flight, within.as_secs_f64());
        info!(sink = one.name, rows, seconds, "Writing what is queued, for at most this long.");
    }
    // A call that begins before the deadline ends with it; leave it a moment to return.
    let grace = Deadline::after(within + LAST_CHANCE);
    for sink in sinks {
        if !sink.wait_ended(grace) {
            warn!(sink = sink.spec.name, "Sink did not stop in time and is left behind.");
        }
    }
    let stats: Vec<SinkStats> = sinks.iter().map(|sink| sink.stats()).collect();
    for one in stats.iter().filter(|one| one.unwritten() > 0) {
        let rows = one.unwritten();
        warn!(sink = one.name, rows, "Rows were not written before the deadline.");
    }
    stats
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if self.watcher.is_some() {
            self.stop(LAST_CHANCE);
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("sinks", &self.stats()).finish_non_exhaustive()
    }
}
