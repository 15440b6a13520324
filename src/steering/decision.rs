//! What the controller answers.

use serde::{Deserialize, Serialize};

/// One step's output.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What was made of the observation.
    pub outcome: Outcome,
    /// The sample, in ms; `None` when there was none, or it was refused.
    pub rtt_ms: Option<f64>,
    /// The baseline in use, in ms.
    pub baseline_ms: Option<f64>,
    /// RTT minus baseline, at least 0, in ms; `None` without a sample or a baseline.
    pub delta_ms: Option<f64>,
    /// How congested the primary WAN is.
    pub congestion: Congestion,
    /// A change of route that somebody has to carry out now, and report with `route_changed`.
    pub request: Option<RouteChange>,
    /// The confidence score of this step, 0 to 100; `None` when scoring is off.
    pub confidence: Option<f64>,
}

/// What a step made of its observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Assessed; counters are new.
    Stepped,
    /// No fresh sample; everything is as before, but CAKE's statistics are accounted for.
    Held,
    /// No baseline was ever known; everything is as before.
    NoBaseline,
    /// The sample is beyond belief: not a number, negative, or, where it is smoothed, more than 1000 ms
    /// above the baseline or more than 10 000 packets. What was assessed and counted is as before.
    Refused,
}

/// How congested the primary WAN is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Congestion {
    /// Not.
    #[default]
    Green,
    /// Somewhat.
    Yellow,
    /// Enough to move traffic.
    Red,
}

impl Congestion {
    /// Names by code; the code of a state is its position.
    pub const NAMES: [&'static str; 3] = ["GREEN", "YELLOW", "RED"];

    /// The code that is recorded.
    pub fn code(self) -> u8 {
        match self {
            Congestion::Green => 0,
            Congestion::Yellow => 1,
            Congestion::Red => 2,
        }
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        Self::NAMES[usize::from(self.code())]
    }
}

/// Which way latency-sensitive traffic goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// By the primary WAN; the state is called `…_GOOD`.
    #[default]
    Primary,
    /// By the alternate WAN; the state is called `…_DEGRADED`.
    Alternate,
}

/// A change of route that the controller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteChange {
    /// Where traffic should go.
    pub to: Route,
    /// What asked for it.
    pub reason: Reason,
}

/// What asked for a change of route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Enough congested samples in a row.
    SamplesDegraded,
    /// Enough good samples in a row.
    SamplesRecovered,
    /// The confidence score stayed high.
    ConfidenceHigh,
    /// The confidence score stayed low.
    ConfidenceLow,
}

impl Reason {
    /// The name in labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::SamplesDegraded => "samples_degraded",
            Reason::SamplesRecovered => "samples_recovered",
            Reason::ConfidenceHigh => "confidence_high",
            Reason::ConfidenceLow => "confidence_low",
        }
    }
}

/// A change of route that took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Where traffic went.
    pub from: Route,
    /// Where it goes now.
    pub to: Route,
    /// What asked for it.
    pub reason: Reason,
    /// Congested samples in a row, as counted before this step.
    pub bad_count: i64,
    /// Good samples in a row, as counted before this step.
    pub good_count: i64,
}
