//! The baseline: a slow average that only moves while the link is idle.

use super::ewma;

/// Lets a baseline move only while load hardly exceeds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IdleGate {
    /// The baseline moves while load minus baseline is below this, in ms. A load below the baseline
    /// always opens the gate, so a baseline that is too high is left quickly.
    pub threshold_ms: f64,
}

impl IdleGate {
    /// The baseline after `sample_ms`, which has the weight `alpha`; all in ms.
    pub fn advance(self, baseline_ms: f64, load_ms: f64, sample_ms: f64, alpha: f64) -> f64 {
        if load_ms - baseline_ms < self.threshold_ms {
            ewma(baseline_ms, sample_ms, alpha)
        } else {
            baseline_ms
        }
    }

    /// Like [`advance`](Self::advance), but a step that would leave `bounds` is not made.
    pub fn advance_within(
        self,
        bounds: Bounds,
        baseline_ms: f64,
        load_ms: f64,
        sample_ms: f64,
        alpha: f64,
    ) -> f64 {
        let next = self.advance(baseline_ms, load_ms, sample_ms, alpha);
        if bounds.contains(next) { next } else { baseline_ms }
    }
}

/// A closed range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The lowest value inside.
    pub min: f64,
    /// The highest value inside.
    pub max: f64,
}

impl Bounds {
    /// Whether `value` is inside; both ends are, what is not a number is not.
    pub fn contains(self, value: f64) -> bool {
        self.min <= value && value <= self.max
    }

    /// The value inside that is closest to `value`.
    pub fn nearest(self, value: f64) -> f64 {
        // Not `clamp`, which panics on a range that is the wrong way round.
        value.max(self.min).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: IdleGate = IdleGate { threshold_ms: 3.0 };
    const BOUNDS: Bounds = Bounds { min: 10.0, max: 60.0 };

    #[test]
    fn gate_is_closed_at_exactly_the_threshold() {
        assert_eq!(GATE.advance(20.0, 23.0, 30.0, 0.5), 20.0);
        assert_eq!(GATE.advance(20.0, 22.999, 30.0, 0.5), 25.0);
    }

    #[test]
    fn step_onto_a_bound_is_made_and_past_it_is_not() {
        assert_eq!(GATE.advance_within(BOUNDS, 20.0, 20.0, 100.0, 0.5), BOUNDS.max);
        assert_eq!(GATE.advance_within(BOUNDS, 20.0, 20.0, 100.1, 0.5), 20.0);
    }

    #[test]
    fn sample_that_is_no_number_leaves_the_baseline() {
        for sample in [f64::NAN, f64::INFINITY] {
            assert_eq!(GATE.advance_within(BOUNDS, 20.0, 20.0, sample, 0.5), 20.0);
            assert_eq!(GATE.advance_within(BOUNDS, 20.0, sample, sample, 0.5), 20.0);
        }
    }

    #[test]
    fn nearest_survives_bounds_that_are_the_wrong_way_round() {
        let bounds = Bounds { min: 5.0, max: 1.0 };
        assert_eq!(bounds.nearest(3.0), 1.0);
    }
}
