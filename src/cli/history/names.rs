//! Names that people use: short ones of metrics, and those of states. All come from the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use wanctl_sink_sqlite::SeriesName;

use crate::sink::{Metric, Unit, catalogue, nearest};

/// What the names of the program's own metrics start with.
const PREFIX: &str = "wanctl_";

/// The metrics that this program knows.
pub(super) struct Names {
    catalogue: BTreeMap<&'static str, &'static Metric>,
}

impl Names {
    /// Of every metric that is registered.
    pub(super) fn new() -> Self {
        Names { catalogue: catalogue() }
    }

    /// What is declared of a metric.
    pub(super) fn metric(&self, name: &str) -> Option<&'static Metric> {
        self.catalogue.get(name).copied()
    }

    /// The full names of what was asked for; a name that nobody knows stays as it is, because a file may
    /// hold metrics of another program.
    pub(super) fn full<'a>(&self, asked: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut full: Vec<String> = Vec::new();
        for name in asked {
            let known = self.meant(name);
            if known.is_empty() {
                full.push(name.to_owned());
            }
            full.extend(known.into_iter().map(str::to_owned));
        }
        full
    }

    /// Whether a full or short name stands for metrics of this program.
    pub(super) fn is_known(&self, name: &str) -> bool {
        !self.meant(name).is_empty()
    }

    /// A name of a metric that is like one that nobody knows.
    pub(super) fn near(&self, name: &str) -> Option<String> {
        let name = name.to_lowercase();
        if self.is_known(&name) {
            return Some(name);
        }
        if let Some(rest) = name.strip_prefix(PREFIX) {
            // The prefix that most names have would make any two of them look alike.
            let rests: Vec<&str> = self.catalogue.keys().map(|full| unprefixed(full)).collect();
            let near = nearest(rest, &rests)?;
            return self.catalogue.keys().find(|full| unprefixed(full) == near).map(|&n| n.into());
        }
        let shorts = self.catalogue.values().map(|metric| short(metric));
        let parts: BTreeSet<&str> = shorts.flat_map(|s| s.split('_').chain([s])).collect();
        nearest(&name, &parts.into_iter().collect::<Vec<_>>()).map(str::to_owned)
    }

    /// The name of a state, or else the number.
    pub(super) fn value(&self, series: &SeriesName, value: f64) -> String {
        self.state(series, value).map_or_else(|| number(value), str::to_owned)
    }

    /// The name of a state; `None` for a level and for a code without a name.
    pub(super) fn state(&self, series: &SeriesName, value: f64) -> Option<&'static str> {
        let metric = self.metric(&series.metric_name)?;
        if !series.source.is_empty() {
            return metric.state_name(&series.source, value);
        }
        // Files of the original say who recorded a row in a label, and of autorate not even there.
        let labelled = metric.states.iter().find(|states| {
            let label = format!("\"source\": \"{}\"", states.source);
            series.labels.as_ref().is_some_and(|labels| labels.contains(&label))
        });
        let source = labelled.or(metric.states.first())?.source;
        metric.state_name(source, value)
    }

    /// The metrics that a full or short name stands for.
    ///
    /// The short name lacks prefix and unit; a part of it stands for all metrics that have it, so `rate`
    /// is both directions'.
    fn meant(&self, name: &str) -> Vec<&'static str> {
        if let Some((full, _)) = self.catalogue.get_key_value(name) {
            return vec![full];
        }
        let all = || self.catalogue.iter().map(|(full, metric)| (*full, short(metric)));
        let full_names = |metrics: &mut dyn Iterator<Item = (&'static str, &str)>| {
            metrics.map(|(full, _)| full).collect::<Vec<_>>()
        };
        let is_whole = |full: &str, short: &str| short == name || unprefixed(full) == name;
        let whole = full_names(&mut all().filter(|(full, short)| is_whole(full, short)));
        if !whole.is_empty() || name.is_empty() {
            return whole;
        }
        let name = format!("_{name}_");
        full_names(&mut all().filter(|(_, short)| format!("_{short}_").contains(&name)))
    }
}

fn unprefixed(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// A metric's name without prefix and unit.
pub(super) fn short(metric: &Metric) -> &'static str {
    let name = metric.name.strip_prefix(PREFIX).unwrap_or(metric.name);
    let unit = match metric.unit {
        Unit::Milliseconds => "_ms",
        Unit::MegabitsPerSecond => "_mbps",
        Unit::Seconds | Unit::UnixSeconds => "_seconds",
        _ => "_total",
    };
    name.strip_suffix(unit).unwrap_or(name)
}

/// From here on, the digits before the point are more than are exact.
const HUGE: f64 = 1e15;

/// At most three decimals, without trailing zeros; zero has no sign, and huge numbers have an exponent.
pub(super) fn number(value: f64) -> String {
    let trimmed = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    if value.is_finite() && value.abs() >= HUGE {
        let text = format!("{value:.3e}");
        return match text.split_once('e') {
            Some((digits, exponent)) => format!("{}e{exponent}", trimmed(digits)),
            None => text,
        };
    }
    let text = trimmed(&format!("{value:.3}"));
    if text == "-0" { "0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(name: &str) -> Vec<String> {
        Names::new().full(std::iter::once(name))
    }

    #[test]
    fn a_short_name_lacks_prefix_and_unit() {
        for (short, long) in [
            ("rtt", "wanctl_rtt_ms"),
            ("rtt_ms", "wanctl_rtt_ms"),
            ("state", "wanctl_state"),
            ("baseline", "wanctl_rtt_baseline_ms"),
            ("rtt_baseline", "wanctl_rtt_baseline_ms"),
            ("delta", "wanctl_rtt_delta_ms"),
            ("download", "wanctl_rate_download_mbps"),
            ("upload", "wanctl_rate_upload_mbps"),
            ("steering", "wanctl_steering_enabled"),
            ("snapshot", "wanctl_config_snapshot"),
            ("wanctl_rtt_ms", "wanctl_rtt_ms"),
        ] {
            assert_eq!(full(short), [long], "{short}");
        }
    }

    #[test]
    fn a_part_of_several_names_means_all_of_them() {
        assert_eq!(full("rate"), ["wanctl_rate_download_mbps", "wanctl_rate_upload_mbps"]);
    }

    #[test]
    fn a_part_of_a_word_means_nothing() {
        for name in ["rt", "load", "stat", "other_metric"] {
            assert_eq!(full(name), [name]);
        }
    }

    #[test]
    fn numbers_are_short_and_zero_has_no_sign() {
        for (value, text) in [
            (23.4, "23.4"),
            (100.0, "100"),
            (0.0004, "0"),
            (-0.0004, "0"),
            (-0.0, "0"),
            (-1.5, "-1.5"),
            (1.23456, "1.235"),
            (1_000_000.0, "1000000"),
            (999_999_999_999_999.0, "999999999999999"),
            (1e15, "1e15"),
            (-1.5e300, "-1.5e300"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
