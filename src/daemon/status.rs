//! What a control thread lets others see, without a lock: the newest numbers of one controller.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The newest numbers of a controller. Written by its control thread, read by anybody.
///
/// Numbers are published one by one; a reader may see parts of two neighbouring cycles.
#[derive(Debug, Default)]
pub struct Status {
    /// Cycles so far.
    pub cycles: AtomicU64,
    /// When the newest cycle ended, in ns of the program's monotonic clock; 0 before the first.
    pub newest_nanos: AtomicU64,
    /// Cycles that took no fresh sample.
    pub without_sample: AtomicU64,
    /// Ticks that could not be kept.
    pub skipped: AtomicU64,
    /// The latest a cycle began after its time, in µs.
    pub worst_lateness_us: AtomicU64,
    /// Sum of all lateness, in µs.
    pub total_lateness_us: AtomicU64,
    /// Round-trip time, ms.
    pub rtt_ms: Shown,
    /// Baseline, ms.
    pub baseline_ms: Shown,
    /// Delta, ms.
    pub delta_ms: Shown,
    /// Download rate, Mbit/s (autorate).
    pub download_mbps: Shown,
    /// Upload rate, Mbit/s (autorate).
    pub upload_mbps: Shown,
    /// State code: the download zone, or steering's congestion.
    pub state: AtomicU64,
    /// State code of the upload zone (autorate), or 1 while traffic is steered (steering).
    pub second: AtomicU64,
}

impl Status {
    /// Counts a cycle that began this late, in µs, and ended now, in ns.
    pub fn cycle(&self, now_nanos: u64, lateness_us: u64, skipped: u64, fresh: bool) {
        self.cycles.fetch_add(1, Relaxed);
        self.newest_nanos.store(now_nanos, Relaxed);
        self.skipped.fetch_add(skipped, Relaxed);
        self.worst_lateness_us.fetch_max(lateness_us, Relaxed);
        self.total_lateness_us.fetch_add(lateness_us, Relaxed);
        if !fresh {
            self.without_sample.fetch_add(1, Relaxed);
        }
    }
}

/// A number that may be unknown, published without a lock.
#[derive(Debug)]
pub struct Shown(AtomicU64);

impl Default for Shown {
    fn default() -> Self {
        Shown(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl Shown {
    /// Publishes a number.
    pub fn set(&self, value: Option<f64>) {
        self.0.store(value.unwrap_or(f64::NAN).to_bits(), Relaxed);
    }

    /// The number, if it is known.
    pub fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Relaxed))).filter(|value| !value.is_nan())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => write!(f, "{value:.2}"),
            None => f.write_str("-"),
        }
    }
}
