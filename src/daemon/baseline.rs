//! Where steering takes the primary WAN's baseline from.

use std::sync::Arc;

use super::status::Status;
use crate::config::SteeringConfig;
use crate::signal::{Bounds, IdleGate, ewma};

/// Steering's baseline.
pub(super) enum Baseline {
    /// Published by an autorate controller, or read from its state file.
    Published(Arc<Status>),
    /// Learnt here.
    Own(OwnBaseline),
}

impl Baseline {
    /// A baseline that is learnt, within the bounds of the configuration.
    pub(super) fn learnt(config: &SteeringConfig) -> Self {
        Baseline::Own(OwnBaseline::new(config))
    }

    /// The baseline now, in ms, after this sample, if there is one.
    pub(super) fn now(&mut self, rtt_ms: Option<f64>) -> Option<f64> {
        match self {
            Baseline::Published(status) => status.baseline_ms.get(),
            Baseline::Own(own) => own.learn(rtt_ms),
        }
    }
}

/// A baseline learnt from steering's own samples, by autorate's filters.
pub(super) struct OwnBaseline {
    bounds: Bounds,
    alpha_baseline: f64,
    alpha_load: f64,
    filters: Option<(f64, f64)>,
}

impl OwnBaseline {
    /// Time constants of autorate's defaults, in seconds.
    const BASELINE_SECONDS: f64 = 50.0;
    const LOAD_SECONDS: f64 = 0.5;
    const GATE: IdleGate = IdleGate { threshold_ms: 3.0 };

    fn new(config: &SteeringConfig) -> Self {
        let interval = config.interval.as_secs_f64();
        let limits = &config.policy.thresholds;
        OwnBaseline {
            bounds: Bounds { min: limits.baseline_min_ms, max: limits.baseline_max_ms },
            alpha_baseline: (interval / Self::BASELINE_SECONDS).min(1.0),
            alpha_load: (interval / Self::LOAD_SECONDS).min(1.0),
            filters: None,
        }
    }

    fn learn(&mut self, rtt_ms: Option<f64>) -> Option<f64> {
        if let Some(rtt) = rtt_ms {
            let (baseline, load) = self.filters.unwrap_or((self.bounds.nearest(rtt), rtt));
            let load = ewma(load, rtt, self.alpha_load);
            let baseline =
                Self::GATE.advance_within(self.bounds, baseline, load, rtt, self.alpha_baseline);
            self.filters = Some((baseline, load));
        }
        self.filters.map(|(baseline, _)| baseline)
    }
}
