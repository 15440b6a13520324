//! One sink under test: configured, opened, written to, run in a pipeline, with a time limit on all of it.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::ledger::Ledger;
use super::{Harness, Outcome};
use crate::{
    Batch, Deadline, Issue, Item, MetricsSink, OpenContext, Pipeline, PipelineOptions, Registry,
    SinkConfig, SinkSpec, SinkStats, SinkWriter, Written,
};

/// The name of the sink under test in its configuration.
pub(super) const NAME: &str = "under_test";
/// Far beyond anything that a call to a working destination needs.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// A sink, its destination, and what should be there.
pub(super) struct Bench<H> {
    pub(super) harness: H,
    pub(super) ledger: Ledger,
}

impl<H: Harness> Bench<H> {
    pub(super) fn new() -> Self {
        Bench { harness: H::new(), ledger: Ledger::new() }
    }

    /// The sink as it is configured.
    pub(super) fn spec(&self) -> Result<SinkSpec, String> {
        let mut spec = parse::<H>(&self.harness.settings())
            .map_err(|issues| format!("`settings` are refused: {}", list(&issues)))?;
        if let Some(config) = self.harness.config() {
            spec.config = config;
        }
        spec.batch.linger = Duration::from_millis(10);
        Ok(spec)
    }

    pub(super) fn config(&self) -> Result<Box<dyn SinkConfig>, String> {
        Ok(self.spec()?.config)
    }

    pub(super) fn open(&self) -> Result<Box<dyn SinkWriter>, String> {
        open(&*self.config()?)
    }

    /// Writes items in one batch, or in parts of it where the sink asks for that, and notes which rows
    /// have to be there. Returns the positions of those that were rejected.
    ///
    /// # Errors
    ///
    /// A failure, though nothing is wrong, or a rejection that names rows that are none.
    pub(super) fn write(
        &mut self,
        writer: &mut dyn SinkWriter,
        items: &[Item],
    ) -> Result<BTreeSet<usize>, String> {
        let rows: usize = items.iter().map(Item::rows).sum();
        let refused = match writer.write(&Batch::new(items), soon()) {
            Written::All => BTreeSet::new(),
            Written::Rejected(rejected) => refused(&rejected, rows)?,
            Written::TooLarge if items.len() > 1 => {
                let (first, second) = items.split_at(items.len() / 2);
                let before: usize = first.iter().map(Item::rows).sum();
                let mut refused = self.write(writer, first)?;
                let later = self.write(writer, second)?;
                refused.extend(later.into_iter().map(|position| before + position));
                return Ok(refused);
            }
            Written::TooLarge => (0..rows).collect(),
            Written::Failed(error) => {
                return Err(format!("a write failed though nothing is wrong: {error}"));
            }
        };
        self.ledger.add(&self.harness, items, &refused);
        Ok(refused)
    }

    /// Whether exactly the rows that were written are there, after a flush.
    pub(super) fn flush_and_compare(&self, writer: &mut dyn SinkWriter) -> Outcome {
        writer.flush(soon()).map_err(|error| format!("a flush failed: {error}"))?;
        self.ledger.compare(&self.harness)
    }

    /// A pipeline of this sink alone.
    pub(super) fn pipeline(&self) -> Result<Pipeline, String> {
        start(vec![self.spec()?])
    }

    /// Emits an item that has to arrive.
    pub(super) fn emit(&mut self, sink: &dyn MetricsSink, item: Item) {
        let _ = match &item {
            Item::Frame(frame) => sink.emit(frame),
            Item::Event(event) => sink.event(event),
        };
        self.ledger.add(&self.harness, &[item], &BTreeSet::new());
    }
}

/// The sink of this kind with these settings, by the way that a configuration file takes.
pub(super) fn parse<H: Harness>(settings: &str) -> Result<SinkSpec, Vec<Issue>> {
    parse_value::<H>(value_of(settings)?)
}

/// The same, with settings that are read already.
pub(super) fn parse_value<H: Harness>(settings: Value) -> Result<SinkSpec, Vec<Issue>> {
    let mut sink = Mapping::new();
    sink.insert("type".into(), H::KIND.into());
    sink.insert("settings".into(), settings);
    let mut section = Mapping::new();
    section.insert(NAME.into(), Value::Mapping(sink));
    let specs = SinkSpec::parse_section(&Value::Mapping(section), &Registry::linked()?)?;
    specs.into_iter().next().ok_or_else(|| vec![Issue::new(NAME, "no sink")])
}

/// Settings as a value.
pub(super) fn value_of(settings: &str) -> Result<Value, Vec<Issue>> {
    serde_yaml::from_str(settings).map_err(|error| vec![Issue::new("settings", error.to_string())])
}

pub(super) fn open(config: &dyn SinkConfig) -> Result<Box<dyn SinkWriter>, String> {
    config
        .open(&OpenContext::new(NAME, soon()))
        .map_err(|error| format!("it does not open: {error}"))
}

pub(super) fn close(mut writer: Box<dyn SinkWriter>) -> Outcome {
    writer.close(soon()).map_err(|error| format!("a close failed: {error}"))
}

pub(super) fn start(specs: Vec<SinkSpec>) -> Result<Pipeline, String> {
    Pipeline::start(specs, PipelineOptions::default())
        .map_err(|issues| format!("the pipeline does not start: {}", list(&issues)))
}

/// The accounts of the sink under test.
pub(super) fn accounts(stats: Vec<SinkStats>) -> Result<SinkStats, String> {
    stats.into_iter().find(|one| one.name == NAME).ok_or_else(|| "it has no accounts".to_owned())
}

/// The positions of rejected rows, if they are positions of a batch of this many rows.
fn refused(rejected: &[(usize, String)], rows: usize) -> Result<BTreeSet<usize>, String> {
    let mut refused = BTreeSet::new();
    for (position, reason) in rejected {
        if *position >= rows {
            return Err(format!("row {position} of a batch of {rows} rows is rejected"));
        }
        if !refused.insert(*position) {
            return Err(format!("row {position} is rejected twice"));
        }
        if reason.is_empty() {
            return Err(format!("row {position} is rejected without a reason"));
        }
    }
    if refused.is_empty() { Err("a rejection names no row".to_owned()) } else { Ok(refused) }
}

pub(super) fn soon() -> Deadline {
    Deadline::after(LIMIT)
}

/// Waits until something is so. False if it is not so in time.
pub(super) fn wait_for(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = Deadline::after(limit);
    while !is_so() {
        if until.is_over() {
            return false;
        }
        // Nobody unparks this thread; a park that ends early is one look more.
        thread::park_timeout(LOOK);
    }
    true
}

/// Measures how long something takes.
pub(super) struct Stopwatch(Deadline);

impl Stopwatch {
    const LONGEST: Duration = Duration::from_secs(3600);

    pub(super) fn start() -> Self {
        Stopwatch(Deadline::after(Self::LONGEST))
    }

    pub(super) fn elapsed(&self) -> Duration {
        Self::LONGEST.saturating_sub(self.0.remaining())
    }
}

pub(super) fn list(issues: &[Issue]) -> String {
    issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
