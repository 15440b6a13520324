//! Which rows: the options that narrow history down, as one [`Query`].

use std::time::Duration;

use clap::value_parser;
use wanctl_sink_sqlite::{Order, Query, Tiers};

use super::names::Names;
use super::time;
use crate::units;

/// How far back, when nothing is said.
const HOUR: Duration = Duration::from_secs(3600);

/// Which rows are meant.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Rows")]
pub(super) struct Selection {
    /// How long before --to, or before now [default: 1h]; wins over --from
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    last: Option<Duration>,
    /// The first second, such as '2026-01-25 20:14' or 2026-01-25T20:14:05+01:00
    #[arg(long, value_name = "WHEN", value_parser = time::parse)]
    from: Option<i64>,
    /// The last second [default: now]
    #[arg(long, value_name = "WHEN", value_parser = time::parse)]
    to: Option<i64>,
    /// Only these metrics, full or short names with commas between
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    metrics: Vec<String>,
    /// Only this WAN
    #[arg(long, value_name = "NAME")]
    wan: Option<String>,
    /// Only what this controller recorded: autorate or steering
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only rows with this label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// How fine: auto (of a summary the finest there is), raw, 1m, 5m or 1h
    #[arg(long, default_value = "auto", value_name = "TIER", value_parser = tier)]
    tier: Tiers,
    /// The most rows [default: 1000 of a table on a terminal]
    #[arg(long, value_name = "ROWS", value_parser = value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// How many rows to leave out first
    #[arg(long, default_value_t = 0, value_name = "ROWS")]
    offset: u64,
    /// Oldest first instead of newest first
    #[arg(long)]
    oldest_first: bool,
}

impl Selection {
    /// What to ask, `now` being in Unix seconds.
    pub(super) fn query(&self, names: &Names, now: i64) -> Query {
        let to = self.to.unwrap_or(now);
        let before = |last: Duration| {
            to.saturating_sub(i64::try_from(last.as_millis().div_ceil(1000)).unwrap_or(i64::MAX))
        };
        let from = match (self.last, self.from) {
            (Some(last), _) => before(last),
            (None, Some(from)) => from,
            (None, None) => before(HOUR),
        };
        let order = if self.oldest_first { Order::OldestFirst } else { Order::NewestFirst };
        Query {
            from,
            to,
            metrics: names.full(self.metrics()),
            wan: self.wan.clone(),
            source: self.source.clone(),
            labels: self.label.clone(),
            tiers: self.tier,
            order,
            limit: self.limit,
            offset: self.offset,
            ..Query::default()
        }
    }

    /// The metrics' names as they were given.
    pub(super) fn metrics(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|name| name.trim()).filter(|name| !name.is_empty())
    }

    /// What is wrong with options that are each right.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        let is_reversed = self.from.zip(self.to).is_some_and(|(from, to)| from > to);
        (is_reversed && self.last.is_none()).then_some("--from is after --to")
    }

    /// Whether it is said when the time begins.
    pub(super) fn has_start(&self) -> bool {
        self.last.is_some() || self.from.is_some()
    }
}

/// Which rows come first in this order.
pub(super) fn end_of(order: Order) -> &'static str {
    match order {
        Order::NewestFirst => "newest",
        Order::OldestFirst => "oldest",
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or("accepted: KEY=VALUE, such as direction=download")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn tier(text: &str) -> Result<Tiers, String> {
    if text == "auto" {
        return Ok(Tiers::Auto);
    }
    text.parse().map(Tiers::Only).map_err(|_| "accepted: auto, raw, 1m, 5m or 1h".to_owned())
}
