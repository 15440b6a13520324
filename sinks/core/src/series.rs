//! Who a value belongs to: metric, WAN, source and declared labels, put together once and shared.
//!
//! A controller declares the series it will emit as one [`Schema`] at start-up. A frame then refers to
//! them by position, so an emit formats nothing, looks nothing up and copies no string.

use std::collections::HashSet;
use std::sync::Arc;

use crate::{MAX_SAMPLES, Metric, label_text};

/// The identity of a stream of values.
///
/// Labels are identity, so they come from a closed list that is known when the series is declared.
/// Free text, such as the reason of a transition, belongs to an [`Event`](crate::Event).
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    metric: &'static Metric,
    wan: Arc<str>,
    source: Arc<str>,
    labels: Labels,
}

impl Series {
    /// A series of `metric` for one WAN, emitted by `source` (`autorate`, `steering`, a program's own name).
    pub fn new(
        metric: &'static Metric,
        wan: impl Into<Arc<str>>,
        source: impl Into<Arc<str>>,
    ) -> Self {
        Series { metric, wan: wan.into(), source: source.into(), labels: Labels::default() }
    }

    /// The same series with declared labels, in this order.
    #[must_use]
    pub fn with_labels(mut self, labels: &[(&str, &str)]) -> Self {
        self.labels = Labels::new(labels);
        self
    }

    /// The same series of another metric.
    pub(crate) fn with_metric(&self, metric: &'static Metric) -> Self {
        Series { metric, ..self.clone() }
    }

    /// What is measured.
    pub fn metric(&self) -> &'static Metric {
        self.metric
    }

    /// The WAN it is measured on; never empty.
    pub fn wan(&self) -> &str {
        &self.wan
    }

    /// Who measured it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The declared labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// Declared labels of a series, in declared order, and their text as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    pairs: Arc<[(String, String)]>,
    json: Option<Arc<str>>,
}

impl Labels {
    fn new(labels: &[(&str, &str)]) -> Self {
        let pairs = labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let object = labels.iter().map(|(k, v)| (k.to_string(), (*v).into())).collect();
        Labels { pairs, json: label_text(&object).map(Arc::from) }
    }

    /// The pairs, in declared order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The labels as one JSON object; `None` when there are none.
    pub fn json(&self) -> Option<&str> {
        self.json.as_deref()
    }
}

/// The series one emitter writes to, in a fixed order. Frames and sinks share it.
///
/// Sinks may cache what they know of a schema by its address, as long as they keep a clone of the `Arc`:
/// [`SchemaCache`](crate::SchemaCache) does.
#[derive(Debug, PartialEq)]
pub struct Schema {
    series: Box<[Series]>,
}

impl Schema {
    /// Puts the series of one emitter together.
    ///
    /// # Errors
    ///
    /// More than [`MAX_SAMPLES`] series (an emitter with more declares several schemas), a series
    /// without a WAN, or the same series twice.
    pub fn new(series: Vec<Series>) -> Result<Arc<Self>, SchemaError> {
        if series.len() > MAX_SAMPLES {
            return Err(SchemaError::TooManySeries { found: series.len() });
        }
        let mut seen = HashSet::new();
        for one in &series {
            let name = one.metric.name;
            if one.wan.is_empty() {
                return Err(SchemaError::NoWan { metric: name });
            }
            if !seen.insert((name, &one.wan, &one.source, one.labels.json())) {
                return Err(SchemaError::Duplicate { metric: name, wan: one.wan.to_string() });
            }
        }
        Ok(Arc::new(Schema { series: series.into() }))
    }

    /// Some of the series of a schema, under names that still differ; what [`new`](Self::new) asks for
    /// holds for those.
    pub(crate) fn of_some(series: Vec<Series>) -> Arc<Self> {
        Arc::new(Schema { series: series.into() })
    }

    /// The series, by position.
    pub fn series(&self) -> &[Series] {
        &self.series
    }
}

/// Why series can't form a [`Schema`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaError {
    /// More series than a frame has room for.
    #[error("{found} series in one schema; accepted: at most {MAX_SAMPLES}")]
    TooManySeries {
        /// How many there were.
        found: usize,
    },
    /// A series with an empty WAN name.
    #[error("series of {metric} has no WAN name")]
    NoWan {
        /// The metric of that series.
        metric: &'static str,
    },
    /// The same metric, WAN, source and labels twice.
    #[error("series of {metric} for {wan} is declared twice")]
    Duplicate {
        /// The metric of that series.
        metric: &'static str,
        /// Its WAN.
        wan: String,
    },
}
