//! Raw rows column by column.

/// Rows in the order of time.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) instants: Vec<i64>,
    /// Of each series wanted, its values; NaN where there is none.
    pub(super) columns: Vec<Vec<f64>>,
}

impl Page {
    pub(super) fn new(columns: usize) -> Self {
        Page { instants: Vec::new(), columns: vec![Vec::new(); columns] }
    }

    pub(super) fn reverse(&mut self) {
        self.instants.reverse();
        self.columns.iter_mut().for_each(|column| column.reverse());
    }

    /// The rows from instant to instant, both included.
    pub(super) fn rows(&self, from: i64, to: i64) -> std::ops::Range<usize> {
        let first = self.instants.partition_point(|at| *at < from);
        let end = self.instants.partition_point(|at| *at <= to);
        first..end.max(first)
    }

    /// The values of a column from instant to instant, both included, without the gaps.
    pub(super) fn values(
        &self,
        column: usize,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = f64> + '_ {
        let values = self.columns.get(column).and_then(|all| all.get(self.rows(from, to)));
        values.unwrap_or_default().iter().copied().filter(|value| !value.is_nan())
    }

    /// The same with their instants.
    pub(super) fn samples(
        &self,
        column: usize,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = (i64, f64)> + '_ {
        let rows = self.rows(from, to);
        let instants = self.instants.get(rows.clone()).unwrap_or_default();
        let values = self.columns.get(column).and_then(|all| all.get(rows)).unwrap_or_default();
        instants.iter().copied().zip(values.iter().copied()).filter(|(_, value)| !value.is_nan())
    }

    /// Adds later rows.
    pub(super) fn append(&mut self, later: Page) {
        self.instants.extend(later.instants);
        for (column, later) in self.columns.iter_mut().zip(later.columns) {
            column.extend(later);
        }
    }

    pub(super) fn keep(&mut self, rows: std::ops::Range<usize>) {
        let cut = |end: usize, start: usize, column: &mut Vec<f64>| {
            column.truncate(end);
            column.drain(..start.min(column.len()));
        };
        self.columns.iter_mut().for_each(|column| cut(rows.end, rows.start, column));
        self.instants.truncate(rows.end);
        self.instants.drain(..rows.start.min(self.instants.len()));
    }

    /// Both pages as one. Of an instant that both have, what this one has stays.
    pub(super) fn merge(self, other: Page) -> Page {
        let mut merged = Page::new(self.columns.len());
        let (mut mine, mut its) = (0, 0);
        loop {
            let here = self.instants.get(mine).copied();
            let there = other.instants.get(its).copied();
            let Some(at) = here.into_iter().chain(there).min() else { return merged };
            let (from_here, from_there) = (here == Some(at), there == Some(at));
            merged.instants.push(at);
            let columns = self.columns.iter().zip(&other.columns);
            for (to, (first, second)) in merged.columns.iter_mut().zip(columns) {
                let pick = |there: bool, column: &[f64], row: usize| {
                    column.get(row).copied().filter(|value| there && !value.is_nan())
                };
                let value = pick(from_here, first, mine).or(pick(from_there, second, its));
                to.push(value.unwrap_or(f64::NAN));
            }
            mine += usize::from(from_here);
            its += usize::from(from_there);
        }
    }
}
