//! How new the rows are, for people: rows of a clock that was wrong for a while should hide nobody else's.

use wanctl_sink_sqlite::{Granularity, History, HistoryError, Order, Query, Tiers};

/// Rows further ahead of the clock than this are of one that was wrong.
const DAY: i64 = 86_400;

/// The second of the newest row; of one in the future only if there is no other.
pub(super) fn second(history: &History, now: i64) -> Result<Option<i64>, HistoryError> {
    let newest = history.newest()?.map(|(second, _)| second);
    let latest = now.saturating_add(DAY);
    if newest.is_none_or(|newest| newest <= latest) {
        return Ok(newest);
    }
    let others = Query {
        to: latest,
        tiers: Tiers::Finest,
        order: Order::NewestFirst,
        limit: Some(1),
        ..Query::default()
    };
    Ok(history.query(&others)?.first().map(|row| row.timestamp).or(newest))
}

/// How many rows are in the future, without what they were rolled up to.
pub(super) fn in_future(history: &History, now: i64) -> Result<u64, HistoryError> {
    let from = now.saturating_add(DAY + 1);
    history.count(&Query { from, tiers: Tiers::Only(Granularity::Raw), ..Query::default() })
}
