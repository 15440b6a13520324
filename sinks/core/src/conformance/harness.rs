//! What the kit asks of an author: a destination of its own, and a reader of it that is not the sink.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Item, Row, SinkConfig};

/// A destination for one check, and what the kit has to know of it.
///
/// Checks run side by side, so every harness has a destination of its own: a temporary folder, a free
/// port of the loopback interface. A check holds one harness at a time and drops it at its end.
pub trait Harness: Sized {
    /// The kind of the sink, as it stands in `type:`.
    const KIND: &'static str;

    /// What the destination keeps. Default: everything.
    const KEEPS: Keeps = Keeps::Everything;

    /// How finely the destination keeps times. Default: to the microsecond.
    const RESOLUTION: Duration = Duration::from_micros(1);

    /// Whether a batch that failed half way may be there twice after it came again. Default: no.
    const MAY_DOUBLE: bool = false;

    /// A fresh, empty destination that works.
    fn new() -> Self;

    /// `settings:` of a sink that writes there, as YAML. They name every key that a check of types
    /// should try.
    fn settings(&self) -> String;

    /// Everything a reader finds at the destination now, in the order it finds it.
    ///
    /// Read it by other means than the sink's own code where there are any: a parser that makes the same
    /// mistakes as the writer hides them. It is called while the sink has the destination open, too.
    /// A destination that keeps nothing returns nothing.
    fn arrived(&self) -> Vec<Arrived>;

    /// The sink itself, where `settings` alone don't lead to the destination of this harness: one that
    /// lives in memory and is configured in code.
    ///
    /// Default: what the registry makes of `settings`.
    fn config(&self) -> Option<Box<dyn SinkConfig>> {
        None
    }

    /// What a reader should find of a row; `None` if the destination takes such rows and does not show
    /// them.
    ///
    /// Only for what a destination can't hold, such as a format without empty labels. Default: the row
    /// as it was emitted.
    fn keeps(&self, row: &Row<'_>) -> Option<Arrived> {
        Some(Arrived::from(row))
    }

    /// The folder the destination lies in, for a check that nothing is created too early. Default: none.
    fn folder(&self) -> Option<PathBuf> {
        None
    }

    /// Settings that hold a secret in plain text, and that text. Default: there are no secrets.
    fn secret(&self) -> Option<(String, String)> {
        None
    }

    /// A frame or an event of which the destination refuses at least one row for good. Default: none.
    fn unrecordable(&self) -> Option<Item> {
        None
    }

    /// Breaks the destination until [`mend`](Self::mend); false if that can't be done to it, which is
    /// the default.
    ///
    /// What is there already stays there. The sink may have the destination open, or open it later.
    fn break_down(&self, how: Fault) -> bool {
        let _ = how;
        false
    }

    /// Makes a broken destination work again.
    fn mend(&self) {}
}

/// What a destination keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing that could be read.
    Nothing,
    /// The newest value of each series, for as long as the sink is open. Times are not compared.
    Newest,
    /// Every row.
    Everything,
}

/// How a destination is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It refuses: the disk is full, the server answers with an error.
    Refuses,
    /// It does not answer: a lock that another program holds, a server that is silent.
    Hangs,
}

/// A row as a reader finds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrived {
    /// The metric's name.
    pub metric: String,
    /// The WAN.
    pub wan: String,
    /// Who emitted it.
    pub source: String,
    /// The labels, as the text of a JSON object; `None` for none. Spelling and order don't matter.
    pub labels: Option<String>,
    /// The time in nanoseconds since 1970-01-01 UTC, as finely as [`Harness::RESOLUTION`] says.
    pub unix_nanos: i64,
    /// The value, compared bit by bit.
    pub value: f64,
}

impl From<&Row<'_>> for Arrived {
    fn from(row: &Row<'_>) -> Self {
        Arrived {
            metric: row.metric().name.to_owned(),
            wan: row.wan().to_owned(),
            source: row.source().to_owned(),
            labels: row.label_text().map(Into::into),
            unix_nanos: row.at.unix_nanos,
            value: row.value,
        }
    }
}
