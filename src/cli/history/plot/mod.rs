//! Charts of history: in a terminal, as SVG, as PNG.
//!
//! [`chart`] turns rows into what is drawn, with a least and greatest value for each column of pixels, so
//! that no spike is lost whatever the range. `terminal` draws it with characters; `picture` draws it on a
//! `Surface`, which is `svg` or `png`.

mod axis;
mod chart;
mod columns;
mod font;
mod palette;
mod picture;
mod png;
mod svg;
mod terminal;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use wanctl_sink_sqlite::{History, Order, Query};

use self::chart::Chart;
use super::destination::Destination;
use super::names::Names;
use super::refused;

/// Where a chart goes.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// A file with one of the two suffixes.
    Svg(PathBuf),
    /// See there.
    Png(PathBuf),
}

/// Reads the name of a picture's file.
///
/// # Errors
///
/// A suffix that says nothing; the text says what is accepted.
pub(super) fn target(text: &str) -> Result<Target, String> {
    let path = PathBuf::from(text);
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_ascii_lowercase());
    match suffix.as_deref() {
        Some("svg") => Ok(Target::Svg(path)),
        Some("png") => Ok(Target::Png(path)),
        _ => Err("accepted: a file whose name ends in .svg or .png".to_owned()),
    }
}

/// Draws what matches, and returns whether there was anything; without, no file is made. `database` is the
/// file of the history.
pub(super) fn draw(
    history: &History,
    database: &Path,
    query: &Query,
    target: Option<&Target>,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let columns = if target.is_some() { picture::COLUMNS } else { terminal::columns() };
    // Time from which there is nothing at all would only press the rest together.
    let oldest = history.oldest().map_err(refused)?.map_or(query.from, |(second, _)| second);
    let from = query.from.max(oldest.min(query.to));
    let query = Query { from, order: Order::OldestFirst, limit: None, offset: 0, ..query.clone() };
    let records = &mut history.records(&query).map_err(refused)?;
    let chart = Chart::of(records, &query, columns, names)?;
    if chart.groups.is_empty() {
        return Ok(false);
    }
    match target {
        None => terminal::draw(&chart, terminal::has_colour(), out)?,
        Some(Target::Svg(path)) => save(path, picture::svg(&chart).as_bytes(), database)?,
        Some(Target::Png(path)) => save(path, &picture::png(&chart)?, database)?,
    }
    Ok(true)
}

/// Writes a picture, in the place of an earlier one if there is one.
fn save(path: &Path, bytes: &[u8], database: &Path) -> anyhow::Result<()> {
    let mut file = Destination::open(path, true, database)?;
    let written = file.writer().write_all(bytes).and_then(|()| file.finish());
    written.map(drop).with_context(|| format!("can't write {}", path.display()))
}

/// A text of at most so many characters; of a longer one, the beginning.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let begin: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{begin}…")
}
