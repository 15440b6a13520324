//! Times in options and in what is shown: local, unless an offset is given.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use wanctl_sink_sqlite::Record;

use crate::instant::parse_instant;

/// Reads a time as Unix seconds.
///
/// # Errors
///
/// What is no time; the text says what is accepted.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    parse_instant(text, &TimeZone::system()).ok_or_else(|| {
        "accepted: 2026-01-25, '2026-01-25 20:14', '2026-01-25 20:14:05', \
         2026-01-25T20:14:05+01:00 or 2026-01-25T19:14:05Z"
            .to_owned()
    })
}

/// When a row was recorded, in microseconds of Unix time.
pub(super) fn micros(record: &Record) -> i64 {
    instant(record.timestamp, record.micros)
}

/// Microseconds of Unix time in local time; `None` beyond the year 9999 and before -9999.
pub(super) fn local(micros: i64) -> Option<Zoned> {
    Some(Timestamp::from_microsecond(micros).ok()?.to_zoned(TimeZone::system()))
}

/// A second of Unix time as local date and time; as `@SECONDS` where there is no date for it.
pub(super) fn to_seconds(second: i64) -> String {
    formatted(second, 0, "%F %T")
}

/// When a row was recorded, as local date and time to the millisecond; as `@SECONDS` where there is no
/// date for it.
pub(super) fn to_millis(record: &Record) -> String {
    formatted(record.timestamp, record.micros, "%F %T%.3f")
}

/// When a row was recorded, in UTC to the microsecond; as `@SECONDS` where there is no date for it.
pub(super) fn to_micros(record: &Record) -> String {
    match Timestamp::from_microsecond(micros(record)) {
        Ok(at) => format!("{at:.6}"),
        Err(_) => format!("@{}", record.timestamp),
    }
}

fn formatted(second: i64, micros: u32, format: &str) -> String {
    match local(instant(second, micros)) {
        Some(at) => at.strftime(format).to_string(),
        None => format!("@{second}"),
    }
}

fn instant(second: i64, micros: u32) -> i64 {
    second.saturating_mul(1_000_000).saturating_add(i64::from(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_date_is_shown_in_seconds() {
        for second in [i64::MIN, -400_000_000_000, 253_402_300_800 + 86_400, i64::MAX] {
            assert_eq!(to_seconds(second), format!("@{second}"));
        }
        assert_eq!(to_seconds(1_769_372_040).len(), "2026-01-25 20:14:00".len());
    }
}
