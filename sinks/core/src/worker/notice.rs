//! What is said of a sink in the log. It is noted while the worker's state is locked and said afterwards,
//! so that a log that blocks holds up nothing but the sink's own thread.

use tracing::{error, info, warn};

use crate::FaultClass;

/// Something worth a line.
#[derive(Debug)]
pub(crate) enum Notice {
    Open,
    Fails { class: FaultClass, error: String },
    Off { error: String },
    Recovered { seconds: f64, failures: u64, given_up: u64 },
    Rejects { rows: usize, reason: String },
    PutAside { rows: usize },
    NotClosed { error: String },
}

impl Notice {
    pub(crate) fn say(&self, sink: &str) {
        match self {
            Notice::Open => info!(sink, "Sink is open."),
            Notice::Fails { class, error } => {
                warn!(sink, ?class, %error, "Sink does not take samples; they queue.");
            }
            Notice::Off { error } => {
                warn!(sink, %error, "Sink is off, as its `startup` says: its rows are rejected until it is opened again.");
            }
            Notice::Recovered { seconds, failures, given_up } => {
                // Tenths are plenty.
                let seconds = (seconds * 10.0).round() / 10.0;
                info!(sink, seconds, failures, given_up, "Sink takes samples again.");
            }
            Notice::Rejects { rows, reason } => {
                warn!(sink, rows, reason, "Sink rejects rows; they are counted.");
            }
            Notice::PutAside { rows } => {
                error!(sink, rows, "Rows put aside: they make the sink panic.");
            }
            Notice::NotClosed { error } => {
                warn!(sink, %error, "Sink did not close cleanly.");
            }
        }
    }
}
