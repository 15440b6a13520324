//! The exponentially weighted moving average, and its weight for a step of any length.

/// The most time a single step stands for, in seconds: after a suspend, one sample is still one sample.
pub const MAX_CREDITED_SECONDS: f64 = 1.0;

/// The average after `sample`, which has the weight `alpha` (0 to 1).
///
/// The order of the operations is part of the contract: recorded decisions are reproduced bit for bit.
pub fn ewma(current: f64, sample: f64, alpha: f64) -> f64 {
    (1.0 - alpha) * current + alpha * sample
}

/// How much of `elapsed_seconds` counts: 0 to [`MAX_CREDITED_SECONDS`], and 0 for what is not a number.
pub fn credited_seconds(elapsed_seconds: f64) -> f64 {
    if elapsed_seconds.is_nan() {
        return 0.0;
    }
    elapsed_seconds.clamp(0.0, MAX_CREDITED_SECONDS)
}

/// The weight of a sample after `elapsed_seconds`, if it is `nominal_alpha` after `nominal_seconds`.
///
/// It grows in proportion, up to 1, so that time constants hold when steps stretch. After exactly
/// `nominal_seconds` it is exactly `nominal_alpha`.
pub fn alpha_for(nominal_alpha: f64, nominal_seconds: f64, elapsed_seconds: f64) -> f64 {
    (nominal_alpha * (credited_seconds(elapsed_seconds) / nominal_seconds)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_nominal_after_the_nominal_time() {
        for alpha in [0.001, 0.1, 0.3, 1.0 / 3.0, 1.0] {
            assert_eq!(alpha_for(alpha, 0.05, 0.05), alpha);
        }
    }

    #[test]
    fn weight_grows_with_time_up_to_one() {
        assert_eq!(alpha_for(0.1, 0.05, 0.1), 0.2);
        assert_eq!(alpha_for(0.5, 0.05, 0.5), 1.0);
    }

    #[test]
    fn at_most_one_second_is_credited() {
        assert_eq!(alpha_for(0.001, 0.05, 1.0), alpha_for(0.001, 0.05, 3600.0));
    }

    #[test]
    fn time_that_runs_backwards_or_is_no_number_counts_as_none() {
        assert_eq!(alpha_for(0.5, 0.05, -1.0), 0.0);
        assert_eq!(alpha_for(0.5, 0.05, f64::NAN), 0.0);
    }
}
