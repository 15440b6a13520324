//! What is said of sealed rows that can't be read: nobody should take what is shown for all there was.

use wanctl_sink_sqlite::History;

use super::{remark, time};

/// Says which rows were left out of what was read so far; returns whether there were any.
pub(super) fn remark_on(history: &History) -> bool {
    let text = text(history);
    text.iter().for_each(|text| remark(text));
    text.is_some()
}

/// Which rows were left out of what was read so far, if there were any.
pub(super) fn text(history: &History) -> Option<String> {
    let damaged = history.damaged();
    let &(first, last) = damaged.first()?;
    let others = match damaged.len() - 1 {
        0 => String::new(),
        1 => " (and those of another time)".to_owned(),
        others => format!(" (and those of {others} other times)"),
    };
    Some(format!(
        "sealed rows from {} to {}{others} are damaged and left out; `wanctl history verify` tells more",
        time::to_seconds(first),
        time::to_seconds(last)
    ))
}
