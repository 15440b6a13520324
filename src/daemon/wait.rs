//! What the main thread does while controllers run: signals, the log of their journal, the status line.
#![expect(clippy::disallowed_methods, reason = "the status line comes once a second")]

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use tracing::{debug, error, info, warn};

use super::RunOptions;
use super::cycle::{Entry, Journal};
use super::running::Running;
use crate::autorate::Outcome;
use crate::steering::Route;

const SECOND: Duration = Duration::from_secs(1);
/// How long an entry of the journal waits for the log at most.
const JOURNAL_EVERY: Duration = Duration::from_millis(200);

/// Everything that wakes the main thread.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// The process got a signal.
    Signal(i32),
    /// A control loop ended.
    Ended {
        /// It reached its end, and did not panic.
        clean: bool,
    },
}

/// Sends signals as events from now on.
///
/// The first that asks for an orderly stop arms the next: a second SIGTERM or SIGINT ends the process at
/// once, with exit code 1.
pub(super) fn forward_signals(events: Sender<Event>) -> io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&asked))?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if stops(signal) {
                asked.store(true, Ordering::Release);
            }
            if events.send(Event::Signal(signal)).is_err() {
                break;
            }
        }
    })?;
    Ok(())
}

/// What a signal asks the main thread for, other than to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Record the configuration once more.
    Snapshot,
    /// Read the configuration files again.
    Reload,
}

/// Whether a signal has asked to stop so far. For the time before controllers run: a request to record
/// the configuration is dropped, for it is recorded when they start; one to read the files again is kept.
pub(super) fn is_asked_to_stop(inbox: &Receiver<Event>, events: &Sender<Event>) -> bool {
    let mut reload = false;
    let stop = inbox.try_iter().any(|event| match event {
        Event::Signal(signal) if stops(signal) => {
            info!(signal = name(signal), "Stopping.");
            true
        }
        Event::Signal(signal) => {
            reload |= signal == SIGHUP;
            false
        }
        Event::Ended { .. } => false,
    });
    if reload {
        // It can't fail: the receiver is in hand.
        let _ = events.send(Event::Signal(SIGHUP));
    }
    stop
}

/// Waits until every control loop ended, a signal says stop, or a thread panicked.
pub(super) fn until_over(
    running: &Running,
    journal: &Journal,
    inbox: &Receiver<Event>,
    options: &RunOptions,
    carry_out: impl Fn(Request),
) {
    let show = options.status_line && io::stdout().is_terminal();
    let on_terminal = is_on_terminal();
    let mut next_line = Instant::now() + SECOND;
    let mut left = running.len();
    while left > 0 {
        match inbox.recv_timeout(JOURNAL_EVERY) {
            Ok(Event::Ended { clean: true }) => left -= 1,
            Ok(Event::Ended { clean: false }) => {
                error!("A controller panicked. Everything stops.");
                return;
            }
            Ok(Event::Signal(SIGUSR1)) => {
                info!("Configuration is recorded on request.");
                carry_out(Request::Snapshot);
            }
            // The signal has two senders: whoever asks for it, and the kernel when a terminal is closed.
            Ok(Event::Signal(SIGHUP)) if on_terminal && !is_on_terminal() => {
                info!("The terminal is gone. Stopping.");
                return;
            }
            Ok(Event::Signal(SIGHUP)) => {
                info!("The configuration files are read again.");
                carry_out(Request::Reload);
            }
            Ok(Event::Signal(signal)) => {
                info!(signal = name(signal), "Stopping.");
                return;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(name) = running.lost_helper() {
            error!(name, "A helper thread panicked. Everything stops.");
            return;
        }
        log(journal);
        if show && Instant::now() >= next_line {
            next_line += SECOND;
            // A terminal that went away is no reason to stop controlling.
            let _ = writeln!(io::stdout(), "{}", running.status_line());
        }
    }
}

/// Logs what control threads left in the journal.
pub(super) fn log(journal: &Journal) {
    while let Some(entry) = journal.pop() {
        match entry {
            Entry::Zone(wan, direction, transition) => {
                let (from, to) = (transition.from.as_str(), transition.to.as_str());
                debug!(
                    wan = &*wan,
                    direction = direction.as_str(),
                    from,
                    to,
                    "{}.",
                    transition.reason
                );
            }
            Entry::Route(wan, transition) => {
                let cause = transition.reason.as_str();
                let text = match transition.to {
                    Route::Alternate => "Traffic takes the alternate WAN.",
                    Route::Primary => "Traffic takes the primary WAN again.",
                };
                info!(wan = &*wan, cause, "{text}");
            }
            Entry::Measurement(wan, Outcome::Lost) => {
                warn!(wan = &*wan, "No reflector answers; rates are held.");
            }
            Entry::Measurement(wan, _) => info!(wan = &*wan, "Measurement is back."),
        }
    }
}

/// Whether somebody may be watching; no longer once the terminal was closed.
fn is_on_terminal() -> bool {
    io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// Whether this signal means the end.
fn stops(signal: i32) -> bool {
    signal == SIGTERM || signal == SIGINT
}

fn name(signal: i32) -> &'static str {
    match signal {
        SIGTERM => "SIGTERM",
        SIGINT => "SIGINT",
        _ => "another",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn before_controllers_run_only_a_request_to_reload_is_kept() {
        let (events, inbox) = mpsc::channel();
        for signal in [SIGUSR1, SIGHUP, SIGHUP] {
            events.send(Event::Signal(signal)).unwrap();
        }
        assert!(!is_asked_to_stop(&inbox, &events));
        let kept: Vec<Event> = inbox.try_iter().collect();
        assert!(matches!(kept[..], [Event::Signal(SIGHUP)]), "{kept:?}");
        for signal in [SIGTERM, SIGINT] {
            events.send(Event::Signal(signal)).unwrap();
            assert!(is_asked_to_stop(&inbox, &events));
        }
    }
}
