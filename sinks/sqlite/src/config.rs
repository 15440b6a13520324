//! What stands below `settings:`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use wanctl_sink::{
    Issue, OpenContext, Resource, SinkConfig, SinkError, SinkWriter, format_bytes, format_duration,
    parse_bytes, parse_duration, register_sink,
};

use crate::writer::SqliteWriter;

register_sink! {
    "sqlite" => SqliteConfig,
    summary: "Keeps history in one SQLite file that any program can read",
    sample: include_str!("../sample.yaml"),
}

const DAY: Duration = Duration::from_secs(86_400);

/// The longest any tier is kept.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What `settings:` of a sqlite sink is read into.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct SqliteConfig {
    /// The file. Default `/var/lib/wanctl/metrics.db`.
    pub path: PathBuf,
    /// How long raw rows stay rows that plain SQL reads, a minute at least; older ones are compressed.
    /// Default 24 h.
    pub hot: Duration,
    /// How long each tier is kept.
    pub retention: Retention,
    /// How many bytes the file may have, 1 MiB at least; the oldest rows go when it would have more.
    /// Default 1 GiB.
    pub max_bytes: u64,
}

/// How long the rows of each tier are kept. None is kept for less time than the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Every sample. Default 7 days.
    pub raw: Duration,
    /// One row a minute. Default 30 days.
    pub minute: Duration,
    /// One row in five minutes. Default 90 days.
    pub five_minutes: Duration,
    /// One row an hour. Default 730 days.
    pub hour: Duration,
    /// Transitions and configuration snapshots. Default 365 days.
    pub events: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            raw: 7 * DAY,
            minute: 30 * DAY,
            five_minutes: 90 * DAY,
            hour: 730 * DAY,
            events: 365 * DAY,
        }
    }
}

impl Default for SqliteConfig {
    fn default() -> Self {
        SqliteConfig {
            path: "/var/lib/wanctl/metrics.db".into(),
            hot: DAY,
            retention: Retention::default(),
            max_bytes: 1 << 30,
        }
    }
}

/// The keys as they are written. Where only a finer tier is said to be kept long, the coarser ones are
/// kept as long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a section: path, hot, retention, max_bytes")]
struct Written {
    #[serde(default, deserialize_with = "given")]
    path: Option<PathBuf>,
    hot: Option<Age>,
    /// The original's name for `retention.raw`, in days.
    retention_days: Option<Days>,
    retention: Option<WrittenRetention>,
    max_bytes: Option<Size>,
}

#[derive(Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a section of ages such as { raw: 7d, 1m: 30d, 5m: 90d, 1h: 730d, events: 365d }"
)]
struct WrittenRetention {
    raw: Option<Age>,
    #[serde(rename = "1m")]
    minute: Option<Age>,
    #[serde(rename = "5m")]
    five_minutes: Option<Age>,
    #[serde(rename = "1h")]
    hour: Option<Age>,
    events: Option<Age>,
}

impl TryFrom<Written> for SqliteConfig {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let default = SqliteConfig::default();
        let keep = written.retention.unwrap_or_default();
        if keep.raw.is_some() && written.retention_days.is_some() {
            return Err("`retention_days` and `retention.raw` mean the same; set one".to_owned());
        }
        let at_least = |age: Option<Age>, default: Duration, finer: Duration| {
            age.map_or(default.max(finer), |age| age.0)
        };
        let days = written.retention_days.map(|days| days.0 * DAY);
        let raw = keep.raw.map(|age| age.0).or(days).unwrap_or(default.retention.raw);
        let minute = at_least(keep.minute, default.retention.minute, raw);
        let five_minutes = at_least(keep.five_minutes, default.retention.five_minutes, minute);
        let hour = at_least(keep.hour, default.retention.hour, five_minutes);
        let events = at_least(keep.events, default.retention.events, raw);
        Ok(SqliteConfig {
            path: written.path.unwrap_or(default.path),
            // Raw rows that are not kept for a day are all hot.
            hot: written.hot.map_or(default.hot.min(raw), |age| age.0),
            retention: Retention { raw, minute, five_minutes, hour, events },
            max_bytes: written.max_bytes.map_or(default.max_bytes, |size| size.0),
        })
    }
}

impl SinkConfig for SqliteConfig {
    fn check(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.path.as_os_str().is_empty() {
            issues.push(Issue::value("path", "nothing", "the path of a file"));
        }
        let minute = Duration::from_secs(60);
        let mut within = |key: &str, age: Duration, least: Duration, because: &str| {
            if !(least..=LONGEST).contains(&age) {
                let accepted = format!(
                    "a time from {}{because} to {}",
                    format_duration(least),
                    format_duration(LONGEST)
                );
                issues.push(Issue::value(key, format_duration(age), accepted));
            }
        };
        let keep = &self.retention;
        within("hot", self.hot, minute, "");
        within("retention.raw", keep.raw, self.hot.max(minute), " (`hot`)");
        within("retention.1m", keep.minute, keep.raw, " (`raw`)");
        within("retention.5m", keep.five_minutes, keep.minute, " (`1m`)");
        within("retention.1h", keep.hour, keep.five_minutes, " (`5m`)");
        within("retention.events", keep.events, minute, "");
        if self.max_bytes < 1 << 20 {
            let accepted = "1MiB or more";
            issues.push(Issue::value("max_bytes", format_bytes(self.max_bytes), accepted));
        }
        issues
    }

    fn claims(&self) -> Vec<Resource> {
        vec![Resource::file(&self.path)]
    }

    fn open(&self, context: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(SqliteWriter::open(self, context)?))
    }
}

/// A path that is given; nothing behind the key is a mistake, not the default.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    PathBuf::deserialize(deserializer).map(Some)
}

/// A time such as `36h` or `7d`.
struct Age(Duration);

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let accepted = "a time such as 90m, 36h or 7d";
        deserializer.deserialize_any(Text { accepted, parse: parse_duration }).map(Age)
    }
}

/// A number of days, 1 to 365.
struct Days(u32);

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let accepted = "a whole number from 1 to 365";
        let parse = |text: &str| text.parse().ok().filter(|days| (1..=365).contains(days));
        deserializer.deserialize_any(Text { accepted, parse }).map(Days)
    }
}

/// A number of bytes such as `500MB` or `1GiB`.
struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let accepted = "a size such as 500MB or 1GiB";
        deserializer.deserialize_any(Text { accepted, parse: parse_bytes }).map(Size)
    }
}

/// Reads text, or a number by its text.
struct Text<T> {
    accepted: &'static str,
    parse: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.accepted)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text)
            .ok_or_else(|| E::custom(format!("found {text}; accepted: {}", self.accepted)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use wanctl_sink::{Registry, Settings, SinkSpec};

    use super::*;

    fn parse(text: &str) -> Result<SqliteConfig, Issue> {
        Settings::from_yaml(text).unwrap().parse()
    }

    #[test]
    fn the_kind_is_registered_and_its_sample_shows_the_defaults() {
        let registry = Registry::linked().unwrap();
        let sample = registry.get("sqlite").unwrap().sample;
        let specs = SinkSpec::parse_yaml(sample, &registry).unwrap();
        assert_eq!((specs[0].name.as_str(), specs[0].kind.as_str()), ("history", "sqlite"));
        assert_eq!(format!("{:?}", specs[0].config), format!("{:?}", SqliteConfig::default()));
        assert_eq!(SqliteConfig::default().check(), []);
    }

    fn issues(text: &str) -> Vec<String> {
        match parse(text) {
            Ok(config) => config.check().iter().map(ToString::to_string).collect(),
            Err(issue) => vec![issue.to_string()],
        }
    }

    #[test]
    fn all_values_out_of_range_are_named() {
        let retention = "{ raw: 1h, 1m: 2d, 5m: 1d, 1h: 5d, events: 200000d }";
        assert_eq!(
            issues(&format!("{{ path: '', hot: 2h, retention: {retention}, max_bytes: 1kB }}")),
            [
                "path: found nothing; accepted: the path of a file",
                "retention.raw: found 1h; accepted: a time from 2h (`hot`) to 36500d",
                "retention.5m: found 1d; accepted: a time from 2d (`1m`) to 36500d",
                "retention.events: found 200000d; accepted: a time from 1m to 36500d",
                "max_bytes: found 1000; accepted: 1MiB or more",
            ]
        );
    }

    #[test]
    fn what_is_no_value_is_named_with_its_key() {
        for (text, issue) in [
            (
                "retention_days: 366",
                "retention_days: found 366; accepted: a whole number from 1 to 365",
            ),
            (
                "retention_days: 0",
                "retention_days: found 0; accepted: a whole number from 1 to 365",
            ),
            ("hot: 24", "hot: found 24; accepted: a time such as 90m, 36h or 7d"),
            (
                "retention: { 1m: x }",
                "retention.1m: found x; accepted: a time such as 90m, 36h or 7d",
            ),
            (
                "retention: 7d",
                "retention: invalid type: string \"7d\", expected a section of ages such as \
                 { raw: 7d, 1m: 30d, 5m: 90d, 1h: 730d, events: 365d }",
            ),
            ("max_bytes: lots", "max_bytes: found lots; accepted: a size such as 500MB or 1GiB"),
        ] {
            assert_eq!(issues(text), [issue], "{text}");
        }
        let both = issues("{ retention_days: 7, retention: { raw: 7d } }");
        assert!(both[0].contains("mean the same"), "{both:?}");
    }

    #[test]
    fn coarser_tiers_are_kept_as_long_as_finer_ones() {
        let config = parse("retention_days: 365").unwrap();
        let days = |age: Duration| age.as_secs() / 86_400;
        let keep = &config.retention;
        let tiers = [keep.raw, keep.minute, keep.five_minutes, keep.hour, keep.events];
        assert_eq!(tiers.map(days), [365, 365, 365, 730, 365]);
        let short = parse("retention: { raw: 90m }").unwrap();
        assert_eq!(short.hot, Duration::from_secs(90 * 60));
        assert_eq!((short.check(), config.check()), (vec![], vec![]));
        assert_eq!(parse("retention_days: 7").unwrap(), SqliteConfig::default());
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(parse("db_path: x").unwrap_err().to_string().contains("db_path"));
    }
}
