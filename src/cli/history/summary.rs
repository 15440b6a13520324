//! Statistics of each series: percentiles of levels, shares of time of states.

use std::io::Write;

use serde_json::{Value, json};
use wanctl_sink_sqlite::{
    Granularity, History, Order, Query, Rows, SeriesName, SeriesSummary, StateShare, Statistics,
    Tiers,
};

use super::names::{Names, number};
use super::refused;
use crate::cli::write_json;

/// How long the line below a heading is.
const RULE: usize = 40;

/// Writes a block for each series, and returns whether there are any.
pub(super) fn write(
    history: &History,
    query: &Query,
    as_json: bool,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let query = &Query {
        // Percentiles of means are not those of the samples.
        tiers: if query.tiers == Tiers::Auto { Tiers::Finest } else { query.tiers },
        ..query.clone()
    };
    let series = history.summary(query).map_err(refused)?;
    if as_json {
        let value = |one| Ok(as_value(one, names, of_what(history, query, one)?));
        let values = series.iter().map(value).collect::<anyhow::Result<_>>()?;
        write_json(out, &values)?;
        return Ok(!series.is_empty());
    }
    for (position, one) in series.iter().enumerate() {
        if position > 0 {
            writeln!(out)?;
        }
        let name = &one.series.metric_name;
        let identity = identity(one, &series);
        let rows = of_what(history, query, one)?.head(one.samples);
        writeln!(out, "{name} ({rows}){identity}")?;
        writeln!(out, "{}", "-".repeat(RULE))?;
        match &one.statistics {
            Statistics::Numbers(s) => {
                for (label, value) in numbers(s) {
                    writeln!(out, "  {label}: {}", number(value))?;
                }
            }
            Statistics::States(states) => {
                for state in states {
                    let name = names.value(&one.series, state.value);
                    writeln!(
                        out,
                        "  {name}: {} ({})",
                        percent(state.share),
                        lasting(state.seconds)
                    )?;
                }
            }
        }
    }
    Ok(!series.is_empty())
}

/// Of which rows a summary is.
#[derive(Clone, Copy)]
enum OfWhat {
    Samples,
    Intervals(Granularity),
    /// Intervals of this length first, finer rows later.
    From(Granularity),
}

impl OfWhat {
    fn head(self, rows: u64) -> String {
        let s = if rows == 1 { "" } else { "s" };
        match self {
            OfWhat::Samples => format!("{rows} sample{s}"),
            OfWhat::Intervals(tier) => format!("{rows} interval{s} of {tier}"),
            OfWhat::From(tier) => format!("{rows} rows; the oldest are intervals of {tier}"),
        }
    }

    /// The tier, or `mixed`.
    fn tier(self) -> &'static str {
        match self {
            OfWhat::Samples => Granularity::Raw.as_str(),
            OfWhat::Intervals(tier) => tier.as_str(),
            OfWhat::From(_) => "mixed",
        }
    }
}

/// Looks at the ends of a series: rows get coarser with age.
fn of_what(history: &History, query: &Query, one: &SeriesSummary) -> anyhow::Result<OfWhat> {
    let end = |order| -> anyhow::Result<Granularity> {
        let query = Query {
            metrics: vec![one.series.metric_name.clone()],
            wan: Some(one.series.wan_name.clone()),
            source: Some(one.series.source.clone()).filter(|source| !source.is_empty()),
            rows: Rows::Samples,
            order,
            limit: Some(1),
            offset: 0,
            ..query.clone()
        };
        let row = history.query(&query).map_err(refused)?.pop();
        Ok(row.map_or(Granularity::Raw, |row| row.granularity))
    };
    let oldest = match query.tiers {
        Tiers::Only(tier) => tier,
        _ => end(Order::OldestFirst)?,
    };
    Ok(match (oldest, query.tiers) {
        (Granularity::Raw, _) => OfWhat::Samples,
        (tier, Tiers::Only(_)) => OfWhat::Intervals(tier),
        (tier, _) if end(Order::NewestFirst)? == tier => OfWhat::Intervals(tier),
        (tier, _) => OfWhat::From(tier),
    })
}

fn numbers(summary: &wanctl_sink_sqlite::Summary) -> [(&'static str, f64); 6] {
    let wanctl_sink_sqlite::Summary { min, max, avg, p50, p95, p99 } = *summary;
    [("min", min), ("max", max), ("avg", avg), ("p50", p50), ("p95", p95), ("p99", p99)]
}

/// What tells a series from the others of its metric; nothing for the only one.
fn identity(one: &SeriesSummary, all: &[SeriesSummary]) -> String {
    let parts = |one: &SeriesSummary| {
        let SeriesName { wan_name, source, labels, .. } = &*one.series;
        let labels = labels.as_deref().unwrap_or_default();
        [format!(" wan={wan_name}"), format!(" source={source}"), format!(" {labels}")]
    };
    let same_metric = all.iter().filter(|other| other.series.metric_name == one.series.metric_name);
    let others: Vec<[String; 3]> = same_metric.map(parts).collect();
    let shown = parts(one).into_iter().enumerate();
    shown
        .filter(|(at, part)| others.iter().any(|other| &other[*at] != part))
        .map(|(_, p)| p)
        .collect()
}

fn as_value(one: &SeriesSummary, names: &Names, of: OfWhat) -> Value {
    let mut value = json!({
        "metric_name": one.series.metric_name,
        "wan_name": one.series.wan_name,
        "source": one.series.source,
        "labels": one.series.labels,
        "samples": one.samples,
        "tier": of.tier(),
    });
    match &one.statistics {
        Statistics::Numbers(s) => {
            for (label, number) in numbers(s) {
                value[label] = number.into();
            }
        }
        Statistics::States(states) => {
            let state = |state: &StateShare| {
                json!({
                    "value": state.value,
                    "state": names.state(&one.series, state.value),
                    "share": state.share,
                    "seconds": state.seconds,
                })
            };
            value["states"] = states.iter().map(state).collect();
        }
    }
    value
}

/// A share in percent; one that is too small to be seen is still not none.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 0.05 => "<0.1%".to_owned(),
        percent => format!("{percent:.1}%"),
    }
}

/// A time in its two largest units.
pub(super) fn lasting(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3_600, whole / 86_400);
    if seconds > 0.0 && seconds < 0.9995 {
        format!("{}ms", number((seconds * 1e3).round().max(1.0)))
    } else if seconds < 59.95 {
        format!("{}s", number((seconds * 10.0).round() / 10.0))
    } else if hours == 0 {
        format!("{minutes}m {}s", whole % 60)
    } else if days == 0 {
        format!("{hours}h {}m", minutes % 60)
    } else {
        format!("{days}d {}h", hours % 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_not_none_does_not_look_like_none() {
        for (share, text) in [(0.0, "0.0%"), (0.0004, "<0.1%"), (0.0006, "0.1%"), (1.0, "100.0%")] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn a_time_has_its_two_largest_units() {
        for (seconds, text) in [
            (0.0, "0s"),
            (0.0001, "1ms"),
            (0.05, "50ms"),
            (0.9999, "1s"),
            (7.0, "7s"),
            (59.97, "1m 0s"),
            (3_599.0, "59m 59s"),
            (7_260.0, "2h 1m"),
            (90_000.0, "1d 1h"),
        ] {
            assert_eq!(lasting(seconds), text);
        }
    }
}
