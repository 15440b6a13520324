//! The daemon: opens everything, starts a control thread for each controller, and waits.
//!
//! This thread owns signals, reloads, the status line and the order of starting and stopping. Control threads
//! share nothing with it but atomics and lock-free slots; what they see comes from the prober's thread,
//! what they decide goes to the shaper's and the router's, what they record goes to the sinks'.

mod actuator;
mod background;
mod baseline;
mod cake;
mod clock;
mod controllers;
pub mod cycle;
mod http;
mod prepare;
mod reflectors;
mod reload;
mod report;
mod route;
mod running;
mod schedule;
mod socket;
mod state_file;
mod status;
mod wait;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use tracing::{info, warn};
use wanctl_sink::{Issue, Pipeline, PipelineOptions, SinkStats};

pub use clock::Clock;
pub use schedule::{Schedule, Tick};
pub use socket::DEFAULT_SOCKET;
pub use status::{Shown, Status};

use crate::config::{Config, Trigger};
use controllers::Program;
use http::HistoryFile;
use report::Reporter;
use socket::{Listener, Server};
use wait::Request;

/// How long sinks may take to write what is queued when the program stops.
const LAST_WRITES: Duration = Duration::from_secs(10);
/// How often the accounts of the sinks are recorded.
const REPORT: Duration = Duration::from_secs(10);
/// How many entries of the journal wait for the log.
const JOURNAL: usize = 256;

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Stop after this time; `None` waits for a signal.
    pub duration: Option<Duration>,
    /// Change no shaper and no route.
    pub dry_run: bool,
    /// The files that the configuration was read from, to be read again on SIGHUP.
    pub files: Vec<PathBuf>,
    /// The Unix socket where `wanctl status` asks, [`DEFAULT_SOCKET`] for one; `None` for no socket.
    pub status_socket: Option<PathBuf>,
    /// Show a status line a second, if standard output is a terminal.
    pub status_line: bool,
}

/// Why the daemon could not run, or did not run to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The configuration can't work.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Issue>),
    /// Nothing can be measured.
    #[error("nothing can be measured")]
    Measure(#[from] crate::measure::MeasureError),
    /// The system refused a thread or a signal handler.
    #[error("the system gives no threads or signals")]
    System(#[from] std::io::Error),
    /// A thread panicked. Everything was stopped in order; shapers keep their last rates.
    #[error("the thread {0:?} panicked")]
    Panicked(String),
}

/// Runs every controller of the configuration until the duration is over or a signal comes.
///
/// Signals: SIGTERM and SIGINT stop; SIGHUP reads the files of `options` again, which the sinks follow at
/// once and the rest at the next start, or stops if it comes because the terminal was closed; SIGUSR1 records the configuration once more. While it stops, a
/// second SIGTERM or SIGINT ends the process at once, with exit code 1.
///
/// A reload is done on the calling thread: a stop that is asked for meanwhile waits for it, and control for
/// neither.
///
/// The accounts of the sinks are recorded every ten seconds, as the `wanctl_sink_*` metrics.
///
/// # Errors
///
/// What can't work is said before anything is controlled. Later only a panic is an error: sinks, shapers
/// and routers that fail are tried again.
pub fn run(config: Config, options: &RunOptions) -> Result<(), RunError> {
    // Before anything is opened, so that a refused run leaves nothing behind.
    let mut issues = controllers::unmeasurable(&config);
    if !options.dry_run {
        issues.extend(config.undriveable());
        issues.extend(config.check_secrets());
    }
    if !issues.is_empty() {
        return Err(RunError::Config(issues));
    }
    let clock = Clock::start();
    let (events, inbox) = mpsc::channel();
    wait::forward_signals(events.clone())?;
    for note in &config.notes {
        info!("{note}");
    }
    let rate = |interval: Duration| 1.0 / interval.as_secs_f64();
    let frames_per_second = config.autorate.iter().map(|one| rate(one.cycle)).sum::<f64>()
        + config.steering.iter().map(|one| rate(one.interval)).sum::<f64>()
        + config.sinks.len() as f64 * rate(REPORT);
    let pipeline = Pipeline::start(
        config.sinks.clone(),
        PipelineOptions { frames_per_second, report: Some(REPORT) },
    )
    .map_err(RunError::Config)?;
    let journal = Arc::new(ArrayQueue::new(JOURNAL));
    let program = Program {
        config: &config,
        options,
        pipeline: &pipeline,
        clock,
        journal: &journal,
        events: &events,
    };
    let mut running = match controllers::start(&program, &inbox) {
        Ok(Some(running)) => running,
        Ok(None) => {
            pipeline.shutdown(LAST_WRITES);
            return Ok(());
        }
        Err(error) => {
            pipeline.shutdown(LAST_WRITES);
            return Err(error);
        }
    };
    let snapshot = |trigger| {
        let sink = pipeline.sink();
        controllers::record_snapshots(&config, sink.as_ref(), clock.stamp(), trigger);
    };
    snapshot(Trigger::Startup);
    let history = HistoryFile::of(&config.sinks);
    let carry_out = |request| match request {
        Request::Snapshot => snapshot(Trigger::Manual),
        Request::Reload => {
            if reload::reload(&options.files, &config, &pipeline, &history) {
                snapshot(Trigger::Reload);
            }
        }
    };
    let reporter = Reporter {
        options,
        pipeline: &pipeline,
        clock,
        controllers: running.controllers(),
        started_nanos: clock.stamp().mono_nanos,
    };
    thread::scope(|scope| {
        let _server =
            options.status_socket.as_deref().and_then(Listener::open).and_then(|socket| {
                Server::start(scope, socket, &reporter)
                    .inspect_err(|error| warn!(%error, "The status socket has no thread."))
                    .ok()
            });
        let _listeners = http::start(scope, &config.health_check, &reporter, &history);
        wait::until_over(&running, &journal, &inbox, options, carry_out);
    });
    let outcome = running.stop_control();
    wait::log(&journal);
    // What is recorded must not wait for a device; helpers finish meanwhile.
    let stats = pipeline.shutdown(LAST_WRITES);
    running.wait_for_helpers();
    stats.iter().for_each(say_closed);
    if stats.is_empty() {
        warn!("No sink was configured: nothing was recorded.");
    }
    outcome
}

/// Logs the final accounts of a sink.
fn say_closed(sink: &SinkStats) {
    let SinkStats { name, delivered, evicted, rejected, .. } = sink;
    let lost = sink.unwritten();
    if lost == 0 {
        info!(sink = name, delivered, evicted, rejected, lost, "Sink closed.");
    } else {
        warn!(sink = name, delivered, evicted, rejected, lost, "Sink closed.");
    }
}
