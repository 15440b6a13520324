//! What an emit costs the control thread, beside what other ways of recording cost, and how many rows a
//! second a pipeline carries.
//!
//! Back to back, everything is warm; paced, each call comes after a pause, as in the daemon. Paced emits
//! and their control run at the same time on threads of their own, half a period apart, so that they share
//! the machine's moods. In a few thousand calls p99.9 is one of the worst few.
//!
//!     cargo bench --bench emit                                  about a minute
//!     cargo bench --bench emit -- --hz 200 --seconds 500        paced calls only at this rate, for longer
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod faulty;
mod frames;
mod insert;
mod locker;
mod report;

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use criterion::{Bencher, Criterion};
use wanctl::sink::{Frame, MetricsSink, Pipeline, PipelineOptions, Registry, SinkSpec};

use faulty::Faults;
use frames::{Frames, ROWS};
use insert::SynchronousInsert;
use report::{Costs, header, micros, option, paced, verdict};

/// This many emits back to back fit into the queues, which are emptied every time before.
const AT_ONCE: u32 = 1000;
/// Fan-out to as many null sinks.
const FAN_OUT: [u32; 3] = [1, 4, 16];
/// How many frames are sent through a pipeline for its throughput; its queue holds all of them.
const THROUGHPUT: u32 = 100_000;
/// Percentiles of fewer calls are shown, not judged: p99.9 would be the worst one.
const JUDGED: usize = 1000;
/// Longer than anything healthy takes.
const LONG: Duration = Duration::from_secs(120);

fn main() {
    if locker::serve() {
        return;
    }
    faulty::enter_own_mounts();
    let (hz, seconds) = (option("--hz", 0.0), option("--seconds", 8.0));
    back_to_back();
    allocations();
    for hz in if hz > 0.0 { vec![hz] } else { vec![200.0, 20.0] } {
        at_rate(hz, seconds);
    }
    throughput();
}

fn back_to_back() {
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    let frames = Frames::new();
    let mut cycle = 0;
    criterion.bench_function("frame of 8 samples, made", |b| {
        b.iter_with_large_drop(|| {
            cycle += 1;
            frames.make(cycle)
        });
    });
    for sinks in FAN_OUT {
        let pipeline = nulls(sinks);
        let name = format!("frame of 8 samples, emitted to {sinks} null sinks");
        criterion.bench_function(&name, |b| emit_back_to_back(b, &pipeline));
        pipeline.shutdown(LONG);
    }
    let gauges = Gauges::new();
    criterion.bench_function("8 held gauges of metrics, set", |b| b.iter(|| gauges.set(1.5)));
    with_null_writer(|| {
        criterion.bench_function("tracing::info! of 8 fields to a null writer", |b| {
            b.iter(|| log(black_box(1.5)));
        });
    });
    let folder = tempfile::tempdir().unwrap();
    let original = SynchronousInsert::open(&folder.path().join("sync.db"));
    criterion.bench_function("8 rows inserted into SQLite, synchronously", |b| {
        b.iter(|| {
            cycle += 1;
            original.insert(cycle);
        });
    });
}

/// Emits to queues that have room, as in a healthy daemon: they are emptied between the measured parts.
fn emit_back_to_back(bencher: &mut Bencher<'_>, pipeline: &Pipeline) {
    let (frames, sink) = (Frames::new(), pipeline.sink());
    bencher.iter_custom(|iterations| {
        let (mut left, mut took) = (iterations, Duration::ZERO);
        while left > 0 {
            let some = left.min(u64::from(AT_ONCE)) as u32;
            let some: Vec<Arc<Frame>> = (0..some).map(|cycle| frames.make(cycle)).collect();
            let began = Instant::now();
            for frame in &some {
                let _ = black_box(sink.emit(frame));
            }
            took += began.elapsed();
            left -= some.len() as u64;
            assert!(pipeline.flush(LONG));
        }
        took
    });
}

fn parse(yaml: &str) -> Vec<SinkSpec> {
    SinkSpec::parse_yaml(yaml, &Registry::linked().unwrap()).unwrap()
}

/// A pipeline of these sinks, whose queues hold a minute of as many frames a second unless they say otherwise.
fn pipeline(specs: Vec<SinkSpec>, frames_per_second: f64) -> Pipeline {
    Pipeline::start(specs, PipelineOptions { frames_per_second, ..Default::default() }).unwrap()
}

fn nulls(sinks: u32) -> Pipeline {
    let sinks: String = (0..sinks).map(|n| format!("null{n}: {{ type: 'null' }}\n")).collect();
    pipeline(parse(&sinks), f64::from(AT_ONCE) / 60.0)
}

/// One of each kind that needs nothing but a folder.
fn healthy(folder: &Path) -> Vec<SinkSpec> {
    parse(&format!(
        "nothing: {{ type: 'null' }}\nmemory: {{ type: memory }}\n\
         trace: {{ type: file, settings: {{ path: '{0}/trace.jsonl' }} }}\n\
         history: {{ type: sqlite, settings: {{ path: '{0}/history.db' }} }}",
        folder.display()
    ))
}

/// Eight gauges, held as an instrumented program holds them; a recorder that exports reads the same cells.
struct Gauges(Vec<metrics::Gauge>);

impl Gauges {
    fn new() -> Self {
        let gauge = |_| metrics::Gauge::from_arc(Arc::new(AtomicU64::new(0)));
        Gauges((0..ROWS).map(gauge).collect())
    }

    fn set(&self, value: f64) {
        self.0.iter().for_each(|gauge| gauge.set(black_box(value)));
    }
}

/// Runs this where events of `tracing` are formatted and thrown away.
fn with_null_writer(run: impl FnOnce()) {
    let subscriber = tracing_subscriber::fmt().with_writer(io::sink).finish();
    tracing::subscriber::with_default(subscriber, run);
}

fn log(value: f64) {
    tracing::info!(
        a = value,
        b = value,
        c = value,
        d = value,
        e = value,
        f = value,
        g = value,
        h = value
    );
}

/// Heap allocations on the calling thread.
fn allocations() {
    let frames = Frames::new();
    println!("allocations of a cycle");
    let show = |what: &str, cycle: &mut dyn FnMut()| {
        (0..100).for_each(|_| cycle());
        let count = measure(|| (0..1000).for_each(|_| cycle())).count_total;
        println!("  {what:<42} {}", count as f64 / 1000.0);
        count
    };
    show("frame made", &mut || drop(black_box(frames.make(1))));
    for sinks in FAN_OUT {
        let (pipeline, frame) = (nulls(sinks), frames.make(1));
        let sink = pipeline.sink();
        let emit = show(&format!("frame emitted to {sinks} null sinks"), &mut || {
            let _ = sink.emit(&frame);
        });
        assert_eq!(emit, 0, "an emit allocates");
        pipeline.shutdown(LONG);
    }
    let gauges = Gauges::new();
    show("gauges set", &mut || gauges.set(1.5));
    with_null_writer(|| {
        show("tracing::info!", &mut || log(1.5));
    });
}

/// Emits and inserts at this rate, for as long.
fn at_rate(hz: f64, seconds: f64) {
    let cycles = (hz * seconds).ceil() as u32;
    let folder = tempfile::tempdir().unwrap();
    let original = SynchronousInsert::open(&folder.path().join("sync.db"));
    // One after the other: what one makes the disk and the processors do disturbs whatever runs beside it.
    let original_costs = paced(cycles, hz, 0.0, |cycle| cycle, |cycle| original.insert(cycle));
    let healthy = beside_control(healthy(folder.path()), cycles, hz, || {});
    let (specs, faults) = Faults::new(folder.path(), seconds / 50.0);
    let failing = beside_control(specs, cycles, hz, || faults.release());
    let disk = faults.disk();
    let locks = faults.stop();
    header(&format!("cost at {hz} a second, µs"));
    original_costs.print("8 rows inserted, synchronously");
    for (name, [control_costs, costs]) in
        [("emit to 4 healthy sinks", healthy), ("emit to 4 failing sinks", failing)]
    {
        control_costs.print("control beside: emit to 1 null sink");
        costs.print(name);
        show_verdicts(&costs, &control_costs, &original_costs);
    }
    println!("  their full disk is {disk}; their database was locked {locks} times");
}

/// Emits to these sinks and, half a period apart, to a null sink. Returns the null sink's costs first.
fn beside_control(specs: Vec<SinkSpec>, cycles: u32, hz: f64, after: impl FnOnce()) -> [Costs; 2] {
    let pipelines = [pipeline(parse("control: { type: 'null' }"), hz), pipeline(specs, hz)];
    let costs = thread::scope(|scope| {
        let [control, sinks] = &pipelines;
        [(control, 0.0), (sinks, 0.5)]
            .map(|(pipeline, phase)| {
                let sink = pipeline.sink();
                scope.spawn(move || emits(&*sink, cycles, hz, phase))
            })
            .map(|thread| thread.join().unwrap())
    });
    after();
    for one in pipelines.into_iter().flat_map(|one| one.shutdown(Duration::from_secs(1))) {
        assert!(one.is_balanced(), "{one:?}");
    }
    costs
}

fn emits(sink: &dyn MetricsSink, cycles: u32, hz: f64, phase: f64) -> Costs {
    let frames = Frames::new();
    paced(
        cycles,
        hz,
        phase,
        |cycle| frames.make(cycle),
        |frame| {
            let _ = sink.emit(&frame);
        },
    )
}

fn show_verdicts(emit: &Costs, control: &Costs, insert: &Costs) {
    if emit.calls() < JUDGED {
        return;
    }
    let times = |share: f64, of: &Costs, by: &Costs| {
        micros(of.quantile(share)) / micros(by.quantile(share))
    };
    let typical = times(0.5, emit, control);
    verdict(&format!("p50 at most 3 times the control's ({typical:.1})"), typical <= 3.0);
    let (rare, tail) = (times(0.999, emit, control), emit.quantile(0.999));
    let what = format!("p99.9 at most 10 µs or 3 times the control's ({rare:.1})");
    verdict(&what, rare <= 3.0 || tail <= Duration::from_micros(10));
    let (rare, typical) = (times(0.99, insert, emit), times(0.5, insert, emit));
    let what =
        format!("p99 100 times less than the insert's ({rare:.0}; p50 to p50: {typical:.0})");
    verdict(&what, rare >= 100.0);
}

/// From the first emit until everything is written.
fn throughput() {
    let folder = tempfile::tempdir().unwrap();
    let frames = Frames::new();
    println!("{:<34} {:>9}", "throughput", "rows/s");
    let file = |format: &str| {
        let path = folder.path().join(format);
        format!("{{ type: file, settings: {{ path: '{}', format: {format} }} }}", path.display())
    };
    let database = folder.path().join("history.db");
    for (name, sink) in [
        ("null", "{ type: 'null' }".to_owned()),
        ("file, jsonl", file("jsonl")),
        ("file, csv", file("csv")),
        ("file, influx", file("influx")),
        ("sqlite", format!("{{ type: sqlite, settings: {{ path: '{}' }} }}", database.display())),
    ] {
        let pipeline = pipeline(parse(&format!("sink: {sink}")), f64::from(THROUGHPUT) / 60.0);
        let sink = pipeline.sink();
        let began = Instant::now();
        for cycle in 0..THROUGHPUT {
            let _ = sink.emit(&frames.make(cycle));
        }
        assert!(pipeline.flush(LONG), "{name}");
        let took = began.elapsed().as_secs_f64();
        for one in pipeline.shutdown(LONG) {
            assert_eq!(one.delivered, u64::from(THROUGHPUT * ROWS), "{one:?}");
        }
        println!("{name:<34} {:>9.0}", f64::from(THROUGHPUT * ROWS) / took);
    }
}
