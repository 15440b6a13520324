//! What the controller is told in a step.

/// One step's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// The primary WAN's round-trip time now, in ms; `None` when there is no fresh sample.
    pub rtt_ms: Option<f64>,
    /// Its round-trip time without load, in ms; `None` when nobody knows it now, so that the last one holds.
    pub baseline_ms: Option<f64>,
    /// CAKE's statistics since the last step that had a fresh sample; `None` when they could not be read. A
    /// step without a fresh sample evaluates none, so whoever reads them should let them add up until one has.
    pub cake: Option<CakeSample>,
    /// Time since the last step that had a fresh sample, in seconds: timers move in such steps only.
    pub elapsed_seconds: f64,
    /// Monotonic time, in seconds.
    pub mono_seconds: f64,
}

/// CAKE's statistics over one evaluated step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CakeSample {
    /// Packets dropped since the statistics before.
    pub drops: i64,
    /// Packets queued now.
    pub queued_packets: i64,
}
