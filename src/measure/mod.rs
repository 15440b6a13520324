//! Measures round-trip times, on a thread of its own.
//!
//! A [`Prober`] sends ICMP echoes, or TCP connects where ICMP does not get through, on an absolute
//! schedule; a control cycle takes what is new from its [`Readings`] without waiting. Names are
//! resolved ([`resolve`]) and the way to probe is found ([`discover()`]) once, at start-up. What a round trip
//! means for the link is not decided here: that is the controllers' work.
//!
//! ```no_run
//! # use std::time::{Duration, Instant};
//! use wanctl::measure::{Method, News, ProbeConfig, Prober};
//!
//! # fn cycle(origin: Instant) -> Result<(), wanctl::measure::MeasureError> {
//! let config = ProbeConfig {
//!     reflectors: vec!["127.0.0.1".parse().expect("an address")],
//!     tcp_targets: vec![],
//!     gateway: None,
//!     interval: Duration::from_millis(50),
//!     timeout: ProbeConfig::DEFAULT_TIMEOUT,
//!     method: Method::Icmp,
//! };
//! let (prober, mut readings) = Prober::start(config, origin)?;
//! // Once a cycle:
//! if let News::Fresh(reading) = readings.take(Instant::now()) {
//!     println!("{} ms by {}", reading.rtt_ms, reading.method);
//! }
//! prober.stop();
//! # Ok(())
//! # }
//! ```

mod connect;
mod counters;
mod discover;
mod engine;
mod error;
mod gateway;
mod outstanding;
mod packet;
mod prober;
mod readings;
pub mod resolve;
mod sample;
mod socket;

pub use counters::ProbeCounts;
pub use discover::{
    Candidates, Choice, as_configured, discover, icmp_is_permitted, permitted_by_icmp,
};
pub use error::MeasureError;
pub use gateway::default_gateways;
pub use prober::{ProbeConfig, Prober};
pub use readings::{News, Reading, Readings};
pub use sample::Method;

/// The most reflectors, and the most TCP targets, of one prober.
pub const MAX_REFLECTORS: usize = 16;
