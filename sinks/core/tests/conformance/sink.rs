//! A sink that keeps the contract, with a switch for each way to break it.

use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Map;
use wanctl_sink::conformance::{Arrived, Fault};
use wanctl_sink::*;

register_sink! {
    "stored" => StoreConfig,
    summary: "Keeps rows in memory",
    sample: "kept: { type: stored, settings: { rows: 1 } }",
}

macro_rules! sabotages {
    ($($name:ident),* $(,)?) => {
        /// How the sink breaks the contract.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub(crate) enum Sabotage {
            #[default]
            Off,
            $($name),*
        }

        impl Sabotage {
            pub(crate) const ALL: &[Sabotage] = &[Sabotage::Off, $(Sabotage::$name),*];
        }
    };
}

sabotages! {
    DropsARow,
    DoublesARow,
    SwapsRows,
    AltersTheLastDigit,
    LosesTheSignOfZero,
    RoundsTimes,
    EscapesNothing,
    LosesDetails,
    ForgetsThePast,
    IgnoresAPassedDeadline,
    WritesAfterAPassedDeadline,
    OutstaysADeadline,
    OutstaysTheDeadlineOfOpening,
    LeaksAThread,
    LeaksADescriptor,
    WritesOnProbe,
    WritesOnOpen,
    WritesForAnEmptyBatch,
    FlushesNothing,
    ClonesToAnotherStore,
    ClaimsSuccess,
    FailsAsABug,
    LosesANeighbour,
    NamesAWrongRow,
    NamesNoRow,
    TakesWhatItCannot,
    LosesTheBatchOfAnOutage,
    LogsEachFailure,
    LogsEachOutageTwice,
    CreatesTooEarly,
    FailsNowAndThen,
}

/// The destination. A clone is the same one.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Shared>);

#[derive(Default)]
struct Shared {
    rows: Mutex<Vec<Arrived>>,
    fault: Mutex<Option<Fault>>,
    mended: Condvar,
    folder: OnceLock<tempfile::TempDir>,
}

impl Store {
    pub(crate) fn rows(&self) -> Vec<Arrived> {
        self.0.rows.lock().unwrap().clone()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.0.folder.get_or_init(|| tempfile::tempdir().unwrap()).path().to_owned()
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *self.0.fault.lock().unwrap() = fault;
        self.0.mended.notify_all();
    }

    /// Does what a broken destination does to a caller who has this much time.
    fn answer(&self, patience: Duration) -> Result<(), SinkError> {
        let fault = self.0.fault.lock().unwrap();
        match *fault {
            None => Ok(()),
            Some(Fault::Hangs) => {
                let hangs = |fault: &mut Option<Fault>| fault.is_some();
                let waited = self.0.mended.wait_timeout_while(fault, patience, hangs).unwrap();
                match waited.1.timed_out() {
                    true => Err(SinkError::new(FaultClass::Cancelled, "no answer in time")),
                    false => Ok(()),
                }
            }
            Some(_) => Err(SinkError::new(FaultClass::Transient, "refused")),
        }
    }

    fn extend(&self, rows: impl IntoIterator<Item = Arrived>) {
        self.0.rows.lock().unwrap().extend(rows);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    rows: usize,
    password: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { rows: 1, password: String::new() }
    }
}

impl From<Settings> for StoreConfig {
    fn from(settings: Settings) -> Self {
        let Settings { rows: _, password } = settings;
        StoreConfig { store: Store::default(), sabotage: Sabotage::Off, _password: password }
    }
}

/// The configuration. Its password is not shown.
#[derive(Deserialize)]
#[serde(from = "Settings")]
pub(crate) struct StoreConfig {
    store: Store,
    sabotage: Sabotage,
    _password: String,
}

impl StoreConfig {
    pub(crate) fn of(store: &Store, sabotage: Sabotage) -> Self {
        StoreConfig { store: store.clone(), sabotage, _password: String::new() }
    }
}

impl Clone for StoreConfig {
    fn clone(&self) -> Self {
        let store = match self.sabotage {
            Sabotage::ClonesToAnotherStore => Store::default(),
            _ => self.store.clone(),
        };
        StoreConfig { store, sabotage: self.sabotage, _password: self._password.clone() }
    }
}

impl Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig").finish_non_exhaustive()
    }
}

impl SinkConfig for StoreConfig {
    fn check(&self) -> Vec<Issue> {
        if self.sabotage == Sabotage::CreatesTooEarly {
            File::create(self.store.folder().join("too early")).unwrap();
        }
        Vec::new()
    }

    fn open(&self, context: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        let patience = match self.sabotage {
            Sabotage::OutstaysTheDeadlineOfOpening => Duration::from_secs(60),
            _ => context.deadline.remaining(),
        };
        self.store.answer(patience)?;
        match self.sabotage {
            Sabotage::LeaksAThread => drop(thread::spawn(thread::park)),
            Sabotage::LeaksADescriptor => std::mem::forget(File::open("/dev/null")),
            Sabotage::WritesOnOpen => self.store.extend([banner()]),
            Sabotage::ForgetsThePast => self.store.0.rows.lock().unwrap().clear(),
            _ => {}
        }
        let store = self.store.clone();
        Ok(Box::new(Writer {
            store,
            sabotage: self.sabotage,
            buffer: Vec::new(),
            calls: 0,
            failures: 0,
        }))
    }
}

struct Writer {
    store: Store,
    sabotage: Sabotage,
    buffer: Vec<Arrived>,
    calls: u32,
    /// How many calls in a row failed.
    failures: u32,
}

impl SinkWriter for Writer {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        use Sabotage::*;
        self.calls += 1;
        if batch.is_empty() {
            if self.sabotage == WritesForAnEmptyBatch {
                self.store.extend([banner()]);
            }
            return Written::All;
        }
        if deadline.is_over() && self.sabotage != IgnoresAPassedDeadline {
            if self.sabotage == WritesAfterAPassedDeadline {
                self.store.extend(batch.rows().map(|row| Arrived::from(&row)));
            }
            return failed(FaultClass::Cancelled);
        }
        let patience = match self.sabotage {
            OutstaysADeadline => Duration::from_secs(60),
            _ => deadline.remaining(),
        };
        if let Err(error) = self.store.answer(patience) {
            self.failures += 1;
            match self.sabotage {
                ClaimsSuccess => return Written::All,
                FailsAsABug => return failed(FaultClass::Bug),
                LosesTheBatchOfAnOutage if self.failures > 1 => return Written::All,
                LogsEachOutageTwice if self.failures > 2 => {}
                LogsEachFailure | LogsEachOutageTwice => tracing::warn!(%error, "It failed."),
                _ => {}
            }
            return Written::Failed(error);
        }
        self.failures = 0;
        if self.sabotage == FailsNowAndThen && !self.calls.is_multiple_of(2) {
            return failed(FaultClass::Transient);
        }
        let (rows, rejected) = self.take(batch);
        match self.sabotage {
            FlushesNothing => self.buffer.extend(rows),
            _ => self.store.extend(rows),
        }
        let positions: Vec<usize> = rejected.into_iter().collect();
        match (self.sabotage, positions.first()) {
            (NamesAWrongRow, Some(_)) => reject(&[batch.rows().count()]),
            (NamesNoRow, Some(_)) => reject(&[]),
            (_, None) => Written::All,
            _ => reject(&positions),
        }
    }

    fn probe(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        if self.sabotage == Sabotage::WritesOnProbe {
            self.store.extend([banner()]);
        }
        self.store.answer(deadline.remaining())
    }
}

impl Writer {
    /// The rows that the store takes, and the positions of those that it refuses.
    fn take(&self, batch: &Batch<'_>) -> (Vec<Arrived>, BTreeSet<usize>) {
        use Sabotage::*;
        let mut rows = Vec::new();
        let mut rejected = BTreeSet::new();
        for (position, row) in batch.rows().enumerate() {
            let mut arrived = Arrived::from(&row);
            if !row.value.is_finite() && self.sabotage != TakesWhatItCannot {
                rejected.insert(position);
                continue;
            }
            match self.sabotage {
                AltersTheLastDigit => arrived.value = f64::from_bits(row.value.to_bits() ^ 1),
                LosesTheSignOfZero => arrived.value += 0.0,
                RoundsTimes => arrived.unix_nanos -= arrived.unix_nanos.rem_euclid(1_000_000),
                EscapesNothing => arrived.wan = arrived.wan.replace(['\n', '"'], ""),
                LosesDetails if matches!(row.identity, Identity::Event(_)) => arrived.labels = None,
                _ => {}
            }
            rows.push(arrived);
        }
        match self.sabotage {
            DropsARow => drop(rows.pop()),
            DoublesARow => rows.extend(rows.last().cloned()),
            SwapsRows => rows.reverse(),
            LosesANeighbour if !rejected.is_empty() => drop(rows.pop()),
            _ => {}
        }
        (rows, rejected)
    }
}

fn failed(class: FaultClass) -> Written {
    Written::Failed(SinkError::new(class, "told to fail"))
}

fn reject(positions: &[usize]) -> Written {
    Written::Rejected(positions.iter().map(|row| (*row, "not a number".to_owned())).collect())
}

/// A row that nobody sent.
fn banner() -> Arrived {
    let text = || "banner".to_owned();
    Arrived { metric: text(), wan: text(), source: text(), labels: None, unix_nanos: 0, value: 0.0 }
}

/// A row that the store refuses.
pub(crate) fn poison() -> Item {
    static METRIC: Metric = Metric {
        name: "wanctl_test_value",
        unit: Unit::None,
        kind: Kind::Gauge,
        rollup: Rollup::Mean,
        help: "A number",
        states: &[],
    };
    Item::Event(Arc::new(Event {
        at: Timestamp::default(),
        metric: &METRIC,
        wan: "wan1".into(),
        source: "test".into(),
        value: f64::NAN,
        details: Arc::new(Map::new()),
    }))
}
