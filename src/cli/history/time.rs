//! Times in options and in what is shown: local, unless an offset is given.

use anyhow::Context;
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
