//! A shaper that only says what it would do.
#![expect(clippy::disallowed_methods, reason = "the log is limited to a line a second")]

use super::{Applied, Rates, Shaper, ShaperError};
use crate::units::Rate;
use std::time::{Duration, Instant};

/// A change worth a line in the log, as a share of the rate in the line before.
const NOTABLE_CHANGE: f64 = 0.05;

const MIN_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Accepts every rate and shapes nothing.
///
/// It logs a rate that is 5 % or more away from the last one it logged, at most once a second.
#[derive(Debug, Default)]
pub struct DryRun {
    logged: Option<(Instant, Rates)>,
}

impl DryRun {
    /// A shaper that has not logged anything.
    pub fn new() -> Self {
        DryRun::default()
    }

    /// Whether these rates deserve a line; if so, they are what the next ones are compared with.
    fn is_notable(&mut self, now: Instant, rates: Rates) -> bool {
        let notable = self.logged.is_none_or(|(at, logged)| {
            let moved = has_moved(logged.download, rates.download)
                || has_moved(logged.upload, rates.upload);
            moved && MIN_LOG_INTERVAL <= now.saturating_duration_since(at)
        });
        if notable {
            self.logged = Some((now, rates));
        }
        notable
    }
}

impl Shaper for DryRun {
    fn apply(&mut self, rates: Rates) -> Result<Applied, ShaperError> {
        if self.is_notable(Instant::now(), rates) {
            let (download_mbps, upload_mbps) = (rates.download.mbps(), rates.upload.mbps());
            tracing::info!(download_mbps, upload_mbps, "Would set the shaper.");
        }
        Ok(Applied { rates })
    }

    fn check(&mut self) -> Result<String, ShaperError> {
        Ok(self.describe())
    }

    fn describe(&self) -> String {
        "dry run: rates are decided, and nothing is shaped".to_owned()
    }
}

fn has_moved(from: Rate, to: Rate) -> bool {
    from.bps() * NOTABLE_CHANGE <= (to.bps() - from.bps()).abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(download_mbps: f64, upload_mbps: f64) -> Rates {
        Rates { download: Rate::from_mbps(download_mbps), upload: Rate::from_mbps(upload_mbps) }
    }

    #[test]
    fn first_rates_are_notable_and_small_changes_are_not() {
        let (mut shaper, now) = (DryRun::new(), Instant::now());
        let later = now + MIN_LOG_INTERVAL;
        assert!(shaper.is_notable(now, rates(100.0, 10.0)));
        assert!(!shaper.is_notable(later, rates(104.9, 10.4)));
        assert!(shaper.is_notable(later, rates(100.0, 9.5)));
    }

    #[test]
    fn small_changes_add_up() {
        let (mut shaper, now) = (DryRun::new(), Instant::now());
        assert!(shaper.is_notable(now, rates(100.0, 10.0)));
        assert!(!shaper.is_notable(now + MIN_LOG_INTERVAL, rates(103.0, 10.0)));
        assert!(shaper.is_notable(now + 2 * MIN_LOG_INTERVAL, rates(106.0, 10.0)));
    }

    #[test]
    fn second_line_within_a_second_is_left_out() {
        let (mut shaper, now) = (DryRun::new(), Instant::now());
        assert!(shaper.is_notable(now, rates(100.0, 10.0)));
        let early = now + MIN_LOG_INTERVAL - Duration::from_nanos(1);
        assert!(!shaper.is_notable(early, rates(50.0, 10.0)));
        assert!(shaper.is_notable(now + MIN_LOG_INTERVAL, rates(50.0, 10.0)));
    }
}
