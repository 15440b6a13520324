//! The controllers that run, and their end: control first, then what serves it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::info;

use super::RunError;
use super::background::{self, Background};
use super::status::Status;
use super::wait::Event;
use crate::autorate::Zone;
use crate::measure::Prober;
use crate::steering::Congestion;

/// How long helpers may take to finish what they are doing.
const LAST_HELP: Duration = Duration::from_secs(5);

/// Which controller a control thread runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Autorate,
    Steering,
}

impl Kind {
    /// The word for it, which is the `source` of its rows.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Autorate => "autorate",
            Kind::Steering => "steering",
        }
    }
}

/// The running controllers and their helpers.
#[derive(Default)]
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    control: Vec<Control>,
    helpers: Vec<Background>,
}

/// A controller as others see it.
#[derive(Clone, Debug)]
pub(super) struct Controller {
    pub(super) kind: Kind,
    pub(super) wan: String,
    /// The time between its cycles.
    pub(super) interval: Duration,
    pub(super) status: Arc<Status>,
}

impl Controller {
    fn name(&self) -> String {
        format!("{} {}", self.kind.name(), self.wan)
    }
}

/// One control thread, and what it measures with.
struct Control {
    controller: Controller,
    prober: Prober,
    thread: JoinHandle<bool>,
}

impl Running {
    /// What control loops look at to learn that it is over.
    pub(super) fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Keeps a helper for as long as controllers run.
    pub(super) fn keep(&mut self, helper: Background) {
        self.helpers.push(helper);
    }

    /// Starts a control thread. Its end is an event, whether it returns or panics.
    ///
    /// # Errors
    ///
    /// The system has no thread to give.
    pub(super) fn control(
        &mut self,
        controller: Controller,
        prober: Prober,
        events: Sender<Event>,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let thread = thread::Builder::new().name(controller.name()).spawn(move || {
            let clean = catch_unwind(AssertUnwindSafe(body)).is_ok();
            // The main thread may be gone already, when it stopped on a signal.
            let _ = events.send(Event::Ended { clean });
            clean
        })?;
        self.control.push(Control { controller, prober, thread });
        Ok(())
    }

    /// The controllers that were started, for somebody else to look at.
    pub(super) fn controllers(&self) -> Vec<Controller> {
        self.control.iter().map(|control| control.controller.clone()).collect()
    }

    /// How many control loops were started.
    pub(super) fn len(&self) -> usize {
        self.control.len()
    }

    /// A helper that ended though nobody told it to, which it does by a panic only.
    pub(super) fn lost_helper(&self) -> Option<String> {
        let helper = self.helpers.iter().find(|helper| helper.has_ended());
        let prober = || self.control.iter().find(|control| control.prober.has_ended());
        helper
            .map(|helper| helper.name().to_owned())
            .or_else(|| prober().map(|control| format!("prober of {}", control.controller.name())))
    }

    /// One line with the newest numbers of all controllers.
    pub(super) fn status_line(&self) -> String {
        let lines: Vec<String> = self.control.iter().map(Control::line).collect();
        lines.join("  |  ")
    }

    /// Ends all control threads, and only then tells helpers to stop, without waiting for them.
    ///
    /// # Errors
    ///
    /// A controller or a helper that had panicked.
    pub(super) fn stop_control(&mut self) -> Result<(), RunError> {
        let lost = self.lost_helper();
        self.stop.store(true, Ordering::Release);
        let mut outcome = lost.map_or(Ok(()), |name| Err(RunError::Panicked(name)));
        for control in self.control.drain(..) {
            outcome = control.stop().and(outcome);
        }
        self.helpers.iter().for_each(Background::tell);
        outcome
    }

    /// Waits a few seconds for the helpers; leaves behind the ones that do not end.
    pub(super) fn wait_for_helpers(self) {
        background::join_all(self.helpers, LAST_HELP);
    }
}

impl Control {
    fn stop(self) -> Result<(), RunError> {
        self.thread.thread().unpark();
        let clean = self.thread.join().unwrap_or(false);
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let name = self.controller.name();
        let (status, probes) = (&self.controller.status, self.prober.counts());
        info!(
            controller = name,
            cycles = count(&status.cycles),
            without_sample = count(&status.without_sample),
            skipped = count(&status.skipped),
            worst_lateness_us = count(&status.worst_lateness_us),
            probes_sent = probes.sent,
            probes_answered = probes.answered,
            probes_late = probes.late,
            probes_foreign = probes.foreign,
            probes_failed = probes.failed,
            "Controller stopped."
        );
        if clean { Ok(()) } else { Err(RunError::Panicked(name)) }
    }

    fn line(&self) -> String {
        let s = &self.controller.status;
        let code = |n: &AtomicU64| n.load(Ordering::Relaxed) as usize;
        let name = |names: &[&'static str], code: usize| *names.get(code).unwrap_or(&"?");
        let link = format!(
            "{}: rtt {} ms (base {}, delta {})",
            self.controller.name(),
            s.rtt_ms,
            s.baseline_ms,
            s.delta_ms
        );
        let decided = match self.controller.kind {
            Kind::Steering => {
                let route = if code(&s.second) == 1 { "alternate WAN" } else { "primary WAN" };
                format!("{} {route}", name(&Congestion::NAMES, code(&s.state)))
            }
            Kind::Autorate => {
                let (down, up) =
                    (name(&Zone::NAMES, code(&s.state)), name(&Zone::NAMES, code(&s.second)));
                format!("down {} Mbit/s {down}, up {} Mbit/s {up}", s.download_mbps, s.upload_mbps)
            }
        };
        format!("{link}  {decided}")
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a prober is given the time")]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;
    use crate::daemon::{RunOptions, cycle::Journal, wait};
    use crate::measure::{Method, ProbeConfig};

    /// A prober that needs no privilege.
    fn prober() -> Prober {
        let config = ProbeConfig {
            reflectors: Vec::new(),
            tcp_targets: vec![([127, 0, 0, 1], 9).into()],
            gateway: None,
            interval: Duration::from_secs(1),
            timeout: ProbeConfig::DEFAULT_TIMEOUT,
            method: Method::TcpConnect,
        };
        Prober::start(config, Instant::now()).unwrap().0
    }

    fn controller(kind: Kind, wan: &str) -> Controller {
        let interval = Duration::from_secs(1);
        Controller { kind, wan: wan.to_owned(), interval, status: Arc::default() }
    }

    /// Adds a control thread that runs until it is told to stop.
    fn add_endless(running: &mut Running, events: &Sender<Event>) {
        let stop = running.stop_flag();
        let body = move || {
            while !stop.load(Ordering::Acquire) {
                thread::park();
            }
        };
        let sound = controller(Kind::Autorate, "sound");
        running.control(sound, prober(), events.clone(), body).unwrap();
    }

    /// Waits until the program should end, and stops.
    fn run_to_its_end(mut running: Running, inbox: &mpsc::Receiver<Event>) -> Result<(), RunError> {
        wait::until_over(&running, &Journal::new(1), inbox, &RunOptions::default(), |_| {});
        let outcome = running.stop_control();
        running.wait_for_helpers();
        outcome
    }

    #[test]
    fn panic_of_one_controller_stops_all_and_is_the_error() {
        let (events, inbox) = mpsc::channel();
        let mut running = Running::default();
        add_endless(&mut running, &events);
        let body = || panic!("injected");
        let broken = controller(Kind::Steering, "broken");
        running.control(broken, prober(), events.clone(), body).unwrap();
        let error = run_to_its_end(running, &inbox).unwrap_err();
        assert!(matches!(&error, RunError::Panicked(name) if name == "steering broken"), "{error}");
    }

    #[test]
    fn panic_of_a_helper_stops_the_controllers_and_is_the_error() {
        let (events, inbox) = mpsc::channel();
        let mut running = Running::default();
        add_endless(&mut running, &events);
        running.keep(Background::start("helper".to_owned(), |_| panic!("injected")).unwrap());
        let error = run_to_its_end(running, &inbox).unwrap_err();
        assert!(matches!(&error, RunError::Panicked(name) if name == "helper"), "{error}");
    }

    #[test]
    fn controllers_that_reached_their_end_are_no_error() {
        let (events, inbox) = mpsc::channel();
        let mut running = Running::default();
        let done = controller(Kind::Autorate, "done");
        running.control(done, prober(), events.clone(), || {}).unwrap();
        run_to_its_end(running, &inbox).unwrap();
    }
}
