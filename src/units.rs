//! Units, and the only conversion factors of the program.

use std::fmt;
use std::time::Duration;

/// Bits in a megabit. Rates are decimal, as everywhere in networking.
const BITS_PER_MEGABIT: f64 = 1_000_000.0;

/// The resolution of a recorded measurement: hundredths of a millisecond.
const STEPS_PER_MILLISECOND: f64 = 100.0;

/// A data rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// From bits a second.
    pub fn from_bps(bps: f64) -> Self {
        Rate(bps)
    }

    /// From megabits a second.
    pub fn from_mbps(mbps: f64) -> Self {
        Rate(mbps * BITS_PER_MEGABIT)
    }

    /// In bits a second.
    pub fn bps(self) -> f64 {
        self.0
    }

    /// In whole bits a second, cut off; 0 for a rate that is not positive.
    pub fn whole_bps(self) -> u64 {
        self.0 as u64
    }

    /// In megabits a second.
    pub fn mbps(self) -> f64 {
        self.0 / BITS_PER_MEGABIT
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} Mbit/s", self.mbps())
    }
}

/// A duration in milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Milliseconds rounded to the resolution that is recorded, 0.01 ms.
///
/// A measurement is rounded once, where it is taken, so control and history see the same value. Zero has
/// no sign.
pub fn quantise_ms(ms: f64) -> f64 {
    // SQLite keeps no negative zero, and no reader should meet a `-0.0` in a text file; adding zero
    // makes it positive.
    (ms * STEPS_PER_MILLISECOND).round() / STEPS_PER_MILLISECOND + 0.0
}

/// Reads a duration as people write it: `500ms`, `20s`, `5m`, `2h`, `7d`, `1w`.
///
/// # Errors
///
/// Anything else, nothing at all, and more than 16534 weeks; the text says what is accepted.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 6] =
        [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];
    // Far beyond any run or history, and far within what clocks can add to.
    const MAX_WEEKS: f64 = 16_534.0;
    let text = text.trim().to_ascii_lowercase();
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = UNITS.iter().find(|(name, _)| *name == &text[number.len()..]);
    match number.parse::<f64>().ok().zip(unit).map(|(n, (_, seconds))| n * seconds) {
        Some(seconds) if seconds > MAX_WEEKS * 604_800.0 => {
            Err(format!("accepted: at most {MAX_WEEKS}w"))
        }
        Some(seconds) if seconds > 0.0 => Ok(Duration::from_secs_f64(seconds)),
        Some(_) => Err("accepted: more than 0".to_owned()),
        None => Err("accepted: a number and a unit, such as 500ms, 20s, 5m, 2h, 7d, 1w".to_owned()),
    }
}

/// A number as it stands in a YAML file: `12` and `12.0` are equal, but print as they were written.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// Written without a point.
    Int(i64),
    /// Written with a point or an exponent.
    Float(f64),
}

impl Number {
    /// The value.
    pub fn value(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number::Float(value)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(value) => write!(f, "{value}"),
            // `Debug` is the shortest text that reads back, and keeps the `.0`.
            Number::Float(value) => write!(f, "{value:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5H"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("1w"), Ok(Duration::from_secs(604_800)));
        for bad in ["", "s", "5", "-1s", "0s", "5 parsecs", "nans", "infs"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_duration_says_what_is_accepted() {
        let refusal = |text| parse_duration(text).unwrap_err();
        assert_eq!(
            refusal("10"),
            "accepted: a number and a unit, such as 500ms, 20s, 5m, 2h, 7d, 1w"
        );
        assert_eq!(refusal("0s"), "accepted: more than 0");
        assert!(parse_duration("16534w").is_ok());
        assert_eq!(refusal("16535w"), "accepted: at most 16534w");
        assert_eq!(refusal("1e400s"), "accepted: at most 16534w");
    }

    #[test]
    fn a_measurement_is_rounded_to_hundredths_of_a_millisecond() {
        assert_eq!(quantise_ms(23.456), 23.46);
        assert_eq!(quantise_ms(0.004), 0.0);
        assert!(quantise_ms(-0.004).is_sign_positive());
    }

    #[test]
    fn a_number_prints_as_it_was_written() {
        assert_eq!([Number::Int(12), Number::Float(12.0)].map(|n| n.to_string()), ["12", "12.0"]);
    }
}
