//! What to read.

use std::fmt;
use std::str::FromStr;

/// How long the interval is that one row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Granularity {
    /// One measurement or decision, or an event.
    Raw,
    /// A minute.
    Minute,
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
}

impl Granularity {
    /// From fine to coarse.
    pub const ALL: [Granularity; 4] =
        [Granularity::Raw, Granularity::Minute, Granularity::FiveMinutes, Granularity::Hour];

    /// The interval in seconds; 0 for raw rows.
    pub fn seconds(self) -> i64 {
        match self {
            Granularity::Raw => 0,
            Granularity::Minute => 60,
            Granularity::FiveMinutes => 300,
            Granularity::Hour => 3600,
        }
    }

    /// As in the column `granularity`: `raw`, `1m`, `5m` or `1h`.
    pub fn as_str(self) -> &'static str {
        match self {
            Granularity::Raw => "raw",
            Granularity::Minute => "1m",
            Granularity::FiveMinutes => "5m",
            Granularity::Hour => "1h",
        }
    }

    /// The granularity that suits a range of this many seconds: raw below 6 hours, 1m below a day, 5m
    /// below a week, then 1h.
    pub fn for_span(seconds: i64) -> Self {
        match seconds {
            ..=21_599 => Granularity::Raw,
            21_600..=86_399 => Granularity::Minute,
            86_400..=604_799 => Granularity::FiveMinutes,
            _ => Granularity::Hour,
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Granularity {
    type Err = UnknownGranularity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Granularity::ALL.into_iter().find(|one| one.as_str() == text);
        named.ok_or_else(|| UnknownGranularity(text.to_owned()))
    }
}

/// A text that names no granularity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("found {0:?}; accepted: raw, 1m, 5m or 1h")]
pub struct UnknownGranularity(pub String);

/// Which tiers answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tiers {
    /// The one of [`Granularity::for_span`] for the part of the range that has rows; where that tier has
    /// nothing (too old, or not rolled up yet), the next coarser one that has, and at the new end the finer
    /// ones. No gap, and no instant twice.
    #[default]
    Auto,
    /// At each time the finest there is.
    Finest,
    /// This one only.
    Only(Granularity),
}

/// In which order rows come. Rows of one instant come in the order of their series' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// Which kind of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// Samples and events.
    #[default]
    All,
    /// What is emitted every cycle, and what it is rolled up to.
    Samples,
    /// Transitions and configuration snapshots; they are in no tier, and never averaged.
    Events,
}

/// Which rows to read. The default is everything there is, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The first second, in Unix time. An interval belongs to the second it begins in.
    pub from: i64,
    /// The last second, in Unix time; it is included.
    pub to: i64,
    /// The metrics' full names; none for all.
    pub metrics: Vec<String>,
    /// The WAN's name; `None` for all.
    pub wan: Option<String>,
    /// Who recorded it (`autorate`, `steering`); `None` for all.
    pub source: Option<String>,
    /// Labels that a row has, with these values, among others; none for all.
    pub labels: Vec<(String, String)>,
    /// Which tiers answer.
    pub tiers: Tiers,
    /// Samples, events or both.
    pub rows: Rows,
    /// In which order.
    pub order: Order,
    /// The most rows; `None` for no limit.
    pub limit: Option<u64>,
    /// How many rows to leave out first.
    pub offset: u64,
}

impl Default for Query {
    fn default() -> Self {
        Query {
            from: i64::MIN,
            to: i64::MAX,
            metrics: Vec::new(),
            wan: None,
            source: None,
            labels: Vec::new(),
            tiers: Tiers::default(),
            rows: Rows::default(),
            order: Order::default(),
            limit: None,
            offset: 0,
        }
    }
}
