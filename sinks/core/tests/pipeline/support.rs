//! A destination that does what a test tells it to, and what to send to it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use wanctl_sink::*;

pub(crate) static VALUE: Metric = Metric {
    name: "wanctl_test_value",
    unit: Unit::None,
    kind: Kind::Gauge,
    rollup: Rollup::Mean,
    help: "A number",
    states: &[],
};

/// What the destination does with the next batches; the last one stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    Take,
    Fail(FaultClass),
    RejectFirst,
    Panic,
    Hang,
}

/// A scripted destination: a configuration and its clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripted(pub(crate) Arc<Shared>);

#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) script: Mutex<Vec<Act>>,
    pub(crate) rows: Mutex<Vec<f64>>,
    pub(crate) opened: AtomicUsize,
    pub(crate) refuse_open: Mutex<Option<FaultClass>>,
    pub(crate) closed: AtomicBool,
    pub(crate) release: (Mutex<bool>, Condvar),
    /// The value that makes a write panic.
    pub(crate) poison: Mutex<Option<f64>>,
    /// How long each write had.
    pub(crate) deadlines: Mutex<Vec<Duration>>,
    pub(crate) claim: Mutex<Option<std::path::PathBuf>>,
    /// How many rows each write brought.
    pub(crate) sizes: Mutex<Vec<usize>>,
    /// The names of the metrics that came, in order.
    pub(crate) names: Mutex<Vec<String>>,
    /// The most rows it takes at once.
    pub(crate) most: Mutex<Option<usize>>,
}

impl Scripted {
    pub(crate) fn doing(script: &[Act]) -> Self {
        let this = Scripted::default();
        *this.0.script.lock().unwrap() = script.iter().rev().copied().collect();
        this
    }

    pub(crate) fn rows(&self) -> Vec<f64> {
        self.0.rows.lock().unwrap().clone()
    }

    pub(crate) fn release(&self) {
        *self.0.release.0.lock().unwrap() = true;
        self.0.release.1.notify_all();
    }

    pub(crate) fn spec(&self, name: &str) -> SinkSpec {
        let mut spec = SinkSpec::new(name, "scripted", Box::new(self.clone()));
        spec.batch.linger = Duration::from_millis(10);
        spec
    }
}

impl SinkConfig for Scripted {
    fn claims(&self) -> Vec<Resource> {
        let own = || format!("/nowhere/{:p}", Arc::as_ptr(&self.0)).into();
        vec![Resource::file(self.0.claim.lock().unwrap().clone().unwrap_or_else(own))]
    }

    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        self.0.opened.fetch_add(1, SeqCst);
        match *self.0.refuse_open.lock().unwrap() {
            Some(class) => Err(SinkError::new(class, "no such place")),
            None => Ok(Box::new(self.clone())),
        }
    }
}

impl SinkWriter for Scripted {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        self.0.deadlines.lock().unwrap().push(deadline.remaining());
        self.0.sizes.lock().unwrap().push(batch.rows().count());
        if self.0.most.lock().unwrap().is_some_and(|most| batch.rows().count() > most) {
            return Written::TooLarge;
        }
        let poison = *self.0.poison.lock().unwrap();
        assert!(!batch.rows().any(|row| Some(row.value) == poison), "told to panic");
        let act = {
            let mut script = self.0.script.lock().unwrap();
            if script.len() > 1 { script.pop() } else { script.last().copied() }
        };
        let take = |skip: usize| {
            let rows = || batch.rows().skip(skip);
            self.0.rows.lock().unwrap().extend(rows().map(|row| row.value));
            self.0.names.lock().unwrap().extend(rows().map(|row| row.metric().name.to_owned()));
        };
        match act.unwrap_or(Act::Take) {
            Act::Take => take(0),
            Act::Fail(class) => return Written::Failed(SinkError::new(class, "told to fail")),
            Act::RejectFirst => {
                take(1);
                return Written::Rejected(vec![
                    (0, "told to".into()),
                    (0, "twice".into()),
                    (99_999, "no row".into()),
                ]);
            }
            Act::Panic => panic!("told to panic"),
            Act::Hang => {
                let mut released = self.0.release.0.lock().unwrap();
                while !*released {
                    released = self.0.release.1.wait(released).unwrap();
                }
                // As the contract asks: what comes too late must not become visible.
                if deadline.is_over() {
                    return Written::Failed(SinkError::new(FaultClass::Cancelled, "woke up late"));
                }
                take(0);
            }
        }
        Written::All
    }

    fn close(&mut self, _: Deadline) -> Result<(), SinkError> {
        self.0.closed.store(true, SeqCst);
        Ok(())
    }
}

pub(crate) fn schema() -> Arc<Schema> {
    Schema::new(vec![Series::new(&VALUE, "wan1", "test")]).unwrap()
}

pub(crate) fn frame(schema: &Arc<Schema>, value: f64) -> Arc<Frame> {
    let mut frame = Frame::new(Timestamp::default(), schema);
    frame.push(0, value);
    Arc::new(frame)
}

pub(crate) fn event(value: f64) -> Arc<Event> {
    Arc::new(Event {
        at: Timestamp::default(),
        metric: &VALUE,
        wan: "wan1".into(),
        source: "test".into(),
        value,
        details: Arc::new(serde_json::Map::new()),
    })
}

pub(crate) fn start(specs: Vec<SinkSpec>) -> Pipeline {
    Pipeline::start(specs, PipelineOptions::default()).unwrap()
}

pub(crate) const LONG: Duration = Duration::from_secs(10);

/// A schema of several series, for frames of several rows.
pub(crate) fn wide(series: usize) -> Arc<Schema> {
    let labels: Vec<String> = (0..series).map(|i| i.to_string()).collect();
    let one = |label: &String| Series::new(&VALUE, "wan1", "test").with_labels(&[("n", label)]);
    Schema::new(labels.iter().map(one).collect()).unwrap()
}

/// A frame with these values, one for each series.
pub(crate) fn frame_of(schema: &Arc<Schema>, values: &[f64]) -> Arc<Frame> {
    let mut frame = Frame::new(Timestamp::default(), schema);
    for (series, value) in values.iter().enumerate() {
        frame.push(series, *value);
    }
    Arc::new(frame)
}

/// Waits for something that other threads bring about.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
