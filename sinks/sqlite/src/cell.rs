//! A value as it stands in a column of `frames`.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Value, ValueRef};

/// Beyond this, not every whole number is a `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell {
    /// This number, divided by the scale of the series.
    Whole(i64),
    /// A value that is no such quotient, as it is.
    Real(f64),
}

impl Cell {
    /// The cell of a finite value; there is no minus zero.
    pub(crate) fn of(value: f64, scale: f64) -> Self {
        let whole = (value * scale).round();
        if whole.abs() < EXACT && whole / scale == value {
            Cell::Whole(whole as i64)
        } else {
            Cell::Real(value)
        }
    }

    /// The value that was recorded.
    pub(crate) fn value(self, scale: f64) -> f64 {
        match self {
            Cell::Whole(whole) => whole as f64 / scale,
            Cell::Real(real) => real,
        }
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(match *self {
            Cell::Whole(whole) => Value::Integer(whole),
            Cell::Real(real) => Value::Real(real),
        }))
    }
}

impl FromSql for Cell {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(whole) => Ok(Cell::Whole(whole)),
            ValueRef::Real(real) => Ok(Cell::Real(real)),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_whatever_it_is() {
        for value in [0.0, 23.41, -0.01, 0.1 + 0.2, 18.425, 1e300, -1e-300, 9e15, f64::MAX] {
            for scale in [1.0, 100.0, 1e6] {
                assert_eq!(Cell::of(value, scale).value(scale), value, "{value} {scale}");
            }
        }
        assert_eq!(Cell::of(23.41, 100.0), Cell::Whole(2341));
        assert_eq!(Cell::of(-0.0, 100.0), Cell::Whole(0));
        assert_eq!(Cell::of(0.1 + 0.2, 100.0), Cell::Real(0.1 + 0.2));
    }
}
