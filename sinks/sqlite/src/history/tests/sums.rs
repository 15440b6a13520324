//! Summaries of rows, hot, sealed and rolled up.

use super::fixture::*;
use crate::history::{
    Granularity, Query, SeriesSummary, StateShare, Statistics, Summary, Tiers, summary,
};

fn numbers(summary: &SeriesSummary) -> Summary {
    match &summary.statistics {
        Statistics::Numbers(numbers) => *numbers,
        Statistics::States(states) => panic!("{states:?}"),
    }
}

fn shares(summary: &SeriesSummary) -> Vec<(f64, f64, f64)> {
    match &summary.statistics {
        Statistics::Numbers(numbers) => panic!("{numbers:?}"),
        Statistics::States(states) => {
            let share = |s: &StateShare| (s.value, round(s.share), round(s.seconds));
            states.iter().map(share).collect()
        }
    }
}

fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn one(file: &File, query: &Query) -> SeriesSummary {
    let mut all = file.history().summary(query).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn sealed_and_hot_rows_come_to_what_all_their_values_come_to() {
    let mut file = File::new();
    let bundle = file.bundle(&["rtt"]);
    let transaction = file.db.unchecked_transaction().unwrap();
    // A permutation of 0 to 1999 hundredths.
    let value = |row: i64| (row * 1237 + 11) % 2000;
    for row in 0..2000 {
        file.frames(bundle, &[(row * 50_000, &[Some(value(row))])]);
    }
    transaction.commit().unwrap();
    let all: Vec<f64> = (0..2000).map(|row| value(row) as f64 / 100.0).collect();
    for _ in 0..2 {
        let found = one(&file, &everything());
        assert_eq!((numbers(&found), found.samples), (summary(&all).unwrap(), 2000));
        let part = Query { from: START + 20, to: START + 39, ..everything() };
        assert_eq!(numbers(&one(&file, &part)), summary(&all[400..800]).unwrap());
        file.seal(bundle, 15, 30);
        file.seal(bundle, 30, 50);
    }
}

#[test]
fn percentiles_of_few_and_many_values_are_those_of_a_sorted_list() {
    for count in (1..260).chain([1000, 4096, 9999]) {
        let values: Vec<f64> = (0..count).map(|at| f64::from((at * 7919) % 1009) / 8.0).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let expected = |percent: usize| {
            if sorted.len() < 2 {
                return sorted[0];
            }
            let position = percent * (sorted.len() + 1);
            let upper = (position / 100).clamp(1, sorted.len() - 1);
            let weight = position as f64 - 100.0 * upper as f64;
            (sorted[upper - 1] * (100.0 - weight) + sorted[upper] * weight) / 100.0
        };
        let found = summary(&values).unwrap();
        assert_eq!([found.p50, found.p95, found.p99], [50, 95, 99].map(expected), "{count}");
        assert_eq!((found.min, found.max), (sorted[0], sorted[sorted.len() - 1]));
    }
}

#[test]
fn intervals_have_the_percentiles_of_their_means_and_the_extremes_of_their_samples() {
    let file = File::new();
    file.bundle(&["rtt"]);
    for minute in 0..10 {
        let count = if minute == 0 { 300 } else { 1200 };
        file.rollup(60, 1, minute * 60, minute as f64, count);
    }
    let found = one(&file, &Query { tiers: Tiers::Only(Granularity::Minute), ..everything() });
    let means: Vec<f64> = (0..10).map(f64::from).collect();
    let plain = summary(&means).unwrap();
    assert_eq!(found.samples, 10);
    let found = numbers(&found);
    assert_eq!([found.p50, found.p95, found.p99], [plain.p50, plain.p95, plain.p99]);
    assert_eq!((found.min, found.max), (-1.0, 10.0));
    assert_eq!(round(found.avg), round(45.0 * 1200.0 / (9.0 * 1200.0 + 300.0)));
}

#[test]
fn a_few_raw_rows_do_not_outweigh_the_intervals_before_them() {
    let file = File::new();
    let bundle = file.bundle(&["rtt"]);
    for minute in 0..60 {
        file.rollup(60, 1, minute * 60, 10.0, 1200);
    }
    let sql = "UPDATE bundles SET rolled_to = ?1, raw_from = ?1";
    file.db.execute(sql, [START + 3600]).unwrap();
    for row in 0..100 {
        file.frames(bundle, &[(3_600_000_000 + row * 50_000, &[Some(9000)])]);
    }
    let found = numbers(&one(&file, &everything()));
    assert_eq!((found.p50, found.p99, found.max), (10.0, 10.0, 90.0));
    assert_eq!(round(found.avg), round((72_000.0 * 10.0 + 100.0 * 90.0) / 72_100.0));
}

#[test]
fn a_state_lasts_until_the_next_value_but_not_through_a_gap() {
    let mut file = File::new();
    let bundle = file.bundle(&["state:mode"]);
    let rows = [(0, 0), (1, 0), (2, 1), (3, 1), (4, 3), (104, 0), (105, 0)];
    for (second, state) in rows {
        file.frames(bundle, &[(second * 1_000_000, &[Some(state)])]);
    }
    // 2 s of 0, 2 s of 1, 10 s of 3 with 90 unknown, then 1 s of 0 and 1 s for the last value.
    let expected =
        [(0.0, round(4.0 / 16.0), 4.0), (1.0, 0.125, 2.0), (3.0, round(10.0 / 16.0), 10.0)];
    for _ in 0..2 {
        let found = one(&file, &everything());
        assert_eq!((shares(&found), found.samples), (expected.to_vec(), 7));
        file.seal(bundle, 0, 50);
    }
    let ended = one(&file, &Query { to: START + 1, ..everything() });
    assert_eq!(shares(&ended), [(0.0, 1.0, 2.0)]);
}

#[test]
fn a_slow_series_may_have_long_intervals_without_a_gap() {
    let file = File::new();
    let bundle = file.bundle(&["state:mode"]);
    for (minute, state) in [(0, 0), (1, 1), (2, 1), (6, 2)] {
        file.frames(bundle, &[(minute * 60_000_000, &[Some(state)])]);
    }
    let found = one(&file, &everything());
    assert_eq!(
        shares(&found),
        [
            (0.0, round(60.0 / 420.0), 60.0),
            (1.0, round(300.0 / 420.0), 300.0),
            (2.0, round(60.0 / 420.0), 60.0)
        ]
    );
}

#[test]
fn one_value_of_a_state_is_the_whole_of_it() {
    let file = File::new();
    let bundle = file.bundle(&["state:mode"]);
    file.frames(bundle, &[(0, &[Some(2)])]);
    assert_eq!(shares(&one(&file, &everything())), [(2.0, 1.0, 0.0)]);
}

#[test]
fn intervals_of_a_state_give_each_code_its_part_of_the_samples() {
    let file = File::new();
    file.bundle(&["state:mode"]);
    for (minute, count, states) in [
        (0, 1200, Some(r#"{"0":1200}"#)),
        (1, 1200, Some(r#"{"0":300,"3":900}"#)),
        // Half the minute is missing.
        (2, 600, Some(r#"{"1":600}"#)),
        // An imported one.
        (3, 1200, None),
    ] {
        file.rollup(60, 1, minute * 60, 3.0, count);
        let set = "UPDATE rollups SET states = ? WHERE start = ?";
        file.db.execute(set, rusqlite::params![states, START + minute * 60]).unwrap();
    }
    let found = one(&file, &Query { tiers: Tiers::Only(Granularity::Minute), ..everything() });
    assert_eq!(found.samples, 4);
    assert_eq!(
        shares(&found),
        [
            (0.0, round(75.0 / 210.0), 75.0),
            (1.0, round(30.0 / 210.0), 30.0),
            (3.0, round(105.0 / 210.0), 105.0)
        ]
    );
}

#[test]
fn an_interval_with_one_sample_counts_no_more_than_that() {
    let file = File::new();
    file.bundle(&["rtt", "state:mode"]);
    for (minute, value, count) in [(0, 10.0, 1), (1, 20.0, 1200), (2, 30.0, 1200)] {
        file.rollup(60, 1, minute * 60, value, count);
        file.rollup(60, 2, minute * 60, value, count);
    }
    let minutes = Query { tiers: Tiers::Only(Granularity::Minute), ..everything() };
    let found = file.history().summary(&minutes).unwrap();
    assert_eq!(numbers(&found[0]).avg, (10.0 + 20.0 * 1200.0 + 30.0 * 1200.0) / 2401.0);
    let round = |share: f64| (share * 1e4).round() / 1e4;
    let lasted = shares(&found[1]);
    assert_eq!(lasted.len(), 3);
    assert_eq!(lasted.iter().map(|state| state.2).collect::<Vec<_>>(), [0.05, 60.0, 60.0]);
    assert_eq!(round(lasted[0].1), 0.0004);
}

#[test]
fn a_minute_that_came_twice_lasts_a_minute_and_makes_no_other_shorter() {
    let file = File::new();
    let bundle = file.bundle(&["rtt", "state:mode"]);
    // The clock was set back in the fifth minute. The last one is still raw.
    for minute in 0..9 {
        let (value, count) = if minute == 4 { (500.0, 120) } else { (1.0, 60) };
        file.rollup(60, 1, minute * 60, value, count);
        file.rollup(60, 2, minute * 60, value, count);
    }
    let set =
        "UPDATE rollups SET states = '{\"1\":90,\"3\":30}' WHERE series_id = 2 AND count = 120";
    file.db.execute(set, []).unwrap();
    let found = file.history().summary(&everything()).unwrap();
    assert_eq!(numbers(&found[0]).avg, (8.0 + 500.0) / 9.0);
    assert_eq!(
        shares(&found[1]),
        [(1.0, round(525.0 / 540.0), 525.0), (3.0, round(15.0 / 540.0), 15.0)]
    );
    file.db.execute("UPDATE bundles SET rolled_to = ?1, raw_from = ?1", [START + 540]).unwrap();
    for second in 540..600 {
        file.frames(bundle, &[(second * 1_000_000, &[Some(100), Some(1)])]);
    }
    let found = file.history().summary(&everything()).unwrap();
    assert_eq!(numbers(&found[0]).avg, (9.0 + 500.0) / 10.0);
    assert_eq!(numbers(&found[0]).p95, 500.0);
    assert_eq!(shares(&found[1])[0].2, 585.0);
}

#[test]
fn events_are_not_summed_up() {
    let file = File::new();
    let bundle = file.bundle(&["rtt"]);
    file.frames(bundle, &[(0, &[Some(100)])]);
    file.event(0, "rtt", r#"{"reason":"x"}"#);
    let found = one(&file, &everything());
    assert_eq!((found.samples, numbers(&found).avg), (1, 1.0));
}
