//! Which rows a sink gets: globs on names and labels, and how often.
//!
//! Only the question is here; [`transform`](crate::transform) acts on the answer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use wildmatch::WildMatch;

use crate::{Event, Series, catalogue};

/// `select:` Which rows a sink gets. By default every one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    /// Metrics, by the name they have before [`SinkSpec::prefix`](crate::SinkSpec::prefix); empty means
    /// all. Default empty.
    pub include: Vec<Glob>,
    /// Metrics that are left out, whatever [`include`](Self::include) says. Default empty.
    pub exclude: Vec<Glob>,
    /// For each of these labels one of its globs must match. `wan` and `source` are labels here, before
    /// the declared ones; an event has those of its details. A label that a row lacks does not match.
    /// Default empty.
    pub labels: BTreeMap<String, Vec<Glob>>,
    /// One value of a series for each span of this length (10 ms to 1 h) of the wall clock, instead of
    /// every one. Events are never thinned. Default: every value.
    pub every: Option<Duration>,
    /// Which value that is: `as:`. Default [`Reduce::Last`].
    pub reduce: Reduce,
}

/// How the values of a span become one.
///
/// A metric that is not to be averaged (a [`Kind::State`](crate::Kind::State), or any whose rollup is not
/// [`Rollup::Mean`](crate::Rollup::Mean)) always keeps its last value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduce {
    /// The last one. The default.
    #[default]
    Last,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The arithmetic mean.
    Mean,
}

/// A pattern for a whole name: `*` stands for any text, also none, `?` for any one character.
///
/// Case counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Glob(WildMatch);

impl Glob {
    /// The pattern; any text is one.
    pub fn new(pattern: &str) -> Self {
        Glob(WildMatch::new(pattern))
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.0.matches(text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Select {
    /// Globs on names that match none of the metrics declared in this program, with the key each stands
    /// under: most likely slips of the pen.
    pub fn unmatched(&self) -> Vec<(&'static str, &Glob)> {
        let names: Vec<&str> = catalogue().into_keys().collect();
        let include = self.include.iter().map(|glob| ("include", glob));
        let exclude = self.exclude.iter().map(|glob| ("exclude", glob));
        let matches_none = |glob: &Glob| !names.iter().any(|name| glob.matches(name));
        include.chain(exclude).filter(|(_, glob)| matches_none(glob)).collect()
    }

    /// Whether the values of a series are wanted.
    pub(crate) fn takes_series(&self, series: &Series) -> bool {
        self.takes_name(series.metric().name)
            && self.labels.iter().all(|(label, globs)| {
                let pairs = series.labels().pairs();
                let declared = || pairs.iter().find(|(name, _)| name == label);
                match label.as_str() {
                    "wan" => any(globs, series.wan()),
                    "source" => any(globs, series.source()),
                    _ => declared().is_some_and(|(_, value)| any(globs, value)),
                }
            })
    }

    /// Whether an event is wanted.
    pub(crate) fn takes_event(&self, event: &Event) -> bool {
        // Details make their labels anew for each question.
        let details = std::cell::OnceCell::new();
        self.takes_name(event.metric.name)
            && self.labels.iter().all(|(label, globs)| match label.as_str() {
                "wan" => any(globs, &event.wan),
                "source" => any(globs, &event.source),
                _ => match details.get_or_init(|| event.details.labels()).get(label) {
                    Some(Value::String(text)) => any(globs, text),
                    Some(other) => any(globs, &other.to_string()),
                    None => false,
                },
            })
    }

    /// Whether it wants every row as it is.
    pub(crate) fn is_everything(&self) -> bool {
        let all = self.include.is_empty() && self.exclude.is_empty() && self.labels.is_empty();
        all && self.every.is_none()
    }

    fn takes_name(&self, name: &str) -> bool {
        (self.include.is_empty() || any(&self.include, name)) && !any(&self.exclude, name)
    }
}

fn any(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}
