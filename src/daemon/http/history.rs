//! `/metrics/history`: rows of the history file as JSON, a page at a time.
//!
//! Queries wait their turn on a thread of their own, so that a long one delays neither `/health` nor
//! anything else. The file is opened for each: it may be another one by then.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use tracing::warn;
use wanctl_http::{Reply, Response, Status};
use wanctl_sink_sqlite::{Granularity, History, HistoryError, Query, Record};

use super::params::Params;
use super::{HistoryFile, refusal};

/// How many queries wait at most. Fewer than there may be connections, so that some are left for `/health`.
const WAITING: usize = 6;
const _: () = assert!(WAITING + 2 < wanctl_http::CONNECTIONS);

/// Where queries are left for the thread that answers them.
#[derive(Clone)]
pub(super) struct Queries(SyncSender<Asked>);

struct Asked {
    params: Params,
    reply: Reply,
}

impl Queries {
    /// Starts the thread. It ends with the last of these, but nobody waits for it: it only reads, and a
    /// query may take longer than a stop should.
    pub(super) fn new(file: HistoryFile) -> Self {
        let (queries, asked) = sync_channel(WAITING);
        let thread = thread::Builder::new().name("history".to_owned());
        if let Err(error) = thread.spawn(move || work(&asked, &file)) {
            warn!(%error, "The history has no thread; queries for it are refused.");
        }
        Queries(queries)
    }

    /// Answers what can be answered at once, and leaves the rest to the thread.
    pub(super) fn answer(&self, query: &str, now: i64, reply: Reply) {
        let params = match Params::read(query, now, &TimeZone::system()) {
            Ok(params) => params,
            Err(message) => return reply.send(refusal(Status::BadRequest, &message)),
        };
        let (asked, message) = match self.0.try_send(Asked { params, reply }) {
            Ok(()) => return,
            Err(TrySendError::Full(asked)) => (asked, "too many queries wait; try again later"),
            Err(TrySendError::Disconnected(asked)) => (asked, "the history has no thread"),
        };
        asked.reply.send(refusal(Status::Unavailable, message));
    }
}

fn work(asked: &Receiver<Asked>, file: &HistoryFile) {
    for Asked { params, reply } in asked {
        let response = match file.path() {
            Some(path) => page(&path, params)
                .unwrap_or_else(|error| refusal(Status::Unavailable, &error.to_string())),
            None => refusal(Status::Unavailable, "nothing is recorded to SQLite"),
        };
        reply.send(response);
    }
}

/// One page. A file that is not there yet has no rows, as the file of a program that has just begun.
fn page(path: &Path, params: Params) -> Result<Response, HistoryError> {
    let query = Query {
        from: params.from,
        to: params.to,
        metrics: params.metrics.clone(),
        wan: params.wan.clone(),
        limit: Some(params.limit),
        offset: params.offset,
        ..Query::default()
    };
    let (total_count, records) = match History::open(path) {
        Ok(history) => (history.count(&query)?, history.query(&query)?),
        Err(HistoryError::Missing { .. }) => (0, Vec::new()),
        Err(error) => return Err(error),
    };
    let page = Page {
        data: records.iter().map(Row::of).collect(),
        metadata: Metadata {
            total_count,
            returned_count: records.len(),
            granularity: granularity(&records, &params),
            limit: params.limit,
            offset: params.offset,
            source: path,
            query: Asking {
                start: utc(params.from),
                end: utc(params.to),
                metrics: Some(params.metrics).filter(|metrics| !metrics.is_empty()),
                wan: params.wan,
            },
        },
    };
    Ok(match serde_json::to_vec_pretty(&page) {
        Ok(body) => Response::json(Status::Ok, body),
        Err(error) => refusal(Status::InternalError, &error.to_string()),
    })
}

/// The granularity of a page: `mixed` if its rows have several, and what suits the range if there is none.
/// Events don't count, because they have the finest whatever is asked for.
fn granularity(records: &[Record], params: &Params) -> &'static str {
    let mut samples = records.iter().filter(|record| !record.is_event).map(|one| one.granularity);
    match samples.next() {
        None => Granularity::for_span(params.to.saturating_sub(params.from)).as_str(),
        Some(first) if samples.all(|other| other == first) => first.as_str(),
        Some(_) => "mixed",
    }
}

/// The whole answer.
#[derive(Serialize)]
struct Page<'a> {
    data: Vec<Row<'a>>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Row<'a> {
    timestamp: String,
    wan_name: &'a str,
    metric_name: &'a str,
    value: f64,
    labels: Option<&'a str>,
    granularity: &'static str,
    source: &'a str,
    micros: u32,
}

#[derive(Serialize)]
struct Metadata<'a> {
    total_count: u64,
    returned_count: usize,
    granularity: &'static str,
    limit: u64,
    offset: u64,
    source: &'a Path,
    query: Asking,
}

#[derive(Serialize)]
struct Asking {
    start: String,
    end: String,
    metrics: Option<Vec<String>>,
    wan: Option<String>,
}

impl<'a> Row<'a> {
    fn of(record: &'a Record) -> Self {
        Row {
            timestamp: utc(record.timestamp),
            wan_name: &record.series.wan_name,
            metric_name: &record.series.metric_name,
            value: record.value,
            labels: record.series.labels.as_deref(),
            granularity: record.granularity.as_str(),
            source: &record.series.source,
            micros: record.micros,
        }
    }
}

/// Whole seconds of Unix time in ISO 8601; of a time that no calendar has, the nearest that it has.
fn utc(seconds: i64) -> String {
    let seconds = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let instant = Timestamp::from_second(seconds).unwrap_or_default();
    instant.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_yet_has_no_rows() {
        let folder = tempfile::tempdir().unwrap();
        let params = Params::read("range=1d", 0, &TimeZone::UTC).unwrap();
        let response = page(&folder.path().join("history.db"), params).unwrap();
        assert_eq!(response.status, Status::Ok);
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["data"], serde_json::json!([]));
        assert_eq!(body["metadata"]["granularity"], "5m");
        assert_eq!(body["metadata"]["query"]["start"], "1969-12-31T00:00:00+00:00");
    }

    #[test]
    fn times_beyond_the_calendar_are_its_ends() {
        assert_eq!(utc(0), "1970-01-01T00:00:00+00:00");
        assert!(utc(i64::MIN).starts_with("-9999-01-02T"), "{}", utc(i64::MIN));
        assert!(utc(i64::MAX).starts_with("9999-12-30T"), "{}", utc(i64::MAX));
    }
}
