//! What recording costs the control thread, while the database is locked and unlocked at random.
//!
//! Both controllers step at once, each on its own thread, 100 000 cycles; a second process takes and
//! releases the write lock of their database. Beside them, in the same run: the same steps with no sink
//! at all, and one synchronous insert per cycle, as the original recorded.
//!
//!     cargo bench --bench recording                      2 000 cycles a second, about a minute
//!     cargo bench --bench recording -- --hz 200          as the daemon at its fastest, 10 minutes
//!     cargo bench --bench recording -- --hz 0            back to back
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use wanctl::autorate::{self, Probe};
use wanctl::runner::{AutorateRunner, RouteOutcome, SteeringRunner};
use wanctl::sink::{Fanout, MetricsSink, Pipeline, PipelineOptions, Registry, SinkSpec, Timestamp};
use wanctl::steering;

/// What the original promised of recording, and kept on average only.
const LIMIT: Duration = Duration::from_millis(5);

const CONFIG: &str = include_str!("../../config/quickstart.yaml");

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str, default: f64| {
        let at = arguments.iter().position(|a| a == name);
        at.map_or(default, |at| arguments[at + 1].parse().expect("a number"))
    };
    if let Some(at) = arguments.iter().position(|a| a == "--lock") {
        return lock_at_random(Path::new(&arguments[at + 1]));
    }
    let cycles = value("--cycles", 100_000.0) as u32;
    let hz = value("--hz", 2_000.0);

    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("bench.db");
    let mut locker = Locker::start(&database);
    let pipeline = pipeline(&database, hz);
    println!(
        "{cycles} cycles, {} a second, database locked and unlocked at random",
        if hz > 0.0 { hz.to_string() } else { "as many as possible".into() }
    );
    println!("{:<34} {:>9} {:>9} {:>9} {:>9}", "cost of a cycle, µs", "p50", "p99", "p99.9", "max");
    thread::scope(|scope| {
        let autorate = scope.spawn(|| autorate_cycles(pipeline.sink(), cycles, hz));
        let steering = scope.spawn(|| steering_cycles(pipeline.sink(), cycles, hz));
        let worst = report("autorate, sqlite sink", autorate.join().unwrap())
            .max(report("steering, sqlite sink", steering.join().unwrap()));
        let verdict = if worst < LIMIT { "met" } else { "missed" };
        println!("  below {LIMIT:?} in the worst of all cycles: {verdict}");
    });
    let locks = locker.stop();
    for stats in pipeline.shutdown(Duration::from_secs(60)) {
        assert!(stats.is_balanced(), "{stats:?}");
        println!(
            "  {} of {} rows delivered, {} evicted, {} failed tries",
            stats.delivered, stats.offered, stats.evicted, stats.failures
        );
    }
    println!("  the lock was taken {locks} times");
    let control = cycles.min(20_000);
    println!("control: {control} cycles");
    thread::scope(|scope| {
        let none = || Box::new(Fanout::default());
        let autorate = scope.spawn(move || autorate_cycles(none(), control, hz));
        let steering = scope.spawn(move || steering_cycles(none(), control, hz));
        report("autorate, no sink", autorate.join().unwrap());
        report("steering, no sink", steering.join().unwrap());
    });
    report(
        "8 synchronous inserts, unlocked",
        synchronous_inserts(&folder.path().join("sync.db"), cycles.min(5_000)),
    );
}

fn pipeline(database: &Path, hz: f64) -> Pipeline {
    let sinks =
        format!("history: {{ type: sqlite, settings: {{ path: '{}' }} }}", database.display());
    let specs = SinkSpec::parse_yaml(&sinks, &Registry::linked().unwrap()).unwrap();
    let frames_per_second = if hz > 0.0 { 2.0 * hz } else { 10_000.0 };
    Pipeline::start(specs, PipelineOptions { frames_per_second, ..Default::default() }).unwrap()
}

/// A signal that goes through all zones: a slow wave with noise.
fn rtt(cycle: u32) -> f64 {
    let noise = f64::from(cycle.wrapping_mul(2_654_435_761) >> 20) / 1_000.0;
    23.0 + 45.0 * (f64::from(cycle) / 300.0).sin().max(0.0) + noise
}

/// The time a cycle stands for. Cycles that make up for a delay come faster than a clock counts.
fn stamp(cycle: u32) -> Timestamp {
    let mono_nanos = u64::from(cycle) * 50_000_000;
    Timestamp { unix_nanos: 1_769_300_000_000_000_000 + mono_nanos as i64, mono_nanos }
}

/// Runs `cycle` on an absolute schedule; returns what each took.
fn paced(cycles: u32, hz: f64, mut cycle: impl FnMut(u32)) -> Vec<Duration> {
    let start = Instant::now();
    let mut costs = Vec::with_capacity(cycles as usize);
    for i in 0..cycles {
        if hz > 0.0 {
            let due = start + Duration::from_secs_f64(f64::from(i) / hz);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let began = Instant::now();
        cycle(i);
        costs.push(began.elapsed());
    }
    costs
}

fn autorate_cycles(sink: Box<dyn MetricsSink>, cycles: u32, hz: f64) -> Vec<Duration> {
    let config = wanctl::config::parse(CONFIG, Path::new("quickstart.yaml")).unwrap();
    let policy = config.autorate.unwrap().policy;
    let mut runner = AutorateRunner::new("wan1", policy, sink).unwrap();
    paced(cycles, hz, |i| {
        let observation =
            autorate::Observation { probe: Probe::Icmp(rtt(i)), elapsed_seconds: 0.05 };
        runner.step(stamp(i), &observation, |_| {});
    })
}

fn steering_cycles(sink: Box<dyn MetricsSink>, cycles: u32, hz: f64) -> Vec<Duration> {
    let config = wanctl::config::parse(CONFIG, Path::new("quickstart.yaml")).unwrap();
    let policy = config.steering().unwrap().policy.clone();
    let mut runner = SteeringRunner::new(policy, sink).unwrap();
    paced(cycles, hz, |i| {
        let at = stamp(i);
        let observation = steering::Observation {
            rtt_ms: Some(rtt(i)),
            baseline_ms: Some(23.0),
            cake: None,
            elapsed_seconds: 0.05,
            mono_seconds: at.mono_nanos as f64 / 1e9,
        };
        runner.step(at, &observation, |_| RouteOutcome::Changed);
    })
}

/// One transaction of eight rows per cycle on the caller's thread, with the original's pragmas.
fn synchronous_inserts(database: &Path, cycles: u32) -> Vec<Duration> {
    let connection = rusqlite::Connection::open(database).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
             CREATE TABLE metrics(id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, wan_name TEXT NOT NULL,
               metric_name TEXT NOT NULL, value REAL NOT NULL, labels TEXT, granularity TEXT DEFAULT 'raw');
             CREATE INDEX a ON metrics(timestamp); CREATE INDEX b ON metrics(wan_name, metric_name, timestamp);
             CREATE INDEX c ON metrics(granularity, timestamp);",
        )
        .unwrap();
    paced(cycles, 0.0, |i| {
        connection.execute_batch("BEGIN").unwrap();
        let mut insert = connection
            .prepare_cached("INSERT INTO metrics(timestamp, wan_name, metric_name, value) VALUES (?1, 'wan1', ?2, ?3)")
            .unwrap();
        for metric in
            ["rtt", "baseline", "delta", "download", "upload", "down_state", "up_state", "probe"]
        {
            insert.execute((1_769_300_000 + i64::from(i / 20), metric, rtt(i))).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
    })
}

/// Prints a line; returns the worst.
fn report(name: &str, mut costs: Vec<Duration>) -> Duration {
    costs.sort_unstable();
    let at = |share: f64| {
        let index = ((costs.len() - 1) as f64 * share) as usize;
        costs[index].as_nanos() as f64 / 1_000.0
    };
    println!("{name:<34} {:>9.2} {:>9.2} {:>9.2} {:>9.2}", at(0.5), at(0.99), at(0.999), at(1.0));
    costs[costs.len() - 1]
}

/// A second process that takes and releases the write lock.
struct Locker(Child);

impl Locker {
    fn start(database: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program)
            .arg("--lock")
            .arg(database)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        Locker(child)
    }

    /// Ends the process; returns how often it had the lock.
    fn stop(&mut self) -> u32 {
        use std::io::Read;
        drop(self.0.stdin.take());
        let mut locks = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut locks).unwrap();
        self.0.wait().unwrap();
        locks.trim().parse().unwrap()
    }
}

/// Holds the write lock for up to 300 ms, lets go for up to 100 ms, until standard input closes.
fn lock_at_random(database: &Path) {
    use std::io::Read;
    let over = thread::spawn(|| std::io::stdin().read(&mut [0]));
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let (mut seed, mut locks) = (0x9E37_79B9_u32, 0_u32);
    let mut random = |most: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        Duration::from_millis(u64::from(seed) % most)
    };
    while !over.is_finished() {
        if connection.execute_batch("BEGIN EXCLUSIVE").is_ok() {
            locks += 1;
            thread::sleep(random(300));
            connection.execute_batch("COMMIT").unwrap();
        }
        thread::sleep(random(100));
    }
    println!("{locks}");
}
