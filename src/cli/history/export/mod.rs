//! `wanctl history export`: rows for other programs, as CSV, JSON lines or Parquet.
//!
//! Rows come one after the other, so a year takes no more memory than a minute.

#[cfg(feature = "parquet")]
mod parquet;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use wanctl_sink_sqlite::{History, HistoryError, Order, Query, Record, Tiers};

use super::damage;
use super::destination::Destination;
use super::file::Location;
use super::interrupt::Interrupt;
use super::meter::Meter;
use super::names::Names;
use super::selection::Selection;
use super::stats::bytes;
use super::{WRONG_USAGE, hints, of_nothing, refused, remark, rows};
use crate::daemon::Clock;

/// Arguments of `wanctl history export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --last or --from, everything up to --to. Rows come oldest first, at each time the
finest there is; --tier takes one granularity only. Exit code 1 if rows are damaged; all
others are written.

Examples:
  wanctl history export --last 7d --output week.parquet
  wanctl history export --last 1d --metrics rtt,state --wan cable > day.csv
  wanctl history export --format jsonl | zstd > all.jsonl.zst")]
pub(super) struct Arguments {
    #[command(flatten)]
    file: Location,
    #[command(flatten)]
    selection: Selection,
    /// In which form [default: by the suffix of --output: csv, json, jsonl, ndjson or parquet; or csv]
    #[arg(long, value_name = "FORM")]
    format: Option<Format>,
    /// The file to write; - is standard output [default: -]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there; never a database
    #[arg(long)]
    force: bool,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Comma-separated values with a line of heads, as of RFC 4180
    Csv,
    /// A JSON object a line
    Jsonl,
    /// Apache Parquet, compressed
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Format {
    /// That of a file with this name; `None` for a name that does not say.
    fn of(path: &Path) -> Option<Self> {
        let suffix = path.extension()?.to_str()?.to_ascii_lowercase();
        match suffix.as_str() {
            "json" | "ndjson" => Some(Format::Jsonl),
            suffix => Format::from_str(suffix, true).ok(),
        }
    }

    fn is_binary(self) -> bool {
        !matches!(self, Format::Csv | Format::Jsonl)
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if let Some(mistake) = arguments.selection.mistake() {
        remark(mistake);
        return Ok(WRONG_USAGE.into());
    }
    let names = Names::new();
    let query = query(arguments, &names);
    let path = arguments.output.as_deref().filter(|path| !is_standard_output(path));
    let format = match (arguments.format, path) {
        (Some(format), _) => format,
        (None, None) => Format::Csv,
        (None, Some(path)) => Format::of(path).ok_or_else(|| {
            let name = path.display();
            anyhow!("the name {name} does not say in which form; give --format")
        })?,
    };
    let database = arguments.file.path()?;
    let history = History::open(&database).map_err(refused)?;
    let Some(path) = path else {
        if format.is_binary() && io::stdout().is_terminal() {
            bail!("this form is not for a terminal; give --output FILE");
        }
        let mut counter = Counter::new(io::stderr().is_terminal() && !io::stdout().is_terminal());
        let records = history.records(&query).map_err(refused)?;
        write(format, &mut counter.count(records), &names, &mut BufWriter::new(out))?;
        let rows = counter.rows;
        drop(counter);
        explain(rows, arguments, &history, &query, &names)?;
        return Ok(exit_code(&history));
    };
    // Before signals are watched, because a pipe is opened only when somebody reads it.
    let mut file = Destination::open(path, arguments.force, &database)?;
    let interrupt = Interrupt::watch()?;
    let mut counter = Counter::new(true);
    let records = history.records(&query).map_err(refused)?;
    let records = records.take_while(|_| !interrupt.came());
    let written =
        write(format, &mut counter.count(records), &names, &mut BufWriter::new(file.writer()));
    if interrupt.came() {
        remark(if file.is_file() { "stopped; nothing was written" } else { "stopped" });
        return Ok(Interrupt::exit_code());
    }
    let size = written.and_then(|()| Ok(file.finish()?)).map_err(|error| {
        // What fails is the file, not the history, which has its own words.
        error.context(format!("can't write {}", path.display()))
    })?;
    let rows = counter.rows;
    drop(counter);
    let size = size.map(|size| format!(" ({})", bytes(size))).unwrap_or_default();
    remark(&format!("{rows} rows in {}{size}", path.display()));
    explain(rows, arguments, &history, &query, &names)?;
    Ok(exit_code(&history))
}

/// That of an export which is written. A script has to know when rows are missing from it.
fn exit_code(history: &History) -> ExitCode {
    if damage::remark_on(history) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Says which metrics there are not, and if there were no rows at all, why.
fn explain(
    rows: u64,
    arguments: &Arguments,
    history: &History,
    query: &Query,
    names: &Names,
) -> anyhow::Result<()> {
    let mut hints = hints::of_metrics(history, names, arguments.selection.metrics())?;
    if rows == 0 {
        hints.extend(of_nothing(history, query, hints.is_empty())?);
    } else {
        hints.extend(hints::of_tier(history, query)?);
    }
    hints.iter().for_each(|hint| remark(hint));
    Ok(())
}

/// Whether a path is a name of standard output, which is written as it is, whatever it leads to.
fn is_standard_output(path: &Path) -> bool {
    [Path::new("-"), Path::new("/dev/stdout")].contains(&path)
}

/// What to ask: everything, as fine as it is, unless something else was said.
fn query(arguments: &Arguments, names: &Names) -> Query {
    let now = Clock::start().stamp().unix_seconds();
    let query = arguments.selection.query(names, now);
    let from = if arguments.selection.has_start() { query.from } else { i64::MIN };
    let tiers = if query.tiers == Tiers::Auto { Tiers::Finest } else { query.tiers };
    Query { from, tiers, order: Order::OldestFirst, ..query }
}

/// Writes all rows.
fn write(
    format: Format,
    records: &mut dyn Iterator<Item = Result<Record, HistoryError>>,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match format {
        Format::Csv => {
            let mut csv = rows::csv_writer(&mut *out);
            csv.write_record(rows::HEADS).map_err(rows::io_error)?;
            for record in records {
                rows::csv_row(&record.map_err(refused)?, names, &mut csv)?;
            }
            csv.flush()?;
        }
        Format::Jsonl => {
            for record in records {
                rows::json_line(&record.map_err(refused)?, names, out)?;
            }
        }
        #[cfg(feature = "parquet")]
        Format::Parquet => parquet::write(records, names, out)?,
    }
    out.flush()?;
    Ok(())
}

/// Counts rows as they pass.
struct Counter {
    rows: u64,
    meter: Option<Meter>,
}

impl Counter {
    fn new(is_shown: bool) -> Self {
        Counter { rows: 0, meter: is_shown.then(Meter::start) }
    }

    fn count<I: Iterator>(&mut self, rows: I) -> impl Iterator<Item = I::Item> {
        rows.inspect(|_| {
            self.rows += 1;
            if let Some(meter) = &mut self.meter
                && self.rows.is_multiple_of(1 << 12)
            {
                meter.show(self.rows, None);
            }
        })
    }
}
