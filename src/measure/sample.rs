//! One measured round trip, and whom it is about.

use crate::units::{millis, quantise_ms};
use std::fmt;
use std::time::Instant;

/// The smallest round-trip time that is reported: one step of the recorded resolution.
const MIN_RTT_MS: f64 = 0.01;

/// How a round trip is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// ICMP echo.
    Icmp,
    /// The time of a TCP connect; a refused connection is a round trip too.
    TcpConnect,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Icmp => "ICMP",
            Method::TcpConnect => "TCP connect",
        })
    }
}

/// Whom a sample is about, by position in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Reflector(usize),
    Tcp(usize),
    Gateway,
}

impl Target {
    /// The position in the list that its method has; `None` for the gateway.
    pub(super) fn index(self) -> Option<usize> {
        match self {
            Target::Reflector(index) | Target::Tcp(index) => Some(index),
            Target::Gateway => None,
        }
    }

    /// The method whose list it is in; `None` for the gateway.
    pub(super) fn method(self) -> Option<Method> {
        match self {
            Target::Reflector(_) => Some(Method::Icmp),
            Target::Tcp(_) => Some(Method::TcpConnect),
            Target::Gateway => None,
        }
    }
}

/// One round trip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) target: Target,
    pub(super) sent: Instant,
    pub(super) arrived: Instant,
    pub(super) rtt_ms: f64,
}

impl Sample {
    /// A round trip; its time is quantised here and nowhere else.
    pub(super) fn new(target: Target, sent: Instant, arrived: Instant) -> Self {
        let rtt_ms = quantise_ms(millis(arrived.saturating_duration_since(sent))).max(MIN_RTT_MS);
        Sample { target, sent, arrived, rtt_ms }
    }
}
