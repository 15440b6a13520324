//! The time by which rows are old: what the recorded rows say, once they have said it for a while.
//!
//! A router without a battery starts in 1970, and may believe for minutes that it is 2036. Going back
//! deletes nothing, so it is believed at once; a leap ahead has to last.

/// How far the time of rows may go ahead at once, in seconds.
const STEP: i64 = 3600;

/// How much time rows have to cover after a leap, until it is believed, in seconds.
const PROBATION: i64 = 3600;

/// The time that is believed, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Horizon {
    believed: Option<i64>,
    /// A leap that is watched: its first and its newest second.
    leap: Option<(i64, i64)>,
}

impl Horizon {
    /// Goes on from what was believed before; `None` for a file without a past.
    pub(super) fn new(believed: Option<i64>) -> Self {
        Horizon { believed, leap: None }
    }

    /// The time that is believed after rows of this second were written.
    pub(super) fn advance(&mut self, newest: i64) -> i64 {
        let believed = match self.believed {
            Some(believed) if newest > believed + STEP => {
                let first = match self.leap {
                    Some((first, last)) if (last - STEP..=last + STEP).contains(&newest) => {
                        first.min(newest)
                    }
                    _ => newest,
                };
                self.leap = Some((first, newest));
                if newest < first + PROBATION {
                    return believed;
                }
                newest
            }
            _ => newest,
        };
        self.leap = None;
        *self.believed.insert(believed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_769_300_027;

    #[test]
    fn time_goes_with_the_rows() {
        let mut horizon = Horizon::new(None);
        for second in NOW..NOW + 10 {
            assert_eq!(horizon.advance(second), second);
        }
        assert_eq!(horizon.advance(NOW + STEP), NOW + STEP);
        assert_eq!(horizon.advance(NOW), NOW);
    }

    #[test]
    fn a_leap_ahead_is_believed_after_an_hour_of_rows() {
        let mut horizon = Horizon::new(Some(NOW));
        let leap = NOW + 30 * 86_400;
        for second in (0..3600).step_by(60) {
            assert_eq!(horizon.advance(leap + second), NOW);
        }
        assert_eq!(horizon.advance(leap + 3600), leap + 3600);
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_while_changes_nothing() {
        let mut horizon = Horizon::new(Some(NOW));
        let ahead = NOW + 10 * 365 * 86_400;
        for second in 0..600 {
            assert_eq!(horizon.advance(ahead + second), NOW);
        }
        assert_eq!(horizon.advance(NOW + 601), NOW + 601);
        // Another leap begins anew.
        assert_eq!(horizon.advance(ahead + 3600), NOW + 601);
    }
}
