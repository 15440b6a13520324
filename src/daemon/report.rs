//! What a running daemon is doing, as one JSON document: its controllers, its sinks, itself.
//!
//! It is made of atomics and of the sinks' accounts, so that making it disturbs nobody. No setting is in
//! it, and so no secret.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;
use wanctl_sink::{Pipeline, SinkStats};

use super::clock::Clock;
use super::running::{Controller, Kind};
use super::{RunOptions, status::Status};
use crate::autorate::Zone;
use crate::steering::Congestion;

/// A controller without a cycle for this long, and for this many of its intervals, does not run.
const SILENT: Duration = Duration::from_secs(2);
const MISSED: u32 = 10;

/// Makes reports.
pub(super) struct Reporter<'a> {
    pub(super) options: &'a RunOptions,
    pub(super) pipeline: &'a Pipeline,
    pub(super) clock: Clock,
    pub(super) controllers: Vec<Controller>,
    /// When the controllers began, in ns of the clock.
    pub(super) started_nanos: u64,
}

/// The whole document.
#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    pid: u32,
    uptime_seconds: f64,
    dry_run: bool,
    config_files: &'a [PathBuf],
    controllers: Vec<OfController<'a>>,
    sinks: Vec<SinkStats>,
}

#[derive(Serialize)]
struct OfController<'a> {
    wan: &'a str,
    kind: &'static str,
    running: bool,
    cycles: u64,
    without_sample: u64,
    skipped: u64,
    mean_lateness_us: u64,
    worst_lateness_us: u64,
    rtt_ms: Option<f64>,
    baseline_ms: Option<f64>,
    delta_ms: Option<f64>,
    #[serde(flatten)]
    decided: Decided,
}

/// What a controller decided last.
#[derive(Serialize)]
#[serde(untagged)]
enum Decided {
    Autorate {
        download_mbps: Option<f64>,
        upload_mbps: Option<f64>,
        download_state: &'static str,
        upload_state: &'static str,
    },
    Steering {
        state: &'static str,
        route: &'static str,
    },
}

impl Reporter<'_> {
    /// The report of this moment, and a line feed.
    ///
    /// # Errors
    ///
    /// The name of a configuration file that is not text.
    pub(super) fn report(&self) -> serde_json::Result<Vec<u8>> {
        let now_nanos = self.clock.stamp().mono_nanos;
        let of_controller = |one| of_controller(one, self.started_nanos, now_nanos);
        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            uptime_seconds: now_nanos as f64 / 1e9,
            dry_run: self.options.dry_run,
            config_files: &self.options.files,
            controllers: self.controllers.iter().map(of_controller).collect(),
            sinks: self.pipeline.stats(),
        };
        let mut text = serde_json::to_vec(&report)?;
        text.push(b'\n');
        Ok(text)
    }
}

fn of_controller(one: &Controller, started_nanos: u64, now_nanos: u64) -> OfController<'_> {
    let Controller { kind, wan, interval, status } = one;
    let cycles = status.cycles.load(Relaxed);
    let newest = status.newest_nanos.load(Relaxed).max(started_nanos);
    let silent = Duration::from_nanos(now_nanos.saturating_sub(newest));
    OfController {
        wan,
        kind: kind.name(),
        running: silent < SILENT + *interval * MISSED,
        cycles,
        without_sample: status.without_sample.load(Relaxed),
        skipped: status.skipped.load(Relaxed),
        mean_lateness_us: status.total_lateness_us.load(Relaxed) / cycles.max(1),
        worst_lateness_us: status.worst_lateness_us.load(Relaxed),
        rtt_ms: status.rtt_ms.get(),
        baseline_ms: status.baseline_ms.get(),
        delta_ms: status.delta_ms.get(),
        decided: decided(*kind, status),
    }
}

fn decided(kind: Kind, status: &Status) -> Decided {
    let (state, second) = (status.state.load(Relaxed), status.second.load(Relaxed));
    let name = |names: &[&'static str], code: u64| {
        usize::try_from(code).ok().and_then(|code| names.get(code).copied()).unwrap_or("?")
    };
    match kind {
        Kind::Autorate => Decided::Autorate {
            download_mbps: status.download_mbps.get(),
            upload_mbps: status.upload_mbps.get(),
            download_state: name(&Zone::NAMES, state),
            upload_state: name(&Zone::NAMES, second),
        },
        Kind::Steering => Decided::Steering {
            state: name(&Congestion::NAMES, state),
            route: name(&["primary", "alternate"], second),
        },
    }
}
