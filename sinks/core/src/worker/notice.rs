//! What is said of a sink in the log. It is noted while the worker's state is locked and said afterwards,
//! so that a log that blocks holds up nothing but the sink's own thread.

use tracing::{error, info, warn};

use crate::FaultClass;

/// Something worth a line.
#[derive(Debug)]
pub(crate) enum Notice {
    Open,
    Fails { class: FaultClass, error: String },
    Recovered { seconds: f64, failures: u64, evicted: u64 },
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
            Notice::Recovered { seconds, failures, evicted } => {
                info!(sink, seconds, failures, evicted, "Sink takes samples again.");
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
