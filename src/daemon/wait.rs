//! What the main thread does while controllers run: signals, the log of their journal, the status line.
#![expect(clippy::disallowed_methods, reason = "the status line comes once a second")]

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tracing::{debug, info, warn};

use super::RunOptions;
use super::controllers::Controllers;
use super::cycle::{Entry, Journal};
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
    /// A control loop ended, by its schedule or by a panic.
    Ended,
}

/// Sends signals as events from now on.
pub(super) fn forward_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if events.send(Event::Signal(signal)).is_err() {
                break;
            }
        }
    })?;
    Ok(())
}

/// Waits until every control loop ended or a signal says stop.
pub(super) fn until_over(
    controllers: &Controllers,
    journal: &Journal,
    inbox: &Receiver<Event>,
    options: &RunOptions,
    snapshot: impl Fn(),
) {
    let show = options.status_line && io::stdout().is_terminal();
    let mut next_line = Instant::now() + SECOND;
    let mut running = controllers.len();
    while running > 0 {
        match inbox.recv_timeout(JOURNAL_EVERY) {
            Ok(Event::Ended) => running -= 1,
            Ok(Event::Signal(SIGUSR1)) => {
                info!("Configuration is recorded on request.");
                snapshot();
            }
            Ok(Event::Signal(signal)) => {
                info!(signal = name(signal), "Stopping.");
                return;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        log(journal);
        if show && Instant::now() >= next_line {
            next_line += SECOND;
            // A terminal that went away is no reason to stop controlling.
            let _ = writeln!(io::stdout(), "{}", controllers.status_line());
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

fn name(signal: i32) -> &'static str {
    match signal {
        SIGTERM => "SIGTERM",
        SIGINT => "SIGINT",
        SIGHUP => "SIGHUP",
        _ => "another",
    }
}
