//! What four failing sinks cost the control thread and the healthy sinks beside them.
//!
//! One pipeline has a sink that hangs, one that panics at random, one with a locked database and one on a
//! full disk, and two healthy ones. A control with one null sink runs on another thread at the same time,
//! half a period apart. The accounts and what the healthy sinks received are checked; times are shown.
//!
//!     cargo bench --bench isolation                                  20 000 cycles, 2 000 a second
//!     cargo bench --bench isolation -- --hz 200 --cycles 100000      as the daemon at its fastest, 8 minutes
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod faulty;
mod frames;
mod locker;
mod report;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use wanctl::sink::{
    Batch, Deadline, MetricsSink, OpenContext, Pipeline, PipelineOptions, Registry, SinkConfig,
    SinkError, SinkSpec, SinkStats, SinkWriter, Written,
};

use faulty::Faults;
use frames::{Frames, ROWS};
use report::{Costs, header, micros, option, paced, verdict};

/// A sink may leave this many threads behind that hang.
const LEFT_BEHIND: u64 = 3;
/// What allocators and caches may add to the memory in use after the first tenth of the run.
const FLAT_KIB: u64 = 4096;
/// How often memory is looked at.
const TENTHS: usize = 10;

fn main() {
    if locker::serve() {
        return;
    }
    faulty::enter_own_mounts();
    let (cycles, hz) = (option("--cycles", 20_000.0) as u32, option("--hz", 2_000.0));
    let folder = tempfile::tempdir().unwrap();
    let healthy_file = folder.path().join("healthy.jsonl");
    let counting = Counting::default();
    // Short, so that they are full before the memory is first looked at.
    let (mut specs, faults) = Faults::new(folder.path(), f64::from(cycles) / hz / 50.0);
    specs.extend(healthy(&counting, &healthy_file));
    let options = PipelineOptions { frames_per_second: hz, ..Default::default() };
    let pipeline = Pipeline::start(specs, options.clone()).unwrap();
    let control = Pipeline::start(parse("control: { type: 'null' }"), options).unwrap();
    println!(
        "{cycles} cycles, {hz} a second, {ROWS} rows each; the full disk is {}",
        faults.disk()
    );

    let done = AtomicU32::new(0);
    let (failing, null, usage) = thread::scope(|scope| {
        let failing = scope.spawn(|| emits(&*pipeline.sink(), cycles, hz, 0.0, &done));
        let null = scope.spawn(|| emits(&*control.sink(), cycles, hz, 0.5, &AtomicU32::new(0)));
        let usage = watch(&done, cycles);
        (failing.join().unwrap(), null.join().unwrap(), usage)
    });
    faults.release();
    let stats = pipeline.shutdown(Duration::from_secs(3));
    control.shutdown(Duration::from_secs(3));
    let locks = faults.stop();

    header("cost of an emit, µs");
    failing.print("4 failing sinks, 2 healthy");
    null.print("control: 1 null sink");
    show_verdicts(&failing, &null);
    show_accounts(&stats);
    println!("  the database was locked {locks} times");
    usage.show(stats.len() as u64);
    check(&stats, cycles, &counting, &healthy_file);
    println!("  every account balances; the healthy sinks have every sample once, in order");
}

fn parse(yaml: &str) -> Vec<SinkSpec> {
    SinkSpec::parse_yaml(yaml, &Registry::linked().unwrap()).unwrap()
}

fn healthy(counting: &Counting, file: &Path) -> Vec<SinkSpec> {
    let mut specs =
        parse(&format!("file: {{ type: file, settings: {{ path: '{}' }} }}", file.display()));
    specs.push(SinkSpec::new("counting", "counting", Box::new(counting.clone())));
    specs
}

/// Emits a frame a cycle; measures the emit alone.
fn emits(sink: &dyn MetricsSink, cycles: u32, hz: f64, phase: f64, done: &AtomicU32) -> Costs {
    let frames = Frames::new();
    let prepare = |cycle| {
        done.store(cycle + 1, Relaxed);
        frames.make(cycle)
    };
    paced(cycles, hz, phase, prepare, |frame| {
        let _ = sink.emit(&frame);
    })
}

/// What the process used while the emits went on.
struct Usage {
    /// Resident memory after each tenth of the cycles, in KiB.
    memory: Vec<u64>,
    /// Threads at the start, and the most there ever were.
    threads: (u64, u64),
}

/// Looks at memory and threads until all cycles are done.
fn watch(done: &AtomicU32, cycles: u32) -> Usage {
    let threads_at_start = of_process("Threads:");
    let (mut memory, mut most_threads) = (Vec::with_capacity(TENTHS), threads_at_start);
    while memory.len() < TENTHS {
        most_threads = most_threads.max(of_process("Threads:"));
        if done.load(Relaxed) as usize * TENTHS >= cycles as usize * (memory.len() + 1) {
            memory.push(of_process("VmRSS:"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Usage { memory, threads: (threads_at_start, most_threads) }
}

/// A number from this process's status.
fn of_process(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

impl Usage {
    fn show(&self, sinks: u64) {
        let (memory, (first, most)) = (&self.memory, self.threads);
        println!("  memory after each tenth of the cycles, KiB: {memory:?}");
        let grown = memory[TENTHS - 1].saturating_sub(memory[0]);
        verdict(&format!("it grows by less than {FLAT_KIB} KiB"), grown < FLAT_KIB);
        println!("  threads {first} at the start, {most} at most");
        assert!(most <= first + sinks * LEFT_BEHIND, "threads leak");
    }
}

fn show_verdicts(failing: &Costs, null: &Costs) {
    let millisecond = Duration::from_millis(1);
    verdict("p99.99 at most 1 ms", failing.quantile(0.9999) <= millisecond);
    let bound = null.max().max(5 * millisecond);
    let what = format!("max at most 5 ms or the control's ({:.2} µs)", micros(null.max()));
    verdict(&what, failing.max() <= bound);
}

fn show_accounts(stats: &[SinkStats]) {
    println!("rows of each sink");
    for one in stats {
        println!(
            "  {:<10} offered {} = delivered {} + evicted {} + expired {} + rejected {} + quarantined {} \
             + lost at shutdown {} + unfinished {}; {} failures, {} panics, {} threads replaced",
            one.name,
            one.offered,
            one.delivered,
            one.evicted,
            one.expired,
            one.rejected,
            one.quarantined,
            one.lost_at_shutdown,
            one.queued + one.in_flight,
            one.failures,
            one.panics,
            one.replaced
        );
    }
}

/// The law for every sink; every sample, exactly once and in order, for the healthy ones.
fn check(stats: &[SinkStats], cycles: u32, counting: &Counting, file: &Path) {
    let rows = u64::from(cycles) * u64::from(ROWS);
    for one in stats {
        assert!(one.is_balanced(), "{one:?}");
        assert_eq!(one.offered, rows, "{}", one.name);
    }
    for name in ["counting", "file"] {
        let one = stats.iter().find(|one| one.name == name).unwrap();
        assert_eq!((one.delivered, one.redelivered), (rows, 0), "{one:?}");
    }
    assert_eq!(*counting.received.lock().unwrap(), Received { rows, out_of_order: 0 });
    let mut written = Received::default();
    for line in BufReader::new(fs::File::open(file).unwrap()).lines() {
        let row: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        written.take(row["value"].as_f64().unwrap());
    }
    assert_eq!(written, Received { rows, out_of_order: 0 });
}

/// A healthy sink that counts what it gets. A clone is the same count.
#[derive(Clone, Debug, Default)]
struct Counting {
    received: Arc<Mutex<Received>>,
}

/// Values that should be 0, 1, 2, …
#[derive(Debug, Default, PartialEq)]
struct Received {
    rows: u64,
    out_of_order: u64,
}

impl Received {
    fn take(&mut self, value: f64) {
        self.out_of_order += u64::from(value != self.rows as f64);
        self.rows += 1;
    }
}

impl SinkConfig for Counting {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(self.clone()))
    }
}

impl SinkWriter for Counting {
    fn write(&mut self, batch: &Batch<'_>, _: Deadline) -> Written {
        let mut received = self.received.lock().unwrap();
        batch.rows().for_each(|row| received.take(row.value));
        Written::All
    }
}
