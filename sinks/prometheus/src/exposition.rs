//! The two text formats: families, samples, and what is escaped in them.
//!
//! It knows neither where values come from nor how the text is delivered.

use std::fmt::Write;

use wanctl_sink::{Kind, Metric, Series};

/// A text format that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The text format 0.0.4, which everything reads.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The value of the `Content-Type` header.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One metric with the series that have a value.
pub(crate) struct Family<'a> {
    pub(crate) metric: &'static Metric,
    /// The label text of [`labels`] and the value of each series.
    pub(crate) samples: Vec<(&'a str, f64)>,
}

/// The whole text of these families.
pub(crate) fn render<'a>(families: impl Iterator<Item = Family<'a>>, format: Format) -> String {
    let mut text = String::new();
    for Family { metric, samples } in families {
        let name = metric.name;
        let help = help(metric.help, format);
        let kind = if is_counter(metric) { "counter" } else { "gauge" };
        // In OpenMetrics a counter's family is called without the ending that its samples carry.
        let family = match format {
            Format::OpenMetrics if is_counter(metric) => name.trim_end_matches(TOTAL),
            _ => name,
        };
        push(&mut text, format_args!("# HELP {family} {help}\n# TYPE {family} {kind}\n"));
        let unit = metric.unit.as_str();
        if format == Format::OpenMetrics && ends_in_unit(family, unit) {
            push(&mut text, format_args!("# UNIT {family} {unit}\n"));
        }
        for (labels, value) in samples {
            push(&mut text, format_args!("{name}{labels} {value}\n"));
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

/// What the name of a counter ends in.
const TOTAL: &str = "_total";

/// Whether to say that it only grows. OpenMetrics takes only a counter of the right name for one.
fn is_counter(metric: &Metric) -> bool {
    metric.kind == Kind::Counter && metric.name.ends_with(TOTAL)
}

/// Why a series can't be exposed by its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name that Prometheus accepts")]
pub(crate) struct BadName(String);

/// The labels of a series with their braces: `wan`, `source`, then the declared ones.
///
/// A declared label that is called like one of the first two is left out where it says the same, and
/// prefixed with `exported_` where it doesn't, as Prometheus itself does.
///
/// # Errors
///
/// The name of the metric or of a label is not one that Prometheus accepts.
pub(crate) fn labels(series: &Series) -> Result<String, BadName> {
    let metric = series.metric().name;
    if !is_metric_name(metric) {
        return Err(BadName(metric.to_owned()));
    }
    let own = [("wan", series.wan()), ("source", series.source())];
    let mut labels = own.map(|(name, value)| (name.to_owned(), value)).to_vec();
    for (name, value) in series.labels().pairs() {
        if own.contains(&(name.as_str(), value.as_str())) {
            continue;
        }
        if !is_name(name) || name.starts_with("__") {
            return Err(BadName(name.clone()));
        }
        let is_own = own.iter().any(|(own, _)| own == name);
        let name = if is_own { format!("exported_{name}") } else { name.clone() };
        // Of a label that is declared twice the last counts, as in the JSON of other sinks.
        match labels.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => labels.push((name, value)),
        }
    }
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    Ok(format!("{{{}}}", labels.join(",")))
}

/// As [`is_name`], and colons, which labels must not have.
fn is_metric_name(name: &str) -> bool {
    is_name(&name.replace(':', "_"))
}

/// Letters, digits and underscores, no digit first.
fn is_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(known) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// OpenMetrics allows a unit only where the name ends in it.
fn ends_in_unit(name: &str, unit: &str) -> bool {
    !unit.is_empty() && name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'))
}

/// A label value between its quotes.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

/// A help text. The older format takes quotes as they are.
fn help(text: &str, format: Format) -> String {
    match format {
        Format::Text => text.replace('\\', "\\\\").replace('\n', "\\n"),
        Format::OpenMetrics => escape(text),
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use wanctl_sink::{Rollup, Unit};

    use super::*;

    static RTT: Metric = Metric {
        name: "wanctl_test_rtt_ms",
        unit: Unit::Milliseconds,
        kind: Kind::Gauge,
        rollup: Rollup::Mean,
        help: "Round-trip \"time\" \\ in\ntwo lines",
        states: &[],
    };
    static RATE: Metric =
        Metric { name: "wanctl_test_mbps", unit: Unit::MegabitsPerSecond, help: "Rate", ..RTT };
    static BAD: Metric = Metric { name: "wanctl-test", ..RTT };

    fn check(format: Format, expected: Expect) {
        let labels = labels(&Series::new(&RTT, "wan\\1\n\"", "test")).unwrap();
        let families = [
            Family { metric: &RTT, samples: vec![(&labels, 23.41)] },
            Family {
                metric: &RATE,
                samples: vec![("{wan=\"a\"}", 0.1 + 0.2), ("{wan=\"b\"}", 2.0)],
            },
        ];
        expected.assert_eq(&render(families.into_iter(), format));
    }

    #[test]
    fn the_text_format_is_complete_and_escaped() {
        check(
            Format::Text,
            expect![[r##"
            # HELP wanctl_test_rtt_ms Round-trip "time" \\ in\ntwo lines
            # TYPE wanctl_test_rtt_ms gauge
            wanctl_test_rtt_ms{wan="wan\\1\n\"",source="test"} 23.41
            # HELP wanctl_test_mbps Rate
            # TYPE wanctl_test_mbps gauge
            wanctl_test_mbps{wan="a"} 0.30000000000000004
            wanctl_test_mbps{wan="b"} 2
        "##]],
        );
    }

    #[test]
    fn openmetrics_has_units_that_names_end_in_and_an_end() {
        check(
            Format::OpenMetrics,
            expect![[r##"
            # HELP wanctl_test_rtt_ms Round-trip \"time\" \\ in\ntwo lines
            # TYPE wanctl_test_rtt_ms gauge
            # UNIT wanctl_test_rtt_ms ms
            wanctl_test_rtt_ms{wan="wan\\1\n\"",source="test"} 23.41
            # HELP wanctl_test_mbps Rate
            # TYPE wanctl_test_mbps gauge
            wanctl_test_mbps{wan="a"} 0.30000000000000004
            wanctl_test_mbps{wan="b"} 2
            # EOF
        "##]],
        );
    }

    #[test]
    fn nothing_to_expose_is_an_empty_text_and_a_mere_end() {
        assert_eq!(render(std::iter::empty(), Format::Text), "");
        assert_eq!(render(std::iter::empty(), Format::OpenMetrics), "# EOF\n");
    }

    #[test]
    fn every_value_reads_back_as_it_was() {
        for value in [f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.1, 1e21, 1_769_300_027.05] {
            let family = Family { metric: &RTT, samples: vec![("{}", value)] };
            let text = render(std::iter::once(family), Format::Text);
            let (_, shown) = text.trim_end().rsplit_once(' ').unwrap();
            assert_eq!(shown.parse::<f64>().unwrap(), value, "{shown}");
        }
    }

    #[test]
    fn declared_labels_follow_wan_and_source_and_never_repeat_a_name() {
        let labels = |declared: &[(&str, &str)]| {
            labels(&Series::new(&RTT, "wan1", "test").with_labels(declared)).unwrap()
        };
        assert_eq!(
            labels(&[("direction", "up"), ("a", "b")]),
            r#"{wan="wan1",source="test",direction="up",a="b"}"#
        );
        assert_eq!(labels(&[("source", "test")]), r#"{wan="wan1",source="test"}"#);
        assert_eq!(
            labels(&[("source", "other")]),
            r#"{wan="wan1",source="test",exported_source="other"}"#
        );
        assert_eq!(labels(&[("a", "1"), ("a", "2")]), r#"{wan="wan1",source="test",a="2"}"#);
    }

    #[test]
    fn colons_are_for_names_of_metrics_and_not_for_those_of_labels() {
        static PREFIXED: Metric = Metric { name: "edge:test_rtt_ms", ..RTT };
        let series = Series::new(&PREFIXED, "wan1", "test");
        assert_eq!(labels(&series).unwrap(), r#"{wan="wan1",source="test"}"#);
        let series = series.with_labels(&[("a:b", "x")]);
        assert_eq!(labels(&series), Err(BadName("a:b".to_owned())));
    }

    #[test]
    fn names_that_prometheus_does_not_accept_are_refused() {
        let error = labels(&Series::new(&BAD, "wan1", "test")).unwrap_err();
        assert_eq!(error.to_string(), "`wanctl-test` is not a name that Prometheus accepts");
        for name in ["", "1st", "a-b", "\u{e9}", "__name__"] {
            let series = Series::new(&RTT, "wan1", "test").with_labels(&[(name, "x")]);
            assert_eq!(labels(&series), Err(BadName(name.to_owned())));
        }
    }
}
