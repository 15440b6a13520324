//! What the controller is told in a step.

/// One step's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// What the probes brought since the last step.
    pub probe: Probe,
    /// Time since the last step, in seconds; at most 1 is credited.
    pub elapsed_seconds: f64,
}

/// What the probes brought since the last step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Probe {
    /// A fresh round-trip time by ICMP, in ms.
    Icmp(f64),
    /// ICMP is silent; a fresh round-trip time by TCP connect, in ms.
    Tcp(f64),
    /// No fresh sample yet, which is normal for a step or two. Everything is held.
    Pending,
    /// The reflectors are silent and TCP fails; only the gateway answers.
    GatewayOnly,
    /// Nothing answers.
    Lost,
}
