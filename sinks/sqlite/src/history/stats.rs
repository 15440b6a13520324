//! What a history file holds, and what it costs.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Row};

use super::Granularity;
use super::series::{self, unsigned};
use crate::database::with_suffix;
use crate::places::WIDTH;

/// Over how long the rate of samples is taken, in seconds.
const RATE_SPAN: i64 = 600;

/// What a history file holds, and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// The size of the file.
    pub file_bytes: u64,
    /// The size of the write-ahead log beside it.
    pub log_bytes: u64,
    /// How much of the file is free for new rows.
    pub free_bytes: u64,
    /// What stands where, from new to old.
    pub tiers: Vec<TierStats>,
    /// How much is recorded, by WAN and source.
    pub rates: Vec<Rate>,
    /// The Unix second of the rows up to which maintenance has come; `None` in a file that was never
    /// maintained, and in one of the original.
    pub maintained_to: Option<i64>,
}

/// A part of a history file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Raw rows that any program can read; in a file of the original, all raw rows.
    Hot,
    /// Raw rows that are compressed.
    Sealed,
    /// Intervals of one length.
    Rolled(Granularity),
    /// Transitions and snapshots.
    Events,
}

/// What a tier holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierStats {
    /// Which tier.
    pub tier: Tier,
    /// Cycles of up to eight series, intervals, or events.
    pub rows: u64,
    /// Values in these rows.
    pub samples: u64,
    /// Compressed ranges; 0 in other tiers.
    pub chunks: u64,
    /// The first second that has a row, in Unix time.
    pub first: Option<i64>,
    /// The last second that has a row.
    pub last: Option<i64>,
    /// The bytes of its pages, indexes included. Tiers that share pages share their bytes by rows.
    pub bytes: u64,
}

impl TierStats {
    /// What a value costs; `None` if there is none.
    pub fn bytes_per_sample(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.bytes as f64 / self.samples as f64)
    }
}

/// How much is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// The WAN.
    pub wan_name: String,
    /// Who records it; empty in files of the original.
    pub source: String,
    /// Mean of the ten minutes before the newest sample, or of all there is, if that is less.
    pub samples_per_second: f64,
}

/// Of a file of this sink.
pub(super) fn ours(db: &Connection, path: &Path) -> rusqlite::Result<Stats> {
    let transaction = db.unchecked_transaction()?;
    let bytes = table_bytes(db)?;
    let bytes = |table: &str| bytes.get(table).copied().unwrap_or(0);
    let columns: Vec<String> = (0..WIDTH).map(|column| format!("count(v{column})")).collect();
    let frames =
        format!("SELECT count(*), {}, 0, min(sec), max(sec) FROM frames", columns.join("+"));
    let chunks = "SELECT coalesce(sum(frames), 0), coalesce(sum(samples), 0), count(*),
                  min(first_sec), max(last_sec) FROM chunks";
    let mut tiers = vec![
        tier(db, Tier::Hot, &frames, bytes("frames"))?,
        tier(db, Tier::Sealed, chunks, bytes("chunks"))?,
    ];
    let of_intervals = |granularity: Granularity| {
        let sql = format!(
            "SELECT count(*), count(*), 0, min(start), max(start) FROM rollups WHERE seconds = {}",
            granularity.seconds()
        );
        tier(db, Tier::Rolled(granularity), &sql, 0)
    };
    let mut intervals = Granularity::ALL
        .into_iter()
        .skip(1)
        .map(of_intervals)
        .collect::<rusqlite::Result<Vec<_>>>()?;
    share(&mut intervals, bytes("rollups"));
    tiers.append(&mut intervals);
    let events = "SELECT count(*), count(*), 0, min(sec), max(sec) FROM events";
    tiers.push(tier(db, Tier::Events, events, bytes("events"))?);
    let rates = rates(db)?;
    let maintained_to = series::value(db, "SELECT now FROM upkeep", [])?;
    transaction.finish()?;
    let stats = sizes(db, path, tiers, rates)?;
    Ok(Stats { maintained_to, ..stats })
}

/// Of a file of the original.
pub(super) fn original(db: &Connection, path: &Path) -> rusqlite::Result<Stats> {
    let transaction = db.unchecked_transaction()?;
    let mut tiers = Vec::new();
    for granularity in Granularity::ALL {
        let sql = format!(
            "SELECT count(*), count(*), 0, min(timestamp), max(timestamp) FROM metrics
             WHERE granularity = '{granularity}'"
        );
        let name =
            if granularity == Granularity::Raw { Tier::Hot } else { Tier::Rolled(granularity) };
        tiers.push(tier(db, name, &sql, 0)?);
    }
    share(&mut tiers, table_bytes(db)?.get("metrics").copied().unwrap_or(0));
    let mut rates = Vec::new();
    if let Some(TierStats { first: Some(first), last: Some(last), .. }) = tiers.first() {
        let mut count = db.prepare_cached(
            "SELECT wan_name, count(*) FROM metrics
             WHERE granularity = 'raw' AND timestamp > ?1 GROUP BY wan_name ORDER BY wan_name",
        )?;
        let span = (last - first + 1).min(RATE_SPAN);
        let rows = count.query_map([last - span], |row| {
            let samples_per_second = unsigned(row, 1)? as f64 / span as f64;
            Ok(Rate { wan_name: row.get(0)?, source: String::new(), samples_per_second })
        })?;
        rates = rows.collect::<rusqlite::Result<_>>()?;
    }
    transaction.finish()?;
    sizes(db, path, tiers, rates)
}

/// A tier by a query for rows, samples, chunks, the first second and the last one.
fn tier(db: &Connection, tier: Tier, sql: &str, bytes: u64) -> rusqlite::Result<TierStats> {
    let stats = |row: &Row<'_>| {
        Ok(TierStats {
            tier,
            rows: unsigned(row, 0)?,
            samples: unsigned(row, 1)?,
            chunks: unsigned(row, 2)?,
            first: row.get(3)?,
            last: row.get(4)?,
            bytes,
        })
    };
    db.prepare_cached(sql)?.query_row([], stats)
}

/// Shares the bytes of a table by rows.
fn share(tiers: &mut [TierStats], bytes: u64) {
    let rows: u64 = tiers.iter().map(|tier| tier.rows).sum();
    for tier in tiers {
        tier.bytes = (bytes as f64 * tier.rows as f64 / rows.max(1) as f64).round() as u64;
    }
}

/// The bytes of each table's pages, and of its indexes.
fn table_bytes(db: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut sum = db.prepare_cached(
        "SELECT s.tbl_name, sum(d.pgsize) FROM dbstat AS d JOIN sqlite_schema AS s ON s.name = d.name
         WHERE d.aggregate = true GROUP BY s.tbl_name",
    )?;
    sum.query_map([], |row| Ok((row.get(0)?, unsigned(row, 1)?)))?.collect()
}

fn rates(db: &Connection) -> rusqlite::Result<Vec<Rate>> {
    let mut rates: BTreeMap<(String, String), u64> = BTreeMap::new();
    let all = series::matching(db, &super::Query::default())?;
    let ends = series::extents(db, &all)?.into_iter().filter_map(|extent| extent.raw);
    let ends = ends.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
    let Some((first, last)) = ends else { return Ok(Vec::new()) };
    let last = last_of_today(db)?.unwrap_or(last);
    let span = (last - first + 1).clamp(1, RATE_SPAN);
    for one in all {
        let sql = format!(
            "SELECT count(v{}) FROM frames WHERE bundle_id = ?1 AND sec > ?2 AND sec <= ?3",
            one.position
        );
        let count = series::count(db, &sql, [one.bundle, last - span, last])?;
        let name = (one.name.wan_name.clone(), one.name.source.clone());
        *rates.entry(name).or_default() += count;
    }
    let rate = |((wan_name, source), count): (_, u64)| Rate {
        wan_name,
        source,
        samples_per_second: count as f64 / span as f64,
    };
    Ok(rates.into_iter().map(rate).collect())
}

/// The second of the newest row in `frames` that is not more than a day ahead of the clock: the others are
/// of a clock that was wrong.
fn last_of_today(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT max((SELECT sec FROM frames
                   WHERE bundle_id = bundles.id AND sec <= strftime('%s', 'now') + 86400
                   ORDER BY sec DESC LIMIT 1))
               FROM bundles";
    Ok(series::value::<Option<i64>>(db, sql, [])?.flatten())
}

fn sizes(
    db: &Connection,
    path: &Path,
    tiers: Vec<TierStats>,
    rates: Vec<Rate>,
) -> rusqlite::Result<Stats> {
    let pragma = |name| db.pragma_query_value(None, name, |row| unsigned(row, 0));
    let page = pragma("page_size")?;
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    Ok(Stats {
        file_bytes: size(path),
        log_bytes: size(&with_suffix(path, "-wal")),
        free_bytes: page * pragma("freelist_count")?,
        tiers,
        rates,
        maintained_to: None,
    })
}
