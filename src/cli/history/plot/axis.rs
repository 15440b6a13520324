//! Where the marks of an axis stand: at round values and at round local times.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::columns::Span;

/// An axis of values: round ends, and round marks between.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values {
    pub(super) bottom: f64,
    pub(super) top: f64,
    /// From the bottom to the top.
    pub(super) marks: Vec<f64>,
}

impl Values {
    /// For values between these, with about so many marks. It begins at zero unless that would press the
    /// values into the upper half.
    pub(super) fn new(min: f64, max: f64, marks: usize) -> Self {
        let low = if min >= 0.0 && min < 0.5 * max { 0.0 } else { min };
        let (low, high) = if low == max { (low.min(0.0), max.max(0.0)) } else { (low, max) };
        let high = if low == high { 1.0 } else { high };
        let step = round_up((high - low) / marks.max(1) as f64);
        let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        let marks: Vec<f64> = (first..=last).map(|n| n as f64 * step).collect();
        Values { bottom: first as f64 * step, top: last as f64 * step, marks }
    }

    /// How far up a value is, 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.bottom) / (self.top - self.bottom)
    }
}

/// The next of 1, 2, 5, 10, ...
fn round_up(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let digit = step / power;
    // A little more than one is one: the quotient is rounded.
    let round = [1.0, 2.0, 5.0].into_iter().find(|&round| digit <= round * (1.0 + 1e-9));
    round.unwrap_or(10.0) * power
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// Distances of marks on an axis of time, in seconds.
const STEPS: [i64; 24] = [
    1,
    2,
    5,
    10,
    15,
    30,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
];

/// Marks of time with their texts, at most so many.
pub(super) fn times(span: Span, most: usize, zone: &TimeZone) -> Vec<(i64, String)> {
    let seconds = span.to.saturating_sub(span.from).max(0) / 1_000_000;
    let most = i64::try_from(most.max(1)).unwrap_or(i64::MAX);
    let fits = |step: &&i64| seconds / **step < most;
    let step = STEPS.iter().find(fits).copied().unwrap_or((seconds / most / DAY + 1) * DAY);
    let format = match step {
        ..MINUTE => "%H:%M:%S",
        MINUTE..DAY => "%H:%M",
        _ => "%b %-d",
    };
    let Ok(first) = Timestamp::from_microsecond(span.from) else { return Vec::new() };
    let offset = i64::from(first.to_zoned(zone.clone()).offset().seconds());
    let local = span.from.div_euclid(1_000_000) + offset;
    let mut at = local.div_euclid(step) * step - offset;
    let mut marks = Vec::new();
    // There are no dates beyond some year, and no marks either.
    while at.saturating_mul(1_000_000) <= span.to
        && let Ok(time) = Timestamp::from_second(at)
    {
        if at.saturating_mul(1_000_000) >= span.from {
            let time = time.to_zoned(zone.clone());
            let is_midnight = time.hour() == 0 && time.minute() == 0 && time.second() == 0;
            let format = if is_midnight { "%b %-d" } else { format };
            marks.push((at.saturating_mul(1_000_000), time.strftime(format).to_string()));
        }
        at += step;
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_round_marks_that_contain_them() {
        let marks = |min, max| Values::new(min, max, 4).marks;
        assert_eq!(marks(3.0, 61.0), [0.0, 20.0, 40.0, 60.0, 80.0]);
        assert_eq!(marks(24.1, 25.9), [24.0, 24.5, 25.0, 25.5, 26.0]);
        assert_eq!(marks(-3.0, 7.0), [-5.0, 0.0, 5.0, 10.0]);
        assert_eq!(marks(100.0, 100.0), [0.0, 50.0, 100.0]);
        assert_eq!(marks(0.0, 0.0), [0.0, 0.5, 1.0]);
    }

    fn texts(from: i64, seconds: i64, zone: &str) -> Vec<String> {
        let span = Span { from: from * 1_000_000, to: (from + seconds) * 1_000_000 };
        let marks = times(span, 6, &TimeZone::get(zone).unwrap());
        marks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn times_have_round_marks_in_local_time() {
        // 2026-01-25 20:14:00 in Berlin.
        let at = 1_769_368_440;
        assert_eq!(
            texts(at, 20, "UTC"),
            ["19:14:00", "19:14:05", "19:14:10", "19:14:15", "19:14:20"]
        );
        assert_eq!(texts(at, 3600, "UTC"), ["19:15", "19:30", "19:45", "20:00"]);
        assert_eq!(texts(at, 86_400, "Europe/Berlin"), ["Jan 26", "06:00", "12:00", "18:00"]);
        assert_eq!(texts(at, 86_400, "Asia/Kolkata"), ["06:00", "12:00", "18:00", "Jan 27"]);
        assert_eq!(texts(at, 7 * 86_400, "UTC"), ["Jan 27", "Jan 29", "Jan 31"]);
        assert!(texts(at, 3 * 365 * 86_400, "UTC").len() <= 6);
    }
}
