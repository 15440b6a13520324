//! Sizes and durations as people write them, for the options here and the settings of sinks.
//!
//! It does not say what is too much or too little; who asks knows.

use std::time::Duration;

const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("", 1),
];

/// Units of time and their nanoseconds.
const TIMES: [(&str, u64); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// Reads a size in bytes: `52428800`, `50MiB`, `1.5 GB` (kB, MB, GB, KiB, MiB, GiB).
///
/// `None` for anything else, for less than a byte and for more than 9·10¹⁵ bytes.
///
/// ```
/// assert_eq!(wanctl_sink::parse_bytes("1.5 KiB"), Some(1536));
/// assert_eq!(wanctl_sink::parse_bytes("many"), None);
/// ```
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes = number * unit_of(&SIZES, unit)?;
    // Up to there every whole number of bytes is exact.
    (1.0..=9e15).contains(&bytes).then_some(bytes as u64)
}

/// Reads a duration: `250ms`, `1s`, `1.5h`, `7d` (ms, s, m, h, d). The unit is needed.
///
/// `None` for anything else, for less than nothing and for more than can be counted.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(wanctl_sink::parse_duration("250ms"), Some(Duration::from_millis(250)));
/// assert_eq!(wanctl_sink::parse_duration("5"), None);
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    Duration::try_from_secs_f64(number * unit_of(&TIMES, unit)? / 1e9).ok()
}

/// A size as [`parse_bytes`] reads it, in the largest unit that needs no fraction: `1MiB`, `1000`.
pub fn format_bytes(bytes: u64) -> String {
    // A thousand bytes stay `1000`, because powers of two are what sizes are usually set in.
    let fits = |(unit, size): &&(&str, u64)| unit.contains('i') && bytes.is_multiple_of(*size);
    match SIZES.iter().find(fits) {
        Some((unit, size)) if bytes > 0 => format!("{}{unit}", bytes / size),
        _ => bytes.to_string(),
    }
}

/// A duration as [`parse_duration`] reads it, in the largest unit that needs no fraction: `1h`, `90s`.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match TIMES.iter().find(|(_, size)| nanos.is_multiple_of(u128::from(*size))) {
        Some(_) if nanos == 0 => "0s".to_owned(),
        Some((unit, size)) => format!("{}{unit}", nanos / u128::from(*size)),
        None => format!("{}ms", duration.as_secs_f64() * 1e3),
    }
}

/// A number and the unit after it.
fn split(text: &str) -> Option<(f64, &str)> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(number)?;
    Some((number.trim_end().parse().ok()?, unit))
}

fn unit_of(units: &[(&str, u64)], unit: &str) -> Option<f64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_and_durations_are_read_in_every_unit() {
        for (text, bytes) in [
            ("1", Some(1)),
            ("2kB", Some(2_000)),
            ("2 MB", Some(2_000_000)),
            ("1GB", Some(1_000_000_000)),
            ("1.5KiB", Some(1_536)),
            ("50MiB", Some(52_428_800)),
            ("1GiB", Some(1 << 30)),
            ("0", None),
            ("-1kB", None),
            ("1mb", None),
            ("9.1e15", None),
            ("inf", None),
            ("MiB", None),
            ("", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
        for (text, millis) in [
            ("250ms", Some(250)),
            ("0s", Some(0)),
            ("1.5 s", Some(1_500)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("7d", Some(604_800_000)),
            ("-1s", None),
            ("1w", None),
            ("5", None),
            ("nans", None),
            ("1e300d", None),
            ("\u{e9}s", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn the_largest_unit_without_a_fraction_is_shown() {
        for (bytes, text) in
            [(1 << 20, "1MiB"), (1_536, "1536"), (3 << 10, "3KiB"), (1_000, "1000")]
        {
            assert_eq!(format_bytes(bytes), text);
        }
        for (millis, text) in
            [(0, "0s"), (100, "100ms"), (90_000, "90s"), (3_600_000, "1h"), (172_800_000, "2d")]
        {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(format_duration(Duration::from_micros(1_500)), "1.5ms");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes in 1..9_000_000_000_000_000_u64, millis in 0..604_800_000_u64) {
            prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Some(bytes));
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
    }
}
