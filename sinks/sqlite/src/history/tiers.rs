//! Which tier answers for which time: a pure function of how far each tier of a series reaches.

use super::{Granularity, Query, Tiers};

/// A history that ends this little inside a query's range is taken to fill it, so that "the last six
/// hours" mean six hours, though the newest row is a second old.
const SLACK: i64 = 60;

/// How far the tiers of a series reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first and the last second that has a raw row.
    pub(super) raw: Option<(i64, i64)>,
    /// Raw rows before this second have expired.
    pub(super) expired_to: i64,
    /// Of intervals of a minute, five minutes and an hour.
    pub(super) rolled: [Option<Rolled>; 3],
}

/// How far the intervals of one length reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rolled {
    /// The first second of the first interval.
    pub(super) start: i64,
    /// The second after the last one.
    pub(super) end: i64,
}

/// A range of seconds, both included, and the tier that answers for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) granularity: Granularity,
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Extent {
    /// From where to where the tier is complete, the end not included.
    fn covered(&self, granularity: Granularity) -> Option<Rolled> {
        let [minute, five_minutes, hour] = self.rolled;
        match granularity {
            Granularity::Raw => self
                .raw
                .map(|(first, _)| Rolled { start: first.max(self.expired_to), end: i64::MAX }),
            Granularity::Minute => minute,
            Granularity::FiveMinutes => five_minutes,
            Granularity::Hour => hour,
        }
    }

    /// The first second and the last that have rows in any tier.
    pub(super) fn ends(&self) -> Option<(i64, i64)> {
        let rolled = self.rolled.iter().flatten().map(|rolled| (rolled.start, rolled.end - 1));
        self.raw
            .into_iter()
            .chain(rolled)
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
}

/// The granularity a query asks for.
pub(super) fn wanted(query: &Query, extents: &[Extent]) -> Granularity {
    match query.tiers {
        Tiers::Only(granularity) => granularity,
        Tiers::Finest => Granularity::Raw,
        Tiers::Auto => {
            let ends = extents.iter().filter_map(Extent::ends);
            let there = ends.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
            let Some((oldest, newest)) = there else { return Granularity::Raw };
            let from = if oldest.saturating_sub(query.from) > SLACK { oldest } else { query.from };
            let to = if query.to.saturating_sub(newest) > SLACK { newest } else { query.to };
            Granularity::for_span(to.saturating_sub(from))
        }
    }
}

/// What answers where for one series, in the order of time.
///
/// Between an older, coarser tier and a newer, finer one the cut is at the end of one of the coarser's
/// intervals, so that no instant is counted twice.
pub(super) fn plan(tiers: Tiers, wanted: Granularity, extent: &Extent) -> Vec<Segment> {
    if let Tiers::Only(granularity) = tiers {
        return vec![Segment { granularity, from: i64::MIN, to: i64::MAX }];
    }
    let [finer, coarser] = [true, false].map(|finer| {
        let side = move |one: &Granularity| if finer { *one <= wanted } else { *one > wanted };
        let there = |one: Granularity| Some((one, extent.covered(one)?));
        Granularity::ALL.into_iter().filter(side).filter_map(there).collect::<Vec<_>>()
    });
    // Without any row in the tier that is wanted, the next finer one takes its place.
    let (mut newer, mut older) = (finer.into_iter().rev(), coarser.into_iter());
    let Some((granularity, covered)) = newer.next().or_else(|| older.next()) else {
        return Vec::new();
    };
    let mut segments =
        vec![Segment { granularity, from: covered.start, to: covered.end.saturating_sub(1) }];
    for (granularity, covered) in older {
        let Some(first) = segments.last_mut() else { break };
        let seconds = granularity.seconds();
        let bucket = first.from.div_euclid(seconds) * seconds;
        let expired = first.granularity == Granularity::Raw && covered.start < extent.expired_to;
        if covered.start >= bucket && !expired {
            // It begins with the same rows as the finer one, and has nothing older.
            continue;
        }
        if bucket < first.from && bucket + seconds <= covered.end {
            first.from = bucket + seconds;
        }
        let to = first.from.min(covered.end) - 1;
        segments.push(Segment { granularity, from: covered.start, to });
    }
    segments.reverse();
    for (granularity, covered) in newer {
        let Some(last) = segments.last() else { break };
        let from = last.to.saturating_add(1).max(last.from);
        if covered.end > from {
            segments.push(Segment { granularity, from, to: covered.end.saturating_sub(1) });
        }
    }
    // What comes in while it is read belongs to the outermost tiers.
    if let Some(first) = segments.first_mut() {
        first.from = i64::MIN;
    }
    if let Some(last) = segments.last_mut() {
        last.to = i64::MAX;
    }
    segments.retain(|segment| segment.from <= segment.to);
    segments
}
