//! The parameters of a query for history: text in, numbers out. Pure.

use jiff::tz::TimeZone;

use crate::instant::parse_instant;

/// The most rows of one answer.
const MOST_ROWS: u64 = 10_000;
/// How many rows there are when nothing is said.
const ROWS: u64 = 1_000;
/// How far back an answer goes when nothing is said, in seconds.
const LAST_HOUR: i64 = 3_600;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Params {
    /// The first second, in Unix time.
    pub(super) from: i64,
    /// The last second, in Unix time.
    pub(super) to: i64,
    /// Full names; none for all.
    pub(super) metrics: Vec<String>,
    /// `None` for all.
    pub(super) wan: Option<String>,
    /// 1 to 10000.
    pub(super) limit: u64,
    /// How many rows come before those that are wanted.
    pub(super) offset: u64,
}

impl Params {
    /// Reads what follows the `?`. `now` is Unix time in seconds; times without an offset are of `zone`.
    ///
    /// `range` counts before `from`, and `to` only beside `from`. Of a parameter that comes twice the
    /// first counts, an empty one is none, and unknown ones don't matter.
    ///
    /// # Errors
    ///
    /// What is accepted instead, for the first parameter that is not.
    pub(super) fn read(query: &str, now: i64, zone: &TimeZone) -> Result<Self, String> {
        let get = |name: &'static str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            let value = pairs.find(|(key, value)| key == name && !value.is_empty())?.1;
            Some(Given { name, value: value.into_owned() })
        };
        let instant = |given: Given| given.read(|text| parse_instant(text, zone), INSTANT);
        let whole = |given: Given, least, most, accepted| {
            given.read(|text| text.parse().ok().filter(|n| (least..=most).contains(n)), accepted)
        };
        let range = get("range").map(|given| given.read(seconds, DURATION)).transpose()?;
        let from = get("from").map(instant).transpose()?;
        let to = get("to").map(instant).transpose()?;
        let (from, to) = match (range, from) {
            (Some(range), _) => (now.saturating_sub(range), now),
            (None, Some(from)) => (from, to.unwrap_or(now)),
            (None, None) => (now.saturating_sub(LAST_HOUR), now),
        };
        let limit = get("limit")
            .map(|given| whole(given, 1, MOST_ROWS, "a whole number, 1 to 10000"))
            .transpose()?;
        let offset = get("offset")
            .map(|given| whole(given, 0, i64::MAX.cast_unsigned(), "a whole number, 0 or more"))
            .transpose()?;
        let metrics = get("metrics").map(|given| given.value).unwrap_or_default();
        let names = metrics.split(',').map(str::trim).filter(|name| !name.is_empty());
        Ok(Params {
            from,
            to,
            metrics: names.map(str::to_owned).collect(),
            wan: get("wan").map(|given| given.value),
            limit: limit.unwrap_or(ROWS),
            offset: offset.unwrap_or(0),
        })
    }
}

/// A parameter that is there.
struct Given {
    name: &'static str,
    value: String,
}

impl Given {
    fn read<T>(self, read: impl Fn(&str) -> Option<T>, accepted: &str) -> Result<T, String> {
        let Given { name, value } = self;
        read(&value).ok_or_else(|| format!("{name}: found {value:?}; accepted: {accepted}"))
    }
}

const DURATION: &str = "a whole number and a unit, such as 30s, 5m, 2h, 7d, 1w";
const INSTANT: &str = "a time in ISO 8601, such as 2026-01-25T20:14:00, with Z or %2B02:00 behind it if it is not local";

/// `90s`, `5m`, `2h`, `7d` or `1w`, in seconds.
fn seconds(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let seconds = match unit.to_ascii_lowercase() {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let number = text.strip_suffix(unit)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<i64>().ok()?.checked_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-25 12:00:00 UTC.
    const NOW: i64 = 1_769_342_400;

    /// Reads times without an offset as two hours ahead of UTC.
    fn read(query: &str) -> Result<Params, String> {
        Params::read(query, NOW, &TimeZone::fixed(jiff::tz::offset(2)))
    }

    fn range(query: &str) -> (i64, i64) {
        let params = read(query).unwrap();
        (params.from - NOW, params.to - NOW)
    }

    #[test]
    fn nothing_said_is_a_thousand_rows_of_the_last_hour() {
        let (metrics, wan) = (Vec::new(), None);
        let params = Params { from: NOW - 3_600, to: NOW, metrics, wan, limit: 1_000, offset: 0 };
        for query in ["", "limit=&wan=", "unknown=1&&=&x"] {
            assert_eq!(read(query).as_ref(), Ok(&params), "{query}");
        }
    }

    #[test]
    fn everything_can_be_said() {
        let params = read(
            "from=2026-01-25T11%3A00Z&to=2026-01-25T11:30Z&metrics=a,%20b%20,,&wan=x%26y+z&limit=10000&offset=7",
        );
        assert_eq!(
            params.unwrap(),
            Params {
                from: NOW - 3_600,
                to: NOW - 1_800,
                metrics: vec!["a".to_owned(), "b".to_owned()],
                wan: Some("x&y z".to_owned()),
                limit: 10_000,
                offset: 7,
            }
        );
    }

    #[test]
    fn ranges_count_from_now_and_before_anything_else() {
        for (text, seconds) in
            [("0s", 0), ("90S", 90), ("5m", 300), ("2H", 7_200), ("7d", 604_800), ("1w", 604_800)]
        {
            assert_eq!(range(&format!("range={text}")), (-seconds, 0), "{text}");
        }
        assert_eq!(range("from=2026-01-25T10:00:00Z&range=1m"), (-60, 0));
        assert_eq!(range("range=1m&range=2m"), (-60, 0));
    }

    #[test]
    fn times_are_local_unless_they_have_an_offset() {
        for (text, ago) in [
            ("2026-01-25T11:00:00Z", 3_600),
            ("2026-01-25T12:00:00%2B01:00", 3_600),
            ("2026-01-25T10:00:00.5-01:00", 3_600),
            ("2026-01-25T13:00:00", 3_600),
            ("2026-01-25 13:00", 3_600),
            ("2026-01-25+13:00:00.25", 3_600),
            ("2026-01-25", 14 * 3_600),
        ] {
            assert_eq!(range(&format!("from={text}")), (-ago, 0), "{text}");
        }
        assert_eq!(range("to=2026-01-24"), (-3_600, 0), "alone it says nothing");
        assert_eq!(range("from=2026-01-25T10:00Z&to=2026-01-25T09:00Z"), (-7_200, -10_800));
    }

    #[test]
    fn what_is_not_accepted_is_named() {
        for (query, start) in [
            ("limit=0", "limit: found \"0\"; accepted: a whole number, 1 to 10000"),
            ("limit=10001", "limit: found \"10001\""),
            ("limit=ten", "limit: "),
            ("limit=-1", "limit: "),
            ("limit=1.5", "limit: "),
            ("offset=-1", "offset: found \"-1\"; accepted: a whole number, 0 or more"),
            ("offset=99999999999999999999", "offset: "),
            ("range=1", "range: found \"1\"; accepted: a whole number and a unit"),
            ("range=h", "range: "),
            ("range=1.5h", "range: "),
            ("range=-1h", "range: "),
            ("range=1ms", "range: "),
            ("range=1y", "range: "),
            ("range=99999999999999999w", "range: "),
            ("range=1\u{b5}", "range: "),
            ("from=yesterday", "from: found \"yesterday\"; accepted: a time in ISO 8601"),
            ("from=2026-13-01", "from: "),
            ("from=2026-01-25T12:00[Europe/Berlin]", "from: "),
            ("from=2026-01-25&to=later", "to: "),
            // Not encoded, a plus is a space.
            ("from=2026-01-25T12:00:00+01:00", "from: found \"2026-01-25T12:00:00 01:00\""),
        ] {
            let refusal = read(query).unwrap_err();
            assert!(refusal.starts_with(start), "{query}: {refusal}");
        }
    }
}
