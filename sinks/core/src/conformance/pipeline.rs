//! The sink behind a queue and a worker of its own: conservation, isolation, accounts.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::bench::{self, Bench, LIMIT, Stopwatch, accounts, wait_for};
use super::rows::{Random, Rows};
use super::{Fault, Harness, Keeps, Outcome};
use crate::{
    Batch, Deadline, Item, OpenContext, Pipeline, SinkConfig, SinkError, SinkSpec, SinkStats,
    SinkWriter, Written,
};

/// How long an emit may take: a generous limit for a machine that is busy with other tests. What an
/// emit costs is a matter for benchmarks.
const EMIT: Duration = Duration::from_millis(100);
/// How many emits may take longer all the same, because the machine gave the time to somebody else.
const INTERRUPTED: usize = 2;

/// How long a script stays as it is.
const PAUSE: Duration = Duration::from_millis(40);

/// What is emitted while the destination is broken arrives after it was mended. Needs [`Fault::Refuses`].
///
/// # Errors
///
/// What is lost or there twice.
pub fn outage_loses_no_row<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let pipeline = bench.pipeline()?;
    let sink = pipeline.sink();
    bench.emit(&*sink, Item::Frame(rows.frame()));
    if !pipeline.flush(LIMIT) {
        return Err("a flush of the pipeline was not done in time".to_owned());
    }
    if !bench.harness.break_down(Fault::Refuses) {
        return Ok(());
    }
    for _ in 0..5 {
        bench.emit(&*sink, Item::Frame(rows.frame()));
        bench.emit(&*sink, Item::Event(rows.event()));
    }
    let noticed = wait_for(LIMIT, || {
        let delivered = |one: &SinkStats| one.delivered == one.offered;
        pipeline.stats().iter().any(|one| one.failures > 0 || delivered(one))
    });
    bench.harness.mend();
    if !noticed {
        return Err("the destination is broken, and no call fails".to_owned());
    }
    for _ in 0..5 {
        bench.emit(&*sink, Item::Frame(rows.frame()));
    }
    finish(&bench, pipeline).map(drop)
}

/// Whatever happens in whatever order, every row is accounted for and what counts as delivered is there:
/// random scripts, the same in every run, of emits, flushes, restarts, breaking and mending.
///
/// # Errors
///
/// The script and the step that went wrong.
pub fn random_scripts_balance<H: Harness>() -> Outcome {
    for script in 0..6 {
        run_script::<H>(&mut Random(script))
            .map_err(|error| format!("script {script}: {error}"))?;
    }
    Ok(())
}

fn run_script<H: Harness>(random: &mut Random) -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let mut pipeline = bench.pipeline()?;
    let mut broken = false;
    for _ in 0..40 {
        let sink = pipeline.sink();
        match random.below(12) {
            0..=4 => {
                for _ in 0..=random.below(8) {
                    bench.emit(&*sink, Item::Frame(rows.frame()));
                }
            }
            5 | 6 => bench.emit(&*sink, Item::Event(rows.event())),
            7 => {
                // It may fail while the destination is broken.
                let _ = pipeline.flush(PAUSE);
            }
            8 | 9 if !broken => broken = bench.harness.break_down(Fault::Refuses),
            10 if !broken && H::KEEPS != Keeps::Newest => {
                whole(&accounts(pipeline.shutdown(LIMIT))?)?;
                pipeline = bench.pipeline()?;
            }
            11 => {
                // Time for the worker to see how things are.
                wait_for(PAUSE, || false);
            }
            _ => {
                bench.harness.mend();
                broken = false;
            }
        }
    }
    bench.harness.mend();
    finish(&bench, pipeline).map(drop)
}

/// Beside a sink that panics and one that hangs, this one gets every row, and no emit waits.
///
/// # Errors
///
/// What is lost, or how long an emit took.
pub fn other_sinks_faults_change_nothing<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let gate = Gate::default();
    let beside = |name: &str, config: Box<dyn SinkConfig>| {
        let mut spec = SinkSpec::new(name, "conformance", config);
        spec.batch.linger = Duration::from_millis(10);
        spec
    };
    let pipeline = bench::start(vec![
        beside("panics", Box::new(Panics)),
        bench.spec()?,
        beside("hangs", Box::new(Hangs(gate.clone()))),
    ])?;
    let sink = pipeline.sink();
    let mut slow = Vec::new();
    for _ in 0..300 {
        let item = Item::Frame(rows.frame());
        let watch = Stopwatch::start();
        bench.emit(&*sink, item);
        slow.extend(Some(watch.elapsed()).filter(|elapsed| EMIT < *elapsed));
    }
    let is_done = |one: &SinkStats| one.name == bench::NAME && one.queued + one.in_flight == 0;
    let arrived = wait_for(LIMIT, || pipeline.stats().iter().any(is_done));
    // The others do what they do all the while; only now may the one that hangs go.
    gate.open();
    if !arrived {
        return Err("rows still wait, beside a sink that hangs and one that panics".to_owned());
    }
    if INTERRUPTED < slow.len() {
        return Err(format!("emits took {slow:?}"));
    }
    if H::KEEPS == Keeps::Newest {
        bench.ledger.compare(&bench.harness)?;
        drop(pipeline.shutdown(Duration::from_secs(1)));
        return Ok(());
    }
    whole(&accounts(pipeline.shutdown(Duration::from_secs(1)))?)?;
    bench.ledger.compare(&bench.harness)
}

/// The sink's accounts are the numbers of rows that were sent, values that are none included.
///
/// # Errors
///
/// The number that is another one.
pub fn accounts_equal_what_was_sent<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let pipeline = bench.pipeline()?;
    let sink = pipeline.sink();
    let mut sent = 0;
    for _ in 0..20 {
        let frame = rows.frame();
        sent += frame.samples().len() as u64;
        bench.emit(&*sink, Item::Frame(frame));
    }
    for _ in 0..3 {
        bench.emit(&*sink, Item::Event(rows.event()));
        sent += 1;
    }
    bench.emit(&*sink, Item::Frame(rows.frame_of(&[1.0, f64::NAN, f64::INFINITY])));
    let (sent, refused) = (sent + 1, 2);
    let stats = finish(&bench, pipeline)?;
    let numbers = [
        ("offered", stats.offered, sent + refused),
        ("delivered", stats.delivered, sent),
        ("rejected", stats.rejected, refused),
        ("failures", stats.failures, 0),
        ("panics", stats.panics, 0),
    ];
    match numbers.iter().find(|(_, found, expected)| found != expected) {
        Some((name, found, expected)) => Err(format!("{name} is {found}, not {expected}")),
        None => Ok(()),
    }
}

/// Ends a pipeline of a destination that works, and compares accounts and destination.
fn finish<H: Harness>(bench: &Bench<H>, pipeline: Pipeline) -> Result<SinkStats, String> {
    if H::KEEPS == Keeps::Newest {
        if !pipeline.flush(LIMIT) {
            return Err("a flush of the pipeline was not done in time".to_owned());
        }
        bench.ledger.compare(&bench.harness)?;
        return accounts(pipeline.shutdown(LIMIT));
    }
    // The last tries of a shutdown don't wait for their turn, as a flush after an outage would.
    let stats = accounts(pipeline.shutdown(LIMIT))?;
    whole(&stats)?;
    bench.ledger.compare(&bench.harness)?;
    Ok(stats)
}

/// Whether all rows are accounted for, and none was given up.
fn whole(stats: &SinkStats) -> Outcome {
    if !stats.is_balanced() {
        return Err(format!("the accounts don't balance: {stats:?}"));
    }
    let gone = stats.evicted + stats.expired + stats.quarantined + stats.unwritten();
    if gone != 0 {
        return Err(format!("{gone} rows were given up though the destination works: {stats:?}"));
    }
    Ok(())
}

/// A sink that panics at every write.
#[derive(Clone, Debug)]
struct Panics;

impl SinkConfig for Panics {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(Panics))
    }
}

impl SinkWriter for Panics {
    fn write(&mut self, _: &Batch<'_>, _: Deadline) -> Written {
        panic!("this sink of the conformance kit panics at every write")
    }
}

/// A sink that does not return from a write, whatever its deadline, until the gate opens.
#[derive(Clone, Debug)]
struct Hangs(Gate);

impl SinkConfig for Hangs {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(self.clone()))
    }
}

impl SinkWriter for Hangs {
    fn write(&mut self, _: &Batch<'_>, _: Deadline) -> Written {
        self.0.wait();
        Written::All
    }
}

/// Keeps threads waiting until it opens.
#[derive(Clone, Debug, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let is_open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_while(is_open, |is_open| !*is_open));
    }
}
