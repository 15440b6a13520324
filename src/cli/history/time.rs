//! Times as people write and read them: ISO 8601, in local time unless an offset is given.

use anyhow::Context;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use wanctl_sink_sqlite::Record;

/// Reads a time as Unix seconds: a date, or a date and a time, with an offset, `Z` or neither.
///
/// # Errors
///
/// Anything else; the text says what is accepted.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    parse_in(text, &TimeZone::system())
}

fn parse_in(text: &str, zone: &TimeZone) -> Result<i64, String> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_microsecond().div_euclid(1_000_000));
    }
    let civil = text
        .parse::<DateTime>()
        .ok()
        .filter(|_| !text.ends_with(['Z', 'z', ']']))
        .or_else(|| text.parse::<Date>().ok().map(DateTime::from));
    let at = civil.and_then(|civil| civil.to_zoned(zone.clone()).ok());
    at.map(|at| at.timestamp().as_microsecond().div_euclid(1_000_000)).ok_or_else(|| {
        "accepted: 2026-01-25, '2026-01-25 20:14', '2026-01-25 20:14:05', \
         2026-01-25T20:14:05+01:00 or 2026-01-25T19:14:05Z"
            .to_owned()
    })
}

/// When a row was recorded, in microseconds of Unix time.
pub(super) fn micros(record: &Record) -> i64 {
    record.timestamp.saturating_mul(1_000_000).saturating_add(i64::from(record.micros))
}

/// Microseconds of Unix time in local time.
///
/// # Errors
///
/// Years beyond 9999.
pub(super) fn local(micros: i64) -> anyhow::Result<Zoned> {
    let at = Timestamp::from_microsecond(micros).context("a time out of range")?;
    Ok(at.to_zoned(TimeZone::system()))
}

/// A second of Unix time as local date and time.
///
/// # Errors
///
/// Years beyond 9999.
pub(super) fn to_seconds(second: i64) -> anyhow::Result<String> {
    Ok(local(second.saturating_mul(1_000_000))?.strftime("%F %T").to_string())
}

/// Microseconds of Unix time as local date and time to the millisecond.
///
/// # Errors
///
/// Years beyond 9999.
pub(super) fn to_millis(micros: i64) -> anyhow::Result<String> {
    Ok(local(micros)?.strftime("%F %T%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin(text: &str) -> Option<i64> {
        parse_in(text, &TimeZone::get("Europe/Berlin").unwrap()).ok()
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
        assert_eq!(berlin("20260125"), berlin("2026-01-25"));
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
        for text in ["", "yesterday", "20:14", "2026-13-01", "2026-01-25 25:00", "1769300000"] {
            assert_eq!(berlin(text), None, "{text}");
        }
        assert!(parse("x").unwrap_err().starts_with("accepted: 2026-01-25, "));
    }
}
