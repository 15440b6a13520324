//! The time by which rows are old: what the recorded rows say, once they have said it for a while.
//!
//! A router without a battery starts in 1970, and may believe for minutes that it is 2036. Going back
//! deletes nothing, so it is believed at once; a leap ahead has to last.

/// How far the time of rows may go ahead at once, in seconds.
const STEP: i64 = 3600;

/// How much time rows have to cover after a leap, until it is believed, in seconds. By a wrong time everything
/// is too old, so nothing of it may be short.
const PROBATION: i64 = 24 * 3600;

/// The most that one batch counts towards that, in seconds.
const BATCH: i64 = 600;

/// The time that is believed, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Horizon {
    /// What was believed last; `None` before the first rows of a new file.
    now: Option<i64>,
    /// Up to there time may come back at once after it went back.
    reached: i64,
    /// Rows that are not where time was expected: their newest second, and how much time they cover.
    elsewhere: Option<(i64, i64)>,
}

impl Horizon {
    /// Goes on from what was believed before; `None` for a file without a past.
    pub(super) fn new(believed: Option<i64>) -> Self {
        Horizon { now: believed, reached: believed.unwrap_or(i64::MIN), elsewhere: None }
    }

    /// The time that is believed after rows of this second were written.
    pub(super) fn advance(&mut self, newest: i64) -> i64 {
        let Some(now) = self.now else {
            self.reached = newest;
            return *self.now.insert(newest);
        };
        let is_ahead = newest > self.reached.saturating_add(STEP);
        let is_behind = newest < self.reached.saturating_sub(STEP);
        if !is_ahead && !is_behind {
            self.reached = self.reached.max(newest);
            self.elsewhere = None;
        } else if self.lasts(newest) {
            self.reached = newest;
            self.elsewhere = None;
        } else if is_ahead {
            return now;
        }
        *self.now.insert(newest)
    }

    /// The latest time that was believed, and not taken back for good.
    pub(super) fn reached(&self) -> i64 {
        self.reached
    }

    /// Whether the rows have been where they are now for long enough.
    fn lasts(&mut self, newest: i64) -> bool {
        let covered = match self.elsewhere {
            Some((last, covered)) if newest.abs_diff(last) <= STEP as u64 => {
                covered + (newest - last).clamp(0, BATCH)
            }
            _ => 0,
        };
        self.elsewhere = Some((newest, covered));
        covered >= PROBATION
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
    fn a_leap_ahead_is_believed_after_a_day_of_rows() {
        let mut horizon = Horizon::new(Some(NOW));
        let leap = NOW + 30 * 86_400;
        for second in (0..86_400).step_by(60) {
            assert_eq!(horizon.advance(leap + second), NOW);
        }
        assert_eq!(horizon.advance(leap + 86_400), leap + 86_400);
    }

    #[test]
    fn steps_are_no_time_that_rows_cover() {
        let mut horizon = Horizon::new(Some(NOW));
        let leap = NOW + 30 * 86_400;
        for hour in 0..48 {
            assert_eq!(horizon.advance(leap + 3600 * hour), NOW, "{hour}");
        }
    }

    #[test]
    fn rows_that_come_late_hold_nothing_up() {
        let mut horizon = Horizon::new(Some(NOW));
        let late = NOW - 30 * 86_400;
        assert_eq!(horizon.advance(late), late);
        assert_eq!(horizon.advance(NOW + 1), NOW + 1);
    }

    #[test]
    fn a_time_that_was_wrong_is_forgotten() {
        let ahead = NOW + 365 * 86_400;
        let mut horizon = Horizon::new(Some(ahead));
        for second in (0..=86_400).step_by(60) {
            assert_eq!(horizon.advance(NOW + second), NOW + second);
        }
        assert_eq!(horizon.advance(ahead), NOW + 86_400);
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
        assert_eq!(horizon.advance(ahead + 86_400), NOW + 601);
    }
}
