//! What answers where.

use proptest::prelude::*;

use super::fixture::*;
use crate::history::tiers::{Extent, Rolled, Segment, plan, wanted};
use crate::history::{Granularity, Order, Query, Tiers};

const ALL: [Granularity; 4] = Granularity::ALL;
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

fn query(tiers: Tiers) -> Query {
    Query { tiers, ..everything() }
}

/// Raw from second 7230 to 10 000, minutes from one hour on, five minutes and hours from the beginning;
/// rolled up to 9960.
fn aged() -> File {
    let file = File::new();
    let bundle = file.bundle(&["rtt"]);
    let transaction = file.db.unchecked_transaction().unwrap();
    for second in 7230..10_000 {
        file.frames(bundle, &[(second * 1_000_000, &[Some(second)])]);
    }
    for (seconds, from) in [(60, 3600), (300, 0), (3600, 0)] {
        for at in from / seconds..9960 / seconds {
            file.rollup(seconds, 1, at * seconds, at as f64, seconds);
        }
    }
    let sql = "UPDATE bundles SET rolled_to = ?1, raw_from = ?2";
    file.db.execute(sql, [START + 9960, START + 7230]).unwrap();
    transaction.commit().unwrap();
    file
}

/// First and last second of each run of rows of one tier.
fn runs(file: &File, query: &Query) -> Vec<(Granularity, i64, i64)> {
    let records = file.history().query(query).unwrap();
    let mut runs: Vec<(Granularity, i64, i64)> = Vec::new();
    for record in records {
        let at = record.timestamp - START;
        match runs.last_mut() {
            Some((granularity, _, last)) if *granularity == record.granularity => {
                let step = granularity.seconds().max(1);
                assert_eq!(at, *last + step, "a gap, or a row twice");
                *last = at;
            }
            _ => runs.push((record.granularity, at, at)),
        }
    }
    runs
}

#[test]
fn the_finest_there_is_at_each_time() {
    let expected = [
        (ALL[2], 0, 3300),
        (ALL[1], 3600, 7200),
        // The minute of 7200 lost its first half as raw.
        (ALL[0], 7260, 9999),
    ];
    assert_eq!(runs(&aged(), &query(Tiers::Finest)), expected);
}

#[test]
fn the_tier_that_suits_the_range_finer_at_the_new_end_and_coarser_at_the_old_one() {
    let file = aged();
    let raw_only = Query { from: START + 8000, ..query(Tiers::Auto) };
    assert_eq!(runs(&file, &raw_only), [(ALL[0], 8000, 9999)]);
    // The history is under three hours long, whatever is asked for.
    assert_eq!(runs(&file, &query(Tiers::Auto)), runs(&file, &query(Tiers::Finest)));
    assert_eq!(file.history().granularity(&query(Tiers::Auto)).unwrap(), ALL[0]);

    // A series two days older.
    file.bundle(&["old"]);
    file.rollup(3600, 2, -48 * HOUR, 1.0, 3600);
    assert_eq!(file.history().granularity(&query(Tiers::Auto)).unwrap(), ALL[2]);
    let rtt = Query { metrics: vec!["rtt".into()], from: START - 48 * HOUR, ..query(Tiers::Auto) };
    assert_eq!(file.history().granularity(&rtt).unwrap(), ALL[0]);
    let both = Query { from: START, ..query(Tiers::Auto) };
    assert_eq!(file.history().granularity(&both).unwrap(), ALL[0]);
}

#[test]
fn six_hours_are_six_hours_though_the_newest_row_is_a_second_old() {
    let extent = Extent { raw: Some((0, 999_999)), ..Extent::default() };
    let last = |seconds| Query { from: 1_000_000 - seconds, to: 1_000_000, ..Query::default() };
    assert_eq!(wanted(&last(6 * HOUR), &[extent]), ALL[1]);
    assert_eq!(wanted(&last(6 * HOUR - 1), &[extent]), ALL[0]);
    assert_eq!(wanted(&last(24 * HOUR), &[extent]), ALL[2]);
    assert_eq!(wanted(&last(7 * 24 * HOUR), &[extent]), ALL[3]);
    assert_eq!(wanted(&Query { to: i64::MAX, ..last(HOUR) }, &[extent]), ALL[0]);
}

#[test]
fn one_tier_only_is_that_and_the_events() {
    let file = aged();
    assert_eq!(runs(&file, &query(Tiers::Only(ALL[3]))), [(ALL[3], 0, 3600)]);
    assert_eq!(runs(&file, &query(Tiers::Only(ALL[1]))), [(ALL[1], 3600, 9900)]);
    assert_eq!(runs(&file, &query(Tiers::Only(ALL[0]))), [(ALL[0], 7230, 9999)]);
    file.event(0, "state", r#"{"reason":"x"}"#);
    let hours = file.history().query(&query(Tiers::Only(ALL[3]))).unwrap();
    assert_eq!(hours.iter().filter(|record| record.is_event).count(), 1);
    assert_eq!(file.history().count(&query(Tiers::Only(ALL[3]))).unwrap(), 3);
    let rolled = hours[0].rolled.unwrap();
    assert_eq!((rolled.min, rolled.max, rolled.count), (-1.0, 1.0, 3600));
}

#[test]
fn counts_and_pages_agree_with_rows_across_tiers() {
    let file = aged();
    for tiers in [Tiers::Auto, Tiers::Finest, Tiers::Only(ALL[1])] {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for from in [0, 3601, 7205, 9959, 9960] {
                let query = Query { from: START + from, order, ..query(tiers) };
                let history = file.history();
                let whole = history.query(&query).unwrap();
                assert_eq!(history.count(&query).unwrap(), whole.len() as u64);
                let page = Query { offset: 40, limit: Some(50), ..query };
                let expected: Vec<_> = whole.into_iter().skip(40).take(50).collect();
                assert_eq!(history.query(&page).unwrap(), expected);
            }
        }
    }
}

/// A history of some minutes, as maintenance leaves it: what has expired of each tier, and how far it is
/// rolled up.
#[derive(Clone, Copy, Debug)]
struct Aged {
    first: i64,
    now: i64,
    rolled_to: i64,
    expired: [i64; 4],
}

impl Aged {
    fn extent(self) -> Extent {
        let [raw, minute, five, hour] = self.expired;
        let rolled = |seconds: i64, expired: i64| {
            let start = self.first.div_euclid(seconds) * seconds;
            let start = start.max(expired.div_euclid(seconds) * seconds);
            let end = self.rolled_to.div_euclid(seconds) * seconds;
            (start < end).then_some(Rolled { start, end })
        };
        let first = self.first.max(raw);
        Extent {
            raw: (first <= self.now).then_some((first, self.now)),
            expired_to: raw,
            rolled: [rolled(60, minute), rolled(300, five), rolled(HOUR, hour)],
        }
    }
}

prop_compose! {
    fn aged_somehow()(
        first in 0..2 * HOUR,
        minutes in 1..4000i64,
        behind in 0..4i64,
        horizons in (0..5000i64, 0..60i64, 0..60i64),
    ) -> Aged {
        let now = first + minutes * MINUTE;
        let rolled_to = (now / MINUTE - behind) * MINUTE;
        let hour = |hours: i64| hours * HOUR;
        let (raw, minute, five) = horizons;
        // A coarser tier is kept for longer, and nothing goes that was not rolled up.
        let five = hour(five).min(rolled_to / HOUR * HOUR);
        let minute = hour(minute).min(rolled_to / HOUR * HOUR).max(five);
        let raw = (raw * MINUTE).min(rolled_to).max(minute);
        Aged { first, now, rolled_to, expired: [raw, minute, five, 0] }
    }
}

proptest! {
    #[test]
    fn no_gap_and_no_instant_twice(
        aged in aged_somehow(),
        tier in 0..4usize,
    ) {
        let segments = plan(Tiers::Auto, ALL[tier], &aged.extent());
        for pair in segments.windows(2) {
            prop_assert_eq!(pair[0].to + 1, pair[1].from, "{:?}", segments);
        }
        prop_assert_eq!((segments[0].from, segments[segments.len() - 1].to), (i64::MIN, i64::MAX));
        // Each second there was is in exactly one raw row or interval that exists.
        let mut covered = vec![0u8; (aged.now - aged.first + 1) as usize];
        for Segment { granularity, from, to } in &segments {
            let extent = aged.extent();
            let (start, end) = match *granularity {
                Granularity::Raw => (extent.raw.unwrap().0, aged.now + 1),
                other => {
                    let at = ALL.iter().position(|one| *one == other).unwrap() - 1;
                    let rolled = extent.rolled[at].unwrap();
                    (rolled.start, rolled.end)
                }
            };
            let step = granularity.seconds().max(1);
            let mut at = start;
            while at < end {
                if (*from..=*to).contains(&at) {
                    for second in at..at + step {
                        if let Some(times) = usize::try_from(second - aged.first)
                            .ok().and_then(|second| covered.get_mut(second)) {
                            *times += 1;
                        }
                    }
                }
                at += step;
            }
        }
        let wrong = covered.iter().position(|times| *times != 1);
        prop_assert_eq!(wrong, None, "{:?} {:?}", aged, segments);
    }
}
