//! A query's conditions on names, in SQL.

use rusqlite::types::Value;

use super::Query;

/// Conditions, each preceded by ` AND `, and the values of their parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Filter {
    /// On the columns `metric_name`, `wan_name`, `source` and `labels`.
    pub(super) fn names(query: &Query) -> Self {
        let mut filter = Filter::original(query);
        if let Some(source) = &query.source {
            filter.and("source = ?", [source.clone().into()]);
        }
        filter
    }

    /// The same without `source`, which the original's table lacks.
    pub(super) fn original(query: &Query) -> Self {
        let mut filter = Filter::default();
        if !query.metrics.is_empty() {
            let list = format!("metric_name IN (?{})", ", ?".repeat(query.metrics.len() - 1));
            filter.and(&list, query.metrics.iter().cloned().map(Value::from));
        }
        if let Some(wan) = &query.wan {
            filter.and("wan_name = ?", [wan.clone().into()]);
        }
        for (key, value) in &query.labels {
            // CASE, because a text that is no JSON would be an error.
            let has = "CASE WHEN json_valid(labels) THEN EXISTS
                (SELECT 1 FROM json_each(labels) WHERE key = ? AND CAST(value AS TEXT) = ?) END";
            filter.and(has, [key.clone().into(), value.clone().into()]);
        }
        filter
    }

    pub(super) fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql += " AND ";
        self.sql += condition;
        self.values.extend(values);
    }
}
