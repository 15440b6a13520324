//! What a plugin author writes: the destination itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Event, Frame, Metric, Schema, SinkError, Timestamp};

/// An open destination. Owned by one worker thread; it may block, until the deadline.
///
/// The pipeline calls `write` with a batch, waits, and calls it with the next: one batch is in flight,
/// so order holds. A panic is caught: the writer is dropped and its configuration opened again.
pub trait SinkWriter: Send {
    /// Writes a batch, and says what became of each row.
    ///
    /// Return before the deadline, [`Written::Failed`] if need be: the batch comes again. A batch may
    /// come again after a failure that happened half way, so writing a row twice should be harmless
    /// where the destination allows. An empty batch must do nothing.
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written;

    /// Makes everything written so far visible to readers and safe from a crash of this program.
    ///
    /// By default there is nothing to do.
    ///
    /// # Errors
    ///
    /// What was written may not be safe; the writer stays in use.
    fn flush(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        let _ = deadline;
        Ok(())
    }

    /// Tells whether the destination answers, without writing data to it.
    ///
    /// By default it does.
    ///
    /// # Errors
    ///
    /// Why it does not.
    fn probe(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        let _ = deadline;
        Ok(())
    }

    /// Flushes and lets go of the destination. Called once, last.
    ///
    /// By default it flushes.
    ///
    /// # Errors
    ///
    /// What was written last may be lost.
    fn close(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        self.flush(deadline)
    }
}

/// What became of a batch.
#[derive(Debug)]
#[must_use]
pub enum Written {
    /// Every row is at the destination.
    All,
    /// These rows the destination will never take (position in [`Batch::rows`], why); all others are there.
    Rejected(Vec<(usize, String)>),
    /// The destination takes no batch as large as this one. Nothing of it is there; it comes again in
    /// halves, and a row that is too large alone is rejected.
    TooLarge,
    /// Nothing can be said to be there; the batch is kept and comes again.
    Failed(SinkError),
}

/// Until when a call must have returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// The longest time to a deadline. Far beyond any use, and within what the clock can add.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

#[expect(clippy::disallowed_methods, reason = "deadlines are real time, on worker threads only")]
impl Deadline {
    /// This long from now; at most a year.
    pub fn after(duration: Duration) -> Self {
        Deadline(Instant::now() + duration.min(LONGEST))
    }

    /// The time left; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn is_over(self) -> bool {
        self.remaining().is_zero()
    }
}

/// What waits in a sink's queue.
#[derive(Clone, Debug)]
pub enum Item {
    /// One cycle.
    Frame(Arc<Frame>),
    /// One transition or snapshot.
    Event(Arc<Event>),
}

impl Item {
    /// How many rows it becomes.
    pub fn rows(&self) -> usize {
        match self {
            Item::Frame(frame) => frame.samples().len(),
            Item::Event(_) => 1,
        }
    }

    /// About how many bytes its rows are at a destination: for each, the metric's name, WAN, source and
    /// labels as text, and 16 bytes for time and value. It is what `batch.bytes` counts; the true size
    /// depends on the destination's format. Allocates for events only.
    pub fn bytes(&self) -> usize {
        const TIME_AND_VALUE: usize = 16;
        match self {
            Item::Frame(frame) => frame
                .rows()
                .map(|(series, _)| {
                    let labels = series.labels().json().map_or(0, str::len);
                    let names = series.metric().name.len() + series.wan().len();
                    TIME_AND_VALUE + names + series.source().len() + labels
                })
                .sum(),
            Item::Event(event) => {
                let labels = event.label_text().map_or(0, |text| text.len());
                let names = event.metric.name.len() + event.wan.len();
                TIME_AND_VALUE + names + event.source.len() + labels
            }
        }
    }
}

/// Rows to write, in the order they were emitted.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    items: &'a [Item],
}

impl<'a> Batch<'a> {
    /// A batch of these, for tests of writers; the pipeline makes its own.
    pub fn new(items: &'a [Item]) -> Self {
        Batch { items }
    }

    /// Frames and events, as they were emitted.
    pub fn items(&self) -> &'a [Item] {
        self.items
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Every row: each sample of each frame, and each event.
    pub fn rows(&self) -> impl Iterator<Item = Row<'a>> {
        self.items.iter().flat_map(|item| {
            let (frame, event) = match item {
                Item::Frame(frame) => (Some(frame), None),
                Item::Event(event) => (None, Some(event)),
            };
            let samples = frame.into_iter().flat_map(|frame| {
                frame.samples().iter().map(|sample| Row {
                    at: frame.at(),
                    value: sample.value,
                    identity: Identity::Series {
                        schema: frame.schema(),
                        series: usize::from(sample.series),
                    },
                })
            });
            let events = event.into_iter().map(|event| Row {
                at: event.at,
                value: event.value,
                identity: Identity::Event(event),
            });
            samples.chain(events)
        })
    }
}

/// One value on its way to a destination.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// When it was measured or happened.
    pub at: Timestamp,
    /// The value; always finite.
    pub value: f64,
    /// What it is a value of.
    pub identity: Identity<'a>,
}

/// What a row is a value of.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'a> {
    /// A declared series. What a writer knows of a schema it may keep in a
    /// [`SchemaCache`](crate::SchemaCache).
    Series {
        /// The schema of the frame.
        schema: &'a Arc<Schema>,
        /// Position in it.
        series: usize,
    },
    /// A transition or snapshot.
    Event(&'a Event),
}

impl<'a> Row<'a> {
    /// The metric.
    pub fn metric(&self) -> &'static Metric {
        match self.identity {
            Identity::Series { schema, series } => schema.series()[series].metric(),
            Identity::Event(event) => event.metric,
        }
    }

    /// The WAN.
    pub fn wan(&self) -> &'a str {
        match self.identity {
            Identity::Series { schema, series } => schema.series()[series].wan(),
            Identity::Event(event) => &event.wan,
        }
    }

    /// Who emitted it.
    pub fn source(&self) -> &'a str {
        match self.identity {
            Identity::Series { schema, series } => schema.series()[series].source(),
            Identity::Event(event) => &event.source,
        }
    }

    /// The labels as the text of a JSON object; `None` for none. Allocates for events only.
    pub fn label_text(&self) -> Option<std::borrow::Cow<'a, str>> {
        match self.identity {
            Identity::Series { schema, series } => {
                schema.series()[series].labels().json().map(std::borrow::Cow::Borrowed)
            }
            Identity::Event(event) => event.label_text().map(std::borrow::Cow::Owned),
        }
    }
}
