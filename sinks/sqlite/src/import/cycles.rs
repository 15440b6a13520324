//! The cycles that the rows of one second were recorded in.
//!
//! The original keeps whole seconds only, but it recorded each cycle in one transaction, so a cycle's rows
//! follow one another. A cycle ends where a series comes again, or another WAN or emitter begins. That
//! tells the instants of a second apart, and of the metrics that autorate and steering both record, whose
//! they are.

use std::ops::Range;

/// Who recorded a row, as far as the original tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Emitter {
    Unknown,
    Autorate,
    Steering,
}

impl Emitter {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Emitter::Unknown => "",
            Emitter::Autorate => "autorate",
            Emitter::Steering => "steering",
        }
    }

    /// How many cycles the original records in so many seconds: by default autorate's cycle takes 50 ms
    /// and steering's half a second. Where it may be either, autorate's rows are the most.
    pub(super) fn cycles_in(self, seconds: i64) -> i64 {
        seconds * if self == Emitter::Steering { 2 } else { 20 }
    }
}

/// What a row tells of the cycle it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Its series: metric, WAN and labels.
    pub(super) series: usize,
    pub(super) wan: usize,
    pub(super) emitter: Emitter,
}

/// Rows that were recorded at one instant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cycle {
    /// The rows, by their position in the second.
    pub(super) rows: Range<usize>,
    pub(super) emitter: Emitter,
}

/// The cycles of one second, whose rows come in the order they were recorded in.
pub(super) fn cycles(rows: impl Iterator<Item = Member>) -> Vec<Cycle> {
    let mut cycles: Vec<Cycle> = Vec::new();
    let mut members: Vec<Member> = Vec::new();
    for (position, row) in rows.enumerate() {
        match cycles.last_mut() {
            Some(cycle) if belongs(&row, &members, cycle.emitter) => {
                cycle.rows.end = position + 1;
                if cycle.emitter == Emitter::Unknown {
                    cycle.emitter = row.emitter;
                }
            }
            _ => {
                members.clear();
                cycles.push(Cycle { rows: position..position + 1, emitter: row.emitter });
            }
        }
        members.push(row);
    }
    cycles
}

fn belongs(row: &Member, members: &[Member], emitter: Emitter) -> bool {
    let is_same_emitter =
        [row.emitter, emitter].contains(&Emitter::Unknown) || row.emitter == emitter;
    is_same_emitter
        && members.iter().all(|member| member.wan == row.wan && member.series != row.series)
}

/// When a cycle of a second took place, in microseconds: `count` of them are spread evenly.
pub(super) fn instant(cycle: usize, count: usize) -> u32 {
    let micros = cycle as u64 * 1_000_000 / count.max(1) as u64;
    u32::try_from(micros).unwrap_or(999_999).min(999_999)
}

#[cfg(test)]
mod tests {
    use super::Emitter::{Autorate, Steering, Unknown};
    use super::*;

    const RTT: usize = 0;
    const RATE: usize = 1;
    const STATE: usize = 2;
    const ENABLED: usize = 3;

    fn member(series: usize) -> Member {
        let emitter = [Unknown, Autorate, Autorate, Steering][series];
        Member { series, wan: 0, emitter }
    }

    fn check(series: &[usize], expected: &[(Range<usize>, Emitter)]) {
        let found = cycles(series.iter().copied().map(member));
        let expected = expected.iter().cloned().map(|(rows, emitter)| Cycle { rows, emitter });
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_series_that_comes_again_begins_a_cycle() {
        check(
            &[RTT, RATE, STATE, RTT, RATE, STATE, RTT],
            &[(0..3, Autorate), (3..6, Autorate), (6..7, Unknown)],
        );
        check(&[], &[]);
    }

    #[test]
    fn a_round_trip_time_belongs_to_whoever_recorded_the_rows_around_it() {
        check(
            &[RTT, RATE, RTT, ENABLED, RTT, RATE],
            &[(0..2, Autorate), (2..4, Steering), (4..6, Autorate)],
        );
    }

    #[test]
    fn a_cycle_has_one_emitter_and_one_wan() {
        check(&[RTT, RATE, ENABLED], &[(0..2, Autorate), (2..3, Steering)]);
        let other = Member { wan: 1, ..member(RATE) };
        let found = cycles([member(RTT), other].into_iter());
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn the_cycles_of_a_second_are_spread_over_it() {
        let instants: Vec<u32> = (0..20).map(|cycle| instant(cycle, 20)).collect();
        assert_eq!(instants[..3], [0, 50_000, 100_000]);
        assert_eq!(instants[19], 950_000);
        let crowded = 999_999;
        let instants: Vec<u32> = (0..crowded).map(|cycle| instant(cycle, crowded)).collect();
        assert!(instants.is_sorted_by(|one, next| one < next));
    }
}
