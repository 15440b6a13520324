//! wanctl keeps an internet link fast under load, and records why.
//!
//! Two controllers: **autorate** measures round-trip time 20 times a second and moves a CAKE shaper so
//! that the queue stays out of the modem; **steering** moves latency-sensitive traffic to a second WAN
//! while the first is congested. Both emit every measurement and decision to a
//! [`MetricsSink`](sink::MetricsSink).
//!
//! Use it as a daemon (the `wanctl` program), or as a library: [`runner`] has the controllers with their
//! sink and without any I/O, [`sink`] the framework that sinks are written against.
//!
//! # Map
//!
//! Pure, without I/O, clock or log:
//!
//! * [`units`]: rates, times, and the only conversion factors
//! * [`signal`]: the filters
//! * [`autorate`], [`steering`]: the controllers: policy, observation, state, decision
//! * [`telemetry`]: the metrics, and how decisions become rows
//! * [`runner`]: a controller with its sink
//! * [`config`]: YAML to policies (only [`config::load`] reads files)
//!
//! I/O:
//!
//! * [`measure`]: round-trip times
//! * [`shaper`], [`router`]: what decisions change
//! * [`daemon`]: threads, clocks, signals, wiring
//! * [`cli`]: the command line
//!
//! `README.md` is for users, `ARCHITECTURE.md` for contributors.

#[cfg(feature = "sqlite")]
mod instant;
pub mod units;

pub mod signal;

pub mod autorate;
pub mod steering;

pub mod telemetry;

pub mod runner;

pub mod config;

pub mod measure;
pub mod router;
pub mod shaper;

pub mod cli;
pub mod daemon;

mod sinks;

pub use wanctl_sink as sink;
