//! Names of series, one allocation for each.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Row;

use super::SeriesName;

/// Labels with free text (the reason of a transition) are all different; beyond this many names, memory
/// is worth more than sharing.
const MOST: usize = 4096;

/// The names met so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<String, Arc<SeriesName>>,
    key: String,
}

impl Names {
    /// The name in a row's columns metric, WAN, labels and source, the first of which is `first`.
    pub(super) fn of_row(
        &mut self,
        row: &Row<'_>,
        first: usize,
    ) -> rusqlite::Result<Arc<SeriesName>> {
        let [metric, wan, labels, source] = [0, 1, 2, 3].map(|column| text(row, first + column));
        Ok(self.of(metric?, wan?, source?, labels?))
    }

    /// The name in a row of the original's query.
    pub(super) fn original(&mut self, row: &Row<'_>) -> rusqlite::Result<Arc<SeriesName>> {
        Ok(self.of(text(row, 2)?, text(row, 1)?, "", text(row, 4)?))
    }

    fn of(&mut self, metric: &str, wan: &str, source: &str, labels: &str) -> Arc<SeriesName> {
        self.key.clear();
        for part in [metric, wan, source, labels] {
            self.key.push_str(part);
            self.key.push('\0');
        }
        if let Some(known) = self.known.get(&self.key) {
            return Arc::clone(known);
        }
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let name = Arc::new(SeriesName {
            metric_name: metric.to_owned(),
            wan_name: wan.to_owned(),
            source: source.to_owned(),
            labels: (!labels.is_empty()).then(|| labels.to_owned()),
        });
        self.known.insert(self.key.clone(), Arc::clone(&name));
        name
    }
}

/// A text; an empty one for NULL.
fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    Ok(row.get_ref(column)?.as_str_or_null()?.unwrap_or_default())
}
