//! Instants as people write them: ISO 8601, local unless an offset is given.
//!
//! Pure: the zone that is local is passed in.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, ISOWeekDate};
use jiff::tz::TimeZone;

/// Reads a date, or a date and a time, with an offset, `Z` or neither, as the Unix second it is in: the
/// forms of Python's `fromisoformat`. `None` for anything else.
pub(crate) fn parse_instant(text: &str, zone: &TimeZone) -> Option<i64> {
    let text = text.trim();
    // A zone's name behind a local time would be read over, and is no ISO 8601.
    if text.ends_with(']') {
        return None;
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_microsecond().div_euclid(1_000_000));
    }
    let civil = text
        .parse::<DateTime>()
        .ok()
        .filter(|_| !text.ends_with(['Z', 'z']))
        .or_else(|| text.parse::<Date>().ok().map(DateTime::from))
        .or_else(|| text.parse::<ISOWeekDate>().ok().map(|week| week.date().into()));
    let at = civil?.to_zoned(zone.clone()).ok()?;
    Some(at.timestamp().as_microsecond().div_euclid(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin(text: &str) -> Option<i64> {
        parse_instant(text, &TimeZone::get("Europe/Berlin").unwrap())
    }

    #[test]
    fn a_time_without_an_offset_is_local() {
        for text in [
            "2026-01-25 20:14",
            "2026-01-25 20:14:00",
            "2026-01-25T20:14",
            "2026-01-25T20:14:00.999999",
            "20260125T201400",
            " 2026-01-25 20:14 ",
        ] {
            assert_eq!(berlin(text), Some(1_769_368_440), "{text}");
        }
        assert_eq!(berlin("2026-01-25"), Some(1_769_295_600));
        for text in ["20260125", "2026-W04-7", "2026-01-25T00"] {
            assert_eq!(berlin(text), berlin("2026-01-25"), "{text}");
        }
        assert_eq!(berlin("2026-07-25"), Some(1_784_930_400), "in summer");
    }

    #[test]
    fn an_offset_or_z_says_which_zone() {
        for text in [
            "2026-01-25T20:14:00+01:00",
            "2026-01-25 20:14+01:00",
            "2026-01-25T19:14:00Z",
            "2026-01-25T19:14:00.5+00:00",
            "2026-01-25 14:14:00-05:00",
            "20260125T191400Z",
        ] {
            assert_eq!(berlin(text), Some(1_769_368_440), "{text}");
        }
    }

    #[test]
    fn an_hour_that_the_clocks_skip_or_repeat_is_a_time() {
        assert_eq!(berlin("2026-03-29 02:30"), Some(1_774_747_800));
        assert_eq!(berlin("2026-10-25 02:30"), berlin("2026-10-25T02:30+02:00"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "yesterday",
            "20:14",
            "2026-13-01",
            "2026-01-25 25:00",
            "2026-01-25T20:14+27:00",
            "2026-01-25Z",
            "2026-01-25T12:00[Europe/Berlin]",
            "1769300000",
        ] {
            assert_eq!(berlin(text), None, "{text}");
        }
    }
}
