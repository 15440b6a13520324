//! Rows, hot and sealed, in order and in pages.

use super::fixture::*;
use crate::history::{History, HistoryError, Order, Query, Record, Rows};

/// 20 Hz for some seconds: values 0, 1, 2, … hundredths, and a state.
fn steady(file: &File, bundle: i64, from: i64, to: i64) {
    let transaction = file.db.unchecked_transaction().unwrap();
    for row in from * 20..to * 20 {
        file.frames(bundle, &[(row * 50_000, &[Some(row), Some(row / 40 % 3)])]);
    }
    transaction.commit().unwrap();
}

fn in_pages(history: &History, query: &Query, size: u64) -> Vec<Record> {
    let mut all = Vec::new();
    loop {
        let page = Query { limit: Some(size), offset: all.len() as u64, ..query.clone() };
        let page = history.query(&page).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

#[test]
fn hot_and_sealed_rows_are_one_history_in_both_orders() {
    let mut file = File::new();
    let bundle = file.bundle(&["rtt", "state:mode"]);
    steady(&file, bundle, 0, 300);
    let before = file.history().query(&everything()).unwrap();
    assert_eq!(before.len(), 2 * 6000);
    assert_eq!(values(&before)[2..4], [(50_000, 0.01), (50_000, 0.0)]);

    file.seal(bundle, 10, 60);
    file.seal(bundle, 60, 61);
    file.seal(bundle, 100, 200);
    let history = file.history();
    assert_eq!(history.query(&everything()).unwrap(), before);
    assert_eq!(history.count(&everything()).unwrap(), 12_000);

    let backwards = Query { order: Order::NewestFirst, ..everything() };
    let mut expected = before.clone();
    // Rows of an instant keep the order of their names.
    expected.reverse();
    expected.chunks_mut(2).for_each(|pair| pair.reverse());
    assert_eq!(history.query(&backwards).unwrap(), expected);

    for query in [everything(), backwards] {
        let whole = history.query(&query).unwrap();
        assert_eq!(in_pages(&history, &query, 997), whole);
        for (from, to) in [(0, 0), (9, 10), (59, 60), (99, 205), (150, 151), (300, 400)] {
            let part = Query { from: START + from, to: START + to, ..query.clone() };
            let inside = |record: &&Record| (part.from..=part.to).contains(&record.timestamp);
            let expected: Vec<Record> = whole.iter().filter(inside).cloned().collect();
            assert_eq!(history.query(&part).unwrap(), expected, "{from} to {to}");
            assert_eq!(history.count(&part).unwrap(), expected.len() as u64, "{from} to {to}");
        }
    }
}

#[test]
fn an_offset_leaves_out_whole_chunks_but_not_a_row_more() {
    let mut file = File::new();
    let bundle = file.bundle(&["rtt", "state:mode"]);
    steady(&file, bundle, 0, 100);
    for from in (0..80).step_by(10) {
        file.seal(bundle, from, from + 10);
    }
    file.frames(bundle, &[(25_010_000, &[Some(1), None])]);
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for metrics in [vec![], vec!["state".to_owned()]] {
            let query = Query { order, metrics, ..everything() };
            let whole = file.history().query(&query).unwrap();
            for offset in (0..whole.len()).step_by(33).chain([400, 800, 1200, 4000, 5000]) {
                let part = Query { offset: offset as u64, limit: Some(3), ..query.clone() };
                let expected: Vec<_> = whole.iter().skip(offset).take(3).cloned().collect();
                assert_eq!(file.history().query(&part).unwrap(), expected, "{offset}");
            }
        }
    }
}

#[test]
fn late_rows_are_merged_into_their_chunk_whose_own_rows_win() {
    let file = File::new();
    let bundle = file.bundle(&["rtt", "state"]);
    file.chunk(bundle, &[(0, &[Some(100)]), (2_000_000, &[Some(300)]), (4_000_000, &[Some(500)])]);
    file.frames(
        bundle,
        &[
            (-1_000_000, &[Some(50)]),
            (1_500_000, &[Some(250)]),
            (2_000_000, &[Some(999), Some(7)]),
            (4_000_001, &[Some(501)]),
            (9_000_000, &[Some(900)]),
        ],
    );
    let expected = [
        (-1_000_000, 0.5),
        (0, 1.0),
        (1_500_000, 2.5),
        (2_000_000, 3.0),
        // What the sealed row lacked.
        (2_000_000, 0.07),
        (4_000_000, 5.0),
        (4_000_001, 5.01),
        (9_000_000, 9.0),
    ];
    let history = file.history();
    assert_eq!(values(&history.query(&everything()).unwrap()), expected);
    assert_eq!(history.count(&everything()).unwrap(), 8);
    let mut backwards =
        values(&history.query(&Query { order: Order::NewestFirst, ..everything() }).unwrap());
    backwards.reverse();
    backwards.swap(3, 4);
    assert_eq!(backwards, expected);
    assert_eq!(history.newest().unwrap(), Some((START + 9, 0)));
    assert_eq!(history.oldest().unwrap(), Some((START - 1, 0)));
}

#[test]
fn samples_that_are_missing_from_a_row_are_no_rows() {
    let mut file = File::new();
    let bundle = file.bundle(&["a", "b", "c"]);
    file.frames(
        bundle,
        &[
            (0, &[Some(1), None, Some(3)]),
            (1_000_000, &[None, Some(5), None]),
            (2_000_000, &[None, None, Some(9)]),
        ],
    );
    for _ in 0..2 {
        let history = file.history();
        let all = history.query(&everything()).unwrap();
        assert_eq!(
            brief(&all).iter().map(|(at, _, name, _)| (*at, *name)).collect::<Vec<_>>(),
            [(0, "a"), (0, "c"), (1_000_000, "b"), (2_000_000, "c")]
        );
        let one = Query { metrics: vec!["b".into()], ..everything() };
        assert_eq!(history.count(&one).unwrap(), 1);
        assert_eq!(history.count(&everything()).unwrap(), 4);
        file.seal(bundle, 0, 3);
    }
}

#[test]
fn a_reader_half_way_through_misses_nothing_that_is_sealed_and_sees_nothing_twice() {
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut file = File::new();
        let bundle = file.bundle(&["rtt", "state:mode"]);
        steady(&file, bundle, 0, 200);
        let query = Query { order, ..everything() };
        let expected = file.history().query(&query).unwrap();
        let history = file.history();
        let mut records = history.records(&query).unwrap();
        let mut read = Vec::new();
        for step in 0..20 {
            read.extend(records.by_ref().take(300).map(Result::unwrap));
            file.seal(bundle, step * 10, step * 10 + 10);
        }
        read.extend(records.map(Result::unwrap));
        assert_eq!(read, expected, "{order:?}");
        // The log could have been emptied at any time: no transaction stayed open.
        let busy: i64 =
            file.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        assert_eq!(busy, 0);
    }
}

#[test]
fn a_reader_that_is_not_finished_holds_nothing() {
    let file = File::new();
    let bundle = file.bundle(&["rtt", "state:mode"]);
    steady(&file, bundle, 0, 100);
    let history = file.history();
    let mut records = history.records(&everything()).unwrap();
    records.next().unwrap().unwrap();
    steady(&file, bundle, 100, 101);
    let busy: i64 =
        file.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0);
    assert_eq!(records.count(), 2 * 101 * 20 - 1);
}

#[test]
fn rows_of_one_instant_come_in_the_order_of_their_names_whatever_they_are() {
    let file = File::new();
    let (one, other) = (file.bundle(&["b", "d"]), file.bundle(&["a", "c"]));
    for bundle in [one, other] {
        file.frames(bundle, &[(0, &[Some(1), Some(2)]), (1, &[Some(3), Some(4)])]);
    }
    for (at, name) in [(0, "e"), (0, "aa"), (1, "bb")] {
        file.event(at, name, r#"{"reason":"x"}"#);
    }
    let names = |query: &Query| -> String {
        let records = file.history().query(query).unwrap();
        records.iter().map(|r| r.series.metric_name.clone()).collect::<Vec<_>>().join(" ")
    };
    let (first, second) = ("a aa b c d e", "a b bb c d");
    assert_eq!(names(&everything()), format!("{first} {second}"));
    let backwards = Query { order: Order::NewestFirst, ..everything() };
    assert_eq!(names(&backwards), format!("{second} {first}"));
    assert_eq!(names(&Query { rows: Rows::Events, ..everything() }), "aa e bb");
    assert_eq!(names(&Query { rows: Rows::Samples, ..everything() }), "a b c d a b c d");
    assert_eq!(names(&Query { offset: 4, limit: Some(3), ..everything() }), "d e a");
    assert_eq!(file.history().count(&Query { limit: Some(1), ..everything() }).unwrap(), 11);
}

#[test]
fn labels_source_and_wan_are_matched_as_a_whole() {
    let file = File::new();
    let bundle = file.bundle(&[
        r#"state{"direction":"download"}"#,
        r#"state{"direction":"upload"}"#,
        "state",
    ]);
    file.frames(bundle, &[(0, &[Some(1), Some(2), Some(3)])]);
    file.event(1, "state", r#"{"direction":"upload","reason":"delta 5","code":3}"#);
    let history = file.history();
    let count = |query: Query| history.count(&query).unwrap();
    let label = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    let upload = Query { labels: label("direction", "upload"), ..everything() };
    assert_eq!(count(upload.clone()), 2);
    assert_eq!(history.query(&upload).unwrap().len(), 2);
    assert_eq!(count(Query { labels: label("direction", "up"), ..everything() }), 0);
    assert_eq!(count(Query { labels: label("code", "3"), ..everything() }), 1);
    assert_eq!(count(Query { wan: Some("wan1".into()), ..everything() }), 4);
    assert_eq!(count(Query { wan: Some("wan".into()), ..everything() }), 0);
    assert_eq!(count(Query { source: Some("autorate".into()), ..everything() }), 4);
    assert_eq!(count(Query { source: Some("steering".into()), ..everything() }), 0);
    assert_eq!(count(Query { metrics: vec!["stat".into()], ..everything() }), 0);
}

#[test]
fn more_events_than_a_page_at_one_instant_are_all_read_once() {
    let file = File::new();
    let transaction = file.db.unchecked_transaction().unwrap();
    for number in 0..3000 {
        file.event(number / 1500, "state", &format!(r#"{{"reason":"{number:04}"}}"#));
    }
    transaction.commit().unwrap();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let records = file.history().query(&Query { order, ..everything() }).unwrap();
        let mut labels: Vec<_> = records.iter().map(|r| r.series.labels.clone()).collect();
        assert_eq!(labels.len(), 3000);
        labels.sort();
        labels.dedup();
        assert_eq!(labels.len(), 3000);
    }
}

#[test]
fn what_a_damaged_chunk_had_is_left_out_everywhere_and_its_time_is_told_once() {
    let mut file = File::new();
    let bundle = file.bundle(&["rtt", "state:mode"]);
    steady(&file, bundle, 0, 30);
    file.seal(bundle, 0, 10);
    file.seal(bundle, 10, 20);
    // A row that came too late for the chunk.
    file.frames(bundle, &[(15_000_000, &[Some(7)])]);
    let history = file.history();
    let whole = history.query(&everything()).unwrap();
    assert_eq!(history.damaged(), []);
    file.db.execute("UPDATE chunks SET data = zeroblob(50) WHERE id = 2", []).unwrap();
    let lost = (START + 10, START + 19);
    let is_late = |row: &Record| row.timestamp == START + 15 && row.micros == 0;
    let mut left = whole.clone();
    left.retain(|row| {
        let is_lost = (lost.0..=lost.1).contains(&row.timestamp);
        !is_lost || (is_late(row) && row.series.metric_name == "rtt")
    });
    for row in left.iter_mut().filter(|row| is_late(row)) {
        row.value = 0.07;
    }
    assert_eq!(left.len(), 801);
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut found = in_pages(&history, &Query { order, ..everything() }, 190);
        found.sort_by_key(|row| (row.timestamp, row.micros, row.series.clone()));
        assert_eq!(found, left);
    }
    assert_eq!(history.count(&everything()).unwrap(), 801);
    let samples: Vec<u64> =
        history.summary(&everything()).unwrap().iter().map(|one| one.samples).collect();
    assert_eq!(samples, [401, 400]);
    assert_eq!(history.damaged(), [lost]);
}

#[test]
fn the_ends_are_those_of_what_can_be_read() {
    let mut file = File::new();
    let bundle = file.bundle(&["rtt"]);
    steady(&file, bundle, 0, 30);
    for from in [0, 10, 20] {
        file.seal(bundle, from, from + 10);
    }
    file.db.execute("UPDATE chunks SET data = zeroblob(50) WHERE id <> 2", []).unwrap();
    let history = file.history();
    assert_eq!(history.oldest().unwrap(), Some((START + 10, 0)));
    assert_eq!(history.newest().unwrap(), Some((START + 19, 950_000)));
    assert_eq!(history.damaged(), [(START, START + 9), (START + 20, START + 29)]);
}

#[test]
fn an_empty_file_has_no_rows_and_no_ends() {
    let file = File::new();
    file.bundle(&["rtt"]);
    let history = file.history();
    assert_eq!(history.query(&Query::default()).unwrap(), []);
    assert_eq!(history.count(&Query::default()).unwrap(), 0);
    assert_eq!(history.summary(&Query::default()).unwrap(), []);
    assert_eq!((history.oldest().unwrap(), history.newest().unwrap()), (None, None));
}

#[test]
fn a_file_of_another_version_is_refused_by_name() {
    let file = File::new();
    file.db.pragma_update(None, "user_version", 99).unwrap();
    let error = History::open(file.path()).unwrap_err();
    assert!(matches!(error, HistoryError::Version { version: 99, .. }));
    assert!(error.to_string().contains("schema version 99; accepted: "), "{error}");
}
