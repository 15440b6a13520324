//! What a file costs, and what is wrong with one.

use super::fixture::*;
use crate::history::{Granularity, Problem, Tier, VerifyStep};

fn problems(file: &File) -> Vec<String> {
    file.history().verify(&mut |_| {}).unwrap().iter().map(ToString::to_string).collect()
}

/// Ten minutes of a level and a state, five of them sealed, all but the last rolled up.
fn sound() -> File {
    let mut file = File::new();
    let bundle = file.bundle(&["rtt", "state:mode"]);
    for second in 0..600 {
        file.frames(bundle, &[(second * 1_000_000, &[Some(second), Some(second / 60 % 2)])]);
    }
    for minute in 0..9 {
        let [first, last] = [minute * 60, minute * 60 + 59].map(|at| at as f64 / 100.0);
        file.interval(60, 1, minute * 60, [(first + last) / 2.0, first, last], 60);
        let state = (minute % 2) as f64;
        file.interval(60, 2, minute * 60, [state; 3], 60);
    }
    file.interval(300, 1, 0, [1.495, 0.0, 2.99], 300);
    file.interval(300, 2, 0, [0.0, 0.0, 1.0], 300);
    file.db.execute("UPDATE bundles SET rolled_to = ?", [START + 540]).unwrap();
    file.seal(bundle, 0, 200);
    file.seal(bundle, 200, 300);
    file
}

#[test]
fn nothing_is_wrong_with_a_sound_file_and_every_step_comes_to_its_end() {
    let file = sound();
    let mut seen = Vec::new();
    let found = file.history().verify(&mut |progress| seen.push(progress)).unwrap();
    assert_eq!(found, []);
    let steps =
        [VerifyStep::Structure, VerifyStep::Chunks, VerifyStep::Minutes, VerifyStep::Intervals];
    for step in steps {
        let last = seen.iter().rev().find(|progress| progress.step == step).unwrap();
        assert!(last.total > 0 && last.done == last.total, "{last:?}");
    }
}

#[test]
fn each_problem_is_found_and_named() {
    for (damage, expected) in [
        (
            "UPDATE chunks SET data = zeroblob(99), bundle_id = -1 WHERE id = 1",
            "chunk 1 of rtt, state wan1 autorate, 1769299200 to 1769299399: can't be read: ",
        ),
        (
            "UPDATE chunks SET data = zeroblob(99), bundle_id = 9 WHERE id = 1",
            "chunk 1 of bundle 9, 1769299200 to 1769299399: can't be read: ",
        ),
        (
            "UPDATE chunks SET frames = 7 WHERE id = 1",
            "chunk 1 of rtt, state wan1 autorate, 1769299200 to 1769299399: frames is 7, but the chunk has 200",
        ),
        (
            "UPDATE chunks SET samples = 7 WHERE id = 2",
            "chunk 2 of rtt, state wan1 autorate, 1769299400 to 1769299499: samples is 7, but the chunk has 200",
        ),
        (
            "UPDATE chunks SET first_sec = first_sec - 1 WHERE id = 2",
            "chunk 2 of rtt, state wan1 autorate, 1769299399 to 1769299499: first_sec is ",
        ),
        (
            "UPDATE chunks SET first_sec = first_sec - 1 WHERE id = 2",
            "chunk 1 of rtt, state wan1 autorate, 1769299200 to 1769299399, and chunk 2 of rtt, state wan1 autorate, 1769299399 to 1769299499: they are of the same time",
        ),
        (
            "INSERT INTO frames (bundle_id, sec, us, v0) VALUES (1, 1769299205, 0, 999)",
            "rtt wan1 autorate: two values at 1769299205.000000, 0.05 sealed and 9.99 not sealed",
        ),
        (
            "UPDATE rollups SET start = start + 1 WHERE start = 1769299680 AND series_id = 1",
            "rtt wan1 autorate: an interval of 1m begins at 1769299681",
        ),
        (
            "DELETE FROM rollups WHERE start = 1769299680 AND series_id = 2",
            "state wan1 autorate: the interval of 1m at 1769299680 is missing",
        ),
        (
            "UPDATE rollups SET value = 1.5 WHERE start = 1769299260 AND series_id = 1",
            "rtt wan1 autorate: value of the interval of 1m at 1769299260 is 1.5, but its rows come to 0.89",
        ),
        (
            "UPDATE rollups SET value = 1 WHERE start = 1769299320 AND series_id = 2",
            "state wan1 autorate: value of the interval of 1m at 1769299320 is 1, but its rows come to 0",
        ),
        (
            "UPDATE rollups SET count = 299 WHERE seconds = 300 AND series_id = 1",
            "rtt wan1 autorate: count of the interval of 5m at 1769299200 is 299, but its rows come to 300",
        ),
        (
            "UPDATE rollups SET max = 3 WHERE seconds = 300 AND series_id = 1",
            "rtt wan1 autorate: max of the interval of 5m at 1769299200 is 3, but its rows come to 2.99",
        ),
    ] {
        let file = sound();
        assert_eq!(file.db.execute(damage, []).unwrap(), 1, "{damage}");
        let found = problems(&file);
        assert!(found.iter().any(|one| one.starts_with(expected)), "{damage}: {found:#?}");
    }
}

#[test]
fn rows_that_are_damaged_are_the_only_problem_of_their_time() {
    let file = sound();
    // As maintenance leaves it, with a later chunk of the same time.
    for damage in ["bundle_id = bundle_id", "bundle_id = -bundle_id", "last_sec = last_sec + 150"] {
        let sql = format!("UPDATE chunks SET data = zeroblob(99), {damage} WHERE id = 1");
        file.db.execute(&sql, []).unwrap();
        let found = problems(&file);
        assert!(found.len() == 1 && found[0].contains("can't be read"), "{damage}: {found:#?}");
    }
}

#[test]
fn a_minute_that_is_to_be_made_again_or_has_lost_rows_is_no_problem() {
    let file = sound();
    file.db.execute("DELETE FROM frames WHERE sec BETWEEN ?1 AND ?1 + 59", [START + 360]).unwrap();
    assert_eq!(problems(&file), [""; 0], "without raw rows there is nothing to compare");
    file.frames(1, &[(400_500_000, &[Some(1)])]);
    assert_ne!(problems(&file), [""; 0]);
    file.db.execute("INSERT INTO stale VALUES (1, ?)", [START + 360]).unwrap();
    assert_eq!(problems(&file), [""; 0]);
    file.db.execute("DELETE FROM stale", []).unwrap();
    file.db.execute("UPDATE bundles SET raw_from = ?", [START + 361]).unwrap();
    assert_eq!(problems(&file), [""; 0]);
}

#[test]
fn imported_intervals_of_which_only_the_value_is_known_are_no_problem() {
    let file = sound();
    for minute in -10..0 {
        file.interval(60, 1, minute * 60, [5.0; 3], 1);
    }
    file.interval(300, 1, -600, [5.0; 3], 1);
    file.interval(300, 1, -300, [5.0; 3], 1);
    assert_eq!(problems(&file), [""; 0]);
}

#[test]
fn no_more_problems_are_looked_for_than_anybody_reads() {
    let file = sound();
    let transaction = file.db.unchecked_transaction().unwrap();
    for number in 0..3000 {
        file.rollup(60, 1, 1_000_001 + number * 60, 1.0, 1);
    }
    transaction.commit().unwrap();
    let found = file.history().verify(&mut |_| {}).unwrap();
    assert_eq!(found.len(), 1000);
    assert!(matches!(found[0], Problem::OffBoundary { granularity: Granularity::Minute, .. }));
}

#[test]
fn stats_count_what_each_tier_holds() {
    let file = sound();
    file.event(0, "state", r#"{"reason":"x"}"#);
    let stats = file.history().stats().unwrap();
    let tiers: Vec<_> = stats
        .tiers
        .iter()
        .map(|t| (t.tier, t.rows, t.samples, t.chunks, t.first.map(|at| at - START)))
        .collect();
    assert_eq!(
        tiers,
        [
            (Tier::Hot, 300, 600, 0, Some(300)),
            (Tier::Sealed, 300, 600, 2, Some(0)),
            (Tier::Rolled(Granularity::Minute), 18, 18, 0, Some(0)),
            (Tier::Rolled(Granularity::FiveMinutes), 2, 2, 0, Some(0)),
            (Tier::Rolled(Granularity::Hour), 0, 0, 0, None),
            (Tier::Events, 1, 1, 0, Some(0)),
        ]
    );
    assert_eq!(stats.tiers[1].last, Some(START + 299));
    assert!(stats.tiers.iter().all(|tier| (tier.rows > 0) == (tier.bytes > 0)), "{stats:?}");
    assert!(stats.tiers[0].bytes_per_sample().unwrap() > 1.0);
    assert_eq!(stats.tiers[4].bytes_per_sample(), None);
    let sum: u64 = stats.tiers.iter().map(|tier| tier.bytes).sum();
    assert!(stats.log_bytes > 0 && sum < stats.file_bytes + stats.log_bytes, "{stats:?}");
    // Five hot minutes with two values a second, of the ten there are.
    let [rate] = &stats.rates[..] else { panic!("{:?}", stats.rates) };
    assert_eq!((rate.wan_name.as_str(), rate.source.as_str()), ("wan1", "autorate"));
    assert_eq!(rate.samples_per_second, 1.0);
    assert_eq!(stats.maintained_to, None);
}

#[test]
fn rows_of_a_clock_that_was_wrong_do_not_hide_the_rate_of_the_others() {
    let file = sound();
    file.frames(1, &[(4_000_000_000_000_000, &[Some(1)])]);
    let stats = file.history().stats().unwrap();
    assert_eq!(stats.rates[0].samples_per_second, 1.0);
}

#[test]
fn stats_say_up_to_when_the_file_is_maintained() {
    let file = sound();
    file.db.execute("INSERT INTO upkeep VALUES (1, ?)", [START]).unwrap();
    assert_eq!(file.history().stats().unwrap().maintained_to, Some(START));
}
