//! Values of one series, thinned out to the columns of a picture without losing a spike.

use std::ops::Range;

use super::super::time;

/// How many usual distances between two values may lie without one before the line is broken.
const GAP: f64 = 3.0;

/// The time that a chart shows, in µs of Unix time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Span {
    /// How far into the span an instant is, 0 to 1.
    pub(super) fn share(self, at: i64) -> f64 {
        let length = self.to.saturating_sub(self.from).max(1);
        at.saturating_sub(self.from) as f64 / length as f64
    }

    /// Its first and last local time, the zone behind the last one.
    pub(super) fn ends(self) -> (String, String) {
        let second = |at: i64| time::to_seconds(at.div_euclid(1_000_000));
        let zone = time::local(self.to).map(|at| at.strftime(" %Z").to_string());
        (second(self.from), second(self.to) + &zone.unwrap_or_default())
    }

    fn column(self, at: i64, columns: usize) -> usize {
        let column = self.share(at) * columns as f64;
        // Also what is outside the span, by less than an interval or a second.
        (column as usize).min(columns.saturating_sub(1))
    }
}

/// What happened in one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) min: f64,
    pub(super) max: f64,
    sum: f64,
    weight: f64,
}

impl Cell {
    pub(super) fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}

/// One series, column by column.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    span: Span,
    cells: Vec<Option<Cell>>,
    /// The first and last instant of all, and how many there were.
    seen: Option<(i64, i64, u64)>,
}

impl Columns {
    pub(super) fn new(span: Span, columns: usize) -> Self {
        Columns { span, cells: vec![None; columns], seen: None }
    }

    /// Adds a value that stands for the time from `at` on, in µs; for 0 it is a moment.
    pub(super) fn add(&mut self, at: i64, lasting: i64, [min, value, max]: [f64; 3]) {
        let columns = self.cells.len();
        let first = self.span.column(at, columns);
        let last = self.span.column(at.saturating_add(lasting.saturating_sub(1).max(0)), columns);
        for cell in self.cells.iter_mut().take(last + 1).skip(first) {
            let cell = cell.get_or_insert(Cell { min, max, sum: 0.0, weight: 0.0 });
            cell.min = cell.min.min(min);
            cell.max = cell.max.max(max);
            cell.sum += value;
            cell.weight += 1.0;
        }
        let seen = self.seen.get_or_insert((at, at, 0));
        *seen = (seen.0.min(at), seen.1.max(at), seen.2 + 1);
    }

    /// The columns in which there are values.
    pub(super) fn filled(&self) -> impl Iterator<Item = (usize, &Cell)> {
        let cells = self.cells.iter().enumerate();
        cells.filter_map(|(column, cell)| cell.as_ref().map(|cell| (column, cell)))
    }

    /// The filled columns in runs: within one, no value is missing.
    pub(super) fn runs(&self) -> Vec<Vec<(usize, Cell)>> {
        let reach = self.reach();
        let mut runs: Vec<Vec<(usize, Cell)>> = Vec::new();
        let mut end: Option<usize> = None;
        for (column, cell) in self.filled() {
            match runs.last_mut() {
                Some(run) if end.is_some_and(|end| column - end <= reach) => {
                    run.push((column, *cell))
                }
                _ => runs.push(vec![(column, *cell)]),
            }
            end = Some(column);
        }
        runs
    }

    /// Runs of columns with the same greatest value, which of states is the worst.
    pub(super) fn worst(&self) -> Vec<(Range<usize>, f64)> {
        let reach = self.reach();
        let mut runs: Vec<(Range<usize>, f64)> = Vec::new();
        for (column, cell) in self.filled() {
            match runs.last_mut() {
                Some((range, _)) if column - range.end < reach => {
                    // A state lasts until the next one.
                    range.end = column;
                }
                _ => {}
            }
            match runs.last_mut() {
                Some((range, value)) if range.end == column && *value == cell.max => {
                    range.end = column + 1;
                }
                _ => runs.push((column..column + 1, cell.max)),
            }
        }
        runs
    }

    /// How many columns apart two values are at most between which none is missing.
    fn reach(&self) -> usize {
        let Some((first, last, count)) = self.seen.filter(|seen| seen.2 > 1) else { return 1 };
        let usual = (last - first) as f64 / (count - 1) as f64;
        let columns = self.cells.len() as f64;
        let length = self.span.to.saturating_sub(self.span.from).max(1) as f64;
        ((GAP * usual / length * columns).ceil() as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { from: 0, to: 100 };

    fn columns(values: &[(i64, f64)]) -> Columns {
        let mut columns = Columns::new(SPAN, 10);
        for &(at, value) in values {
            columns.add(at, 0, [value; 3]);
        }
        columns
    }

    #[test]
    fn a_spike_among_many_values_stays() {
        let mut values: Vec<(i64, f64)> = (0..100).map(|at| (at, 20.0)).collect();
        values[47].1 = 900.0;
        let columns = columns(&values);
        let maxima: Vec<f64> = columns.filled().map(|(_, cell)| cell.max).collect();
        assert_eq!(maxima, [20.0, 20.0, 20.0, 20.0, 900.0, 20.0, 20.0, 20.0, 20.0, 20.0]);
        let (_, spiked) = columns.filled().nth(4).unwrap();
        assert_eq!((spiked.min, spiked.mean()), (20.0, 108.0));
    }

    #[test]
    fn a_line_breaks_where_values_are_missing_and_not_where_they_are_rare() {
        let lengths = |values: &[(i64, f64)]| -> Vec<usize> {
            columns(values).runs().iter().map(Vec::len).collect()
        };
        let dense = (0..100).filter(|at| !(30..60).contains(at)).map(|at| (at, 1.0));
        assert_eq!(lengths(&dense.collect::<Vec<_>>()), [3, 4]);
        let rare = (0..4).map(|n| (n * 30, 1.0));
        assert_eq!(lengths(&rare.collect::<Vec<_>>()), [4]);
    }

    #[test]
    fn an_interval_fills_all_the_columns_it_covers() {
        let mut columns = Columns::new(SPAN, 10);
        columns.add(20, 30, [1.0, 2.0, 9.0]);
        let filled: Vec<_> =
            columns.filled().map(|(at, cell)| (at, cell.min, cell.mean(), cell.max)).collect();
        assert_eq!(filled, [(2, 1.0, 2.0, 9.0), (3, 1.0, 2.0, 9.0), (4, 1.0, 2.0, 9.0)]);
    }

    #[test]
    fn the_worst_state_of_a_column_is_shown_and_lasts_until_the_next() {
        let states = [(0, 0.0), (5, 3.0), (10, 0.0), (25, 0.0), (40, 1.0), (55, 0.0), (70, 0.0)];
        assert_eq!(columns(&states).worst(), [(0..1, 3.0), (1..4, 0.0), (4..5, 1.0), (5..8, 0.0)]);
    }
}
