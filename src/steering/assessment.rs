//! How congested the primary WAN is, from one step's smoothed delta, drops and queue.

use super::{Congestion, Thresholds};
use crate::signal::ewma;

/// The state of the primary WAN. It remembers nothing; lasting is the counters' business.
///
/// The queue is the one of this step, not a smoothed one, and drops alone never leave GREEN: CAKE
/// drops on a healthy link too.
pub fn assess(
    rtt_delta_ewma_ms: f64,
    drops: i64,
    queued_packets: i64,
    thresholds: &Thresholds,
) -> Congestion {
    if thresholds.red_rtt_ms < rtt_delta_ewma_ms
        && thresholds.min_drops_red <= drops
        && thresholds.min_queue_red <= queued_packets
    {
        Congestion::Red
    } else if thresholds.yellow_rtt_ms < rtt_delta_ewma_ms
        || thresholds.min_queue_yellow <= queued_packets
    {
        Congestion::Yellow
    } else {
        Congestion::Green
    }
}

/// Moves a smoothed value towards `sample`, whose magnitude is at most `max_magnitude`.
///
/// A smoothed value of exactly 0 stands for none yet, so the sample replaces it.
///
/// # Errors
///
/// When `alpha` is outside 0 to 1, when the sample is not a number or too large, and when the result
/// is not finite. Nothing may be taken from such a step.
pub fn ewma_update(
    current: f64,
    sample: f64,
    alpha: f64,
    max_magnitude: f64,
) -> Result<f64, EwmaError> {
    if !(0.0..=1.0).contains(&alpha) {
        return Err(EwmaError::Alpha(alpha));
    }
    if !sample.is_finite() || max_magnitude < sample.abs() {
        return Err(EwmaError::Sample(sample));
    }
    if current == 0.0 {
        return Ok(sample);
    }
    let next = ewma(current, sample, alpha);
    if next.is_finite() { Ok(next) } else { Err(EwmaError::Result(next)) }
}

/// Why a smoothed value could not be moved.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EwmaError {
    /// The weight is outside 0 to 1.
    #[error("a weight of {0} is outside 0 to 1")]
    Alpha(f64),
    /// The sample is not a number, or too large to be believed.
    #[error("a sample of {0} is not believed")]
    Sample(f64),
    /// The result is not a finite number.
    #[error("smoothing results in {0}")]
    Result(f64),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::fixtures::thresholds;

    #[test]
    fn red_needs_delay_drops_and_queue_together() {
        let state = |delta, drops, queue| assess(delta, drops, queue, &thresholds());
        assert_eq!(state(15.1, 1, 50), Congestion::Red);
        assert_eq!(state(15.0, 1, 50), Congestion::Yellow);
        assert_eq!(state(15.1, 0, 50), Congestion::Yellow);
        assert_eq!(state(15.1, 1, 49), Congestion::Yellow);
        assert_eq!(state(15.0, 99, 9), Congestion::Green);
        assert_eq!(state(0.0, 0, 10), Congestion::Yellow);
        assert_eq!(state(f64::NAN, 99, 0), Congestion::Green);
    }

    #[test]
    fn smoothing_starts_with_the_first_sample() {
        assert_eq!(ewma_update(0.0, 8.0, 0.5, 10.0), Ok(8.0));
        assert_eq!(ewma_update(4.0, 8.0, 0.5, 10.0), Ok(6.0));
    }

    #[test]
    fn smoothing_refuses_what_it_can_not_believe() {
        assert_eq!(ewma_update(0.0, 10.0, 0.5, 10.0), Ok(10.0));
        assert_eq!(ewma_update(0.0, 10.1, 0.5, 10.0), Err(EwmaError::Sample(10.1)));
        assert!(ewma_update(0.0, f64::NAN, 0.5, 10.0).is_err());
        assert_eq!(ewma_update(0.0, 1.0, 1.01, 10.0), Err(EwmaError::Alpha(1.01)));
        assert!(ewma_update(0.0, 1.0, f64::NAN, 10.0).is_err());
        assert!(ewma_update(f64::INFINITY, 1.0, 0.5, 10.0).is_err());
    }
}
