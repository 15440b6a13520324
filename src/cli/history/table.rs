//! Rows for people: a table with the original's three columns first, and others where they tell rows apart.
//!
//! Scripts that read the original's table find time, metric and value where they were.

use std::io::{self, Write};

use wanctl_sink_sqlite::Record;

use super::names::Names;
use super::progress::Progress;
use super::rows::Records;
use super::{refused, time};

/// How many rows are looked at to find the columns and their widths.
const BLOCK: usize = 1000;

/// How wide a column of labels is underlined; a snapshot's are far longer.
const WIDEST: usize = 60;

const COLUMNS: usize = 7;
const HEADS: [&str; COLUMNS] =
    ["Timestamp", "Metric", "Value", "WAN", "Source", "Granularity", "Labels"];
const VALUE: usize = 2;
/// The columns that are always there.
const ALWAYS: usize = 3;

type Cells = [String; COLUMNS];

/// Writes a table, and returns whether it has rows.
pub(super) fn write(
    records: &mut Records<'_>,
    is_verbose: bool,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let mut progress = Progress::beside_output();
    let mut cells = records.map(|record| {
        progress.row();
        cells(&record.map_err(refused)?, is_verbose, names)
    });
    let block: Vec<Cells> = cells.by_ref().take(BLOCK).collect::<Result<_, _>>()?;
    if block.is_empty() {
        return Ok(false);
    }
    let layout = Layout::of(&block, is_verbose);
    layout.heads(out)?;
    for row in &block {
        layout.row(row, out)?;
    }
    for row in cells {
        layout.row(&row?, out)?;
    }
    Ok(true)
}

/// Writes one row as a line with all columns, as wide as they usually are.
pub(super) fn line(record: &Record, names: &Names, out: &mut dyn Write) -> anyhow::Result<()> {
    let [at, metric, value, wan, source, _, labels] = cells(record, true, names)?;
    let line = format!("{at}  {metric:<25}  {value:>9}  {wan}  {source}  {labels}");
    writeln!(out, "{}", line.trim_end())?;
    Ok(())
}

fn cells(record: &Record, is_verbose: bool, names: &Names) -> anyhow::Result<Cells> {
    let series = &record.series;
    let at = if is_verbose { time::to_millis(record) } else { time::to_seconds(record.timestamp) };
    Ok([
        at,
        series.metric_name.clone(),
        names.value(series, record.value),
        series.wan_name.clone(),
        series.source.clone(),
        record.granularity.to_string(),
        series.labels.clone().unwrap_or_default(),
    ])
}

/// Which columns there are and how wide they are.
struct Layout {
    widths: [usize; COLUMNS],
    is_shown: [bool; COLUMNS],
    /// The decimals of the values with most; `None` if there are values that are no numbers.
    decimals: Option<usize>,
}

impl Layout {
    fn of(rows: &[Cells], is_verbose: bool) -> Self {
        let is_number = |row: &Cells| row[VALUE].parse::<f64>().is_ok();
        let decimals = rows
            .iter()
            .all(is_number)
            .then(|| rows.iter().map(|row| after_point(&row[VALUE])).max().unwrap_or_default());
        let differs =
            |column: usize| rows.windows(2).any(|pair| pair[0][column] != pair[1][column]);
        let is_shown =
            std::array::from_fn(|column| column < ALWAYS || is_verbose || differs(column));
        let mut layout = Layout { widths: [0; COLUMNS], is_shown, decimals };
        layout.widths = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| layout.cell(row, column).chars().count());
            cells.max().unwrap_or_default().min(WIDEST).max(HEADS[column].len() + 2)
        });
        layout
    }

    /// Numbers end so that their points stand below each other.
    fn cell(&self, row: &Cells, column: usize) -> String {
        match self.decimals {
            Some(most) if column == VALUE => {
                let missing = most.saturating_sub(after_point(&row[VALUE]));
                format!("{}{:missing$}", row[VALUE], "")
            }
            _ => row[column].clone(),
        }
    }

    fn heads(&self, out: &mut dyn Write) -> io::Result<()> {
        self.line(out, |column| HEADS[column].to_owned())?;
        self.line(out, |column| "-".repeat(self.widths[column]))
    }

    fn row(&self, row: &Cells, out: &mut dyn Write) -> io::Result<()> {
        self.line(out, |column| self.cell(row, column))
    }

    fn line(&self, out: &mut dyn Write, text: impl Fn(usize) -> String) -> io::Result<()> {
        let cells = (0..COLUMNS).filter(|&column| self.is_shown[column]).map(|column| {
            let (width, text) = (self.widths[column], text(column));
            if column == VALUE && self.decimals.is_some() {
                format!("{text:>width$}")
            } else {
                format!("{text:<width$}")
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())
    }
}

/// How many characters a number has from its point on.
fn after_point(number: &str) -> usize {
    number.find('.').map_or(0, |point| number.len() - point)
}
