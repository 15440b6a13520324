//! The pipeline against a destination that does what a test tells it to.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use proptest::prelude::*;
use wanctl_sink::*;

use crate::support::*;

#[test]
fn everything_emitted_is_delivered_in_order_and_shutdown_closes() {
    let destination = Scripted::default();
    let pipeline = start(vec![destination.spec("a")]);
    let (sink, schema) = (pipeline.sink(), schema());
    for i in 0..500 {
        assert_eq!(sink.emit(&frame(&schema, f64::from(i))), Admission::Queued);
    }
    let stats = pipeline.shutdown(LONG);
    assert_eq!(destination.rows(), (0..500).map(f64::from).collect::<Vec<_>>());
    assert_eq!((stats[0].offered, stats[0].delivered), (500, 500));
    assert!(stats[0].is_balanced() && destination.0.closed.load(SeqCst));
    assert_eq!(sink.emit(&frame(&schema, 1.0)), Admission::Closed);
}

#[test]
fn a_failed_batch_comes_again_until_it_is_taken() {
    let destination = Scripted::doing(&[
        Act::Fail(FaultClass::Transient),
        Act::Fail(FaultClass::Corrupt),
        Act::Take,
    ]);
    let pipeline = start(vec![destination.spec("a")]);
    let _ = pipeline.sink().emit(&frame(&schema(), 7.0));
    assert!(pipeline.flush(LONG));
    let stats = &pipeline.stats()[0];
    assert_eq!(destination.rows(), [7.0]);
    assert_eq!((stats.delivered, stats.failures), (1, 2));
    assert_eq!(destination.0.opened.load(SeqCst), 2, "a corrupt destination is opened again");
}

#[test]
fn one_bad_row_does_not_hold_up_its_neighbours() {
    let destination = Scripted::doing(&[Act::RejectFirst]);
    let pipeline = start(vec![destination.spec("a")]);
    let (sink, schema) = (pipeline.sink(), schema());
    let _ = sink.emit(&frame(&schema, 1.0));
    let _ = sink.emit(&frame(&schema, 2.0));
    let stats = &pipeline.shutdown(LONG)[0];
    assert!(stats.rejected >= 1 && stats.is_balanced(), "{stats:?}");
    assert_eq!(stats.delivered as usize, destination.rows().len());
}

#[test]
fn a_panic_reopens_the_sink_and_the_third_puts_the_batch_aside() {
    let destination = Scripted::doing(&[Act::Panic, Act::Panic, Act::Panic, Act::Take]);
    let pipeline = start(vec![destination.spec("a")]);
    let (sink, schema) = (pipeline.sink(), schema());
    let _ = sink.emit(&frame(&schema, 1.0));
    assert!(pipeline.flush(LONG));
    let _ = sink.emit(&frame(&schema, 2.0));
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!((stats.panics, stats.quarantined, stats.delivered), (3, 1, 1));
    assert_eq!(destination.rows(), [2.0]);
    assert!(stats.is_balanced());
}

#[test]
fn a_hung_sink_delays_neither_emits_nor_its_neighbour_nor_the_shutdown() {
    let hung = Scripted::doing(&[Act::Hang]);
    let healthy = Scripted::default();
    let pipeline = start(vec![hung.spec("hung"), healthy.spec("healthy")]);
    let (sink, schema) = (pipeline.sink(), schema());
    for i in 0..100 {
        let _ = sink.emit(&frame(&schema, f64::from(i)));
    }
    let stats = pipeline.shutdown(Duration::from_millis(300));
    assert_eq!(healthy.rows().len(), 100);
    assert_eq!(stats[0].delivered, 0);
    assert!(stats.iter().all(SinkStats::is_balanced), "{stats:?}");
    hung.release();
}

#[test]
fn a_full_queue_gives_up_the_oldest_and_counts_it() {
    let hung = Scripted::doing(&[Act::Hang]);
    let mut spec = hung.spec("a");
    spec.queue = QueueOptions { seconds: 1.0, full: Overflow::DropOldest };
    let pipeline = Pipeline::start(
        vec![spec],
        PipelineOptions { frames_per_second: 4.0, ..Default::default() },
    )
    .unwrap();
    let (sink, schema) = (pipeline.sink(), schema());
    let answers: Vec<_> = (0..200).map(|i| sink.emit(&frame(&schema, f64::from(i)))).collect();
    assert!(answers.contains(&Admission::Evicted(1)));
    let _ = sink.event(&event(-1.0));
    hung.release();
    let stats = &pipeline.shutdown(LONG)[0];
    assert!(stats.evicted > 0 && stats.is_balanced(), "{stats:?}");
    let rows = hung.rows();
    assert_eq!(rows.len() as u64, stats.delivered);
    assert!(rows.contains(&199.0) && rows.contains(&-1.0), "the newest and the event survive");
}

#[test]
fn drop_newest_refuses_and_latest_keeps_one() {
    for (full, kept) in [(Overflow::DropNewest, 0.0), (Overflow::Latest, 99.0)] {
        let destination = Scripted::default();
        let mut spec = destination.spec("a");
        // Nothing is taken from the queue before the shutdown.
        spec.batch.linger = Duration::from_secs(3600);
        spec.queue = QueueOptions { seconds: 1.0, full };
        let options = PipelineOptions { frames_per_second: 1.0, ..Default::default() };
        let pipeline = Pipeline::start(vec![spec], options).unwrap();
        let (sink, schema) = (pipeline.sink(), schema());
        for i in 0..100 {
            let _ = sink.emit(&frame(&schema, f64::from(i)));
        }
        let stats = &pipeline.shutdown(LONG)[0];
        assert!(destination.rows().contains(&kept), "{full:?}: {:?}", destination.rows());
        assert!(stats.evicted > 90 && stats.is_balanced(), "{full:?}: {stats:?}");
    }
}

#[test]
fn values_that_are_not_numbers_are_counted_and_never_reach_a_sink() {
    let destination = Scripted::default();
    let pipeline = start(vec![destination.spec("a")]);
    let (sink, schema) = (pipeline.sink(), schema());
    for value in [f64::NAN, f64::INFINITY, 3.0] {
        let _ = sink.emit(&frame(&schema, value));
    }
    assert_eq!(sink.event(&event(f64::NAN)), Admission::Refused);
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!((stats.offered, stats.rejected, stats.delivered), (4, 3, 1));
    assert_eq!(destination.rows(), [3.0]);
}

#[test]
fn a_destination_that_can_not_work_is_an_error_unless_startup_says_otherwise() {
    let spec = |startup| {
        let destination = Scripted::default();
        *destination.0.refuse_open.lock().unwrap() = Some(FaultClass::Config);
        let mut spec = destination.spec("a");
        spec.startup = startup;
        spec
    };
    let issues =
        Pipeline::start(vec![spec(Startup::Error)], PipelineOptions::default()).unwrap_err();
    assert_eq!(issues[0].to_string(), "sinks.a: no such place");

    let pipeline = start(vec![spec(Startup::Ignore)]);
    assert_eq!(pipeline.sink().emit(&frame(&schema(), 1.0)), Admission::Refused);
    assert_eq!(pipeline.stats()[0].rejected, 1);

    let pipeline = start(vec![spec(Startup::Retry)]);
    assert_eq!(pipeline.sink().emit(&frame(&schema(), 1.0)), Admission::Queued);
    let stats = &pipeline.shutdown(Duration::from_millis(100))[0];
    assert_eq!(stats.lost_at_shutdown, 1);
    assert!(stats.is_balanced());
}

#[test]
fn a_destination_that_is_only_busy_does_not_stop_the_start() {
    let destination = Scripted::default();
    *destination.0.refuse_open.lock().unwrap() = Some(FaultClass::Transient);
    let pipeline = start(vec![destination.spec("a")]);
    let _ = pipeline.sink().emit(&frame(&schema(), 5.0));
    *destination.0.refuse_open.lock().unwrap() = None;
    assert!(pipeline.flush(LONG));
    assert_eq!(destination.rows(), [5.0]);
}

#[test]
fn a_sink_that_can_not_open_delays_neither_flush_nor_shutdown_when_nothing_waits() {
    for startup in [Startup::Retry, Startup::Ignore] {
        let destination = Scripted::default();
        *destination.0.refuse_open.lock().unwrap() = Some(FaultClass::Config);
        let mut spec = destination.spec("a");
        spec.startup = startup;
        let pipeline = start(vec![spec]);
        assert!(pipeline.flush(Duration::from_secs(5)), "{startup:?}");
        let before = std::time::Instant::now();
        let stats = pipeline.shutdown(LONG);
        assert!(before.elapsed() < LONG / 2, "{startup:?}");
        assert_eq!(stats[0].unwritten(), 0);
        assert_eq!(destination.0.opened.load(SeqCst), 1, "{startup:?}");
    }
}

#[test]
fn the_deadline_of_the_last_call_is_that_of_the_shutdown() {
    let destination = Scripted::default();
    let mut spec = destination.spec("a");
    spec.batch.linger = Duration::from_secs(3600);
    let pipeline = start(vec![spec]);
    let _ = pipeline.sink().emit(&frame(&schema(), 1.0));
    pipeline.shutdown(Duration::from_millis(500));
    let given = destination.0.deadlines.lock().unwrap().clone();
    assert_eq!(given.len(), 1);
    assert!(given[0] <= Duration::from_millis(500), "{given:?}");
}

#[test]
fn a_flush_ends_although_rows_keep_coming() {
    let destination = Scripted::default();
    let pipeline = start(vec![destination.spec("a")]);
    let (sink, schema) = (pipeline.sink(), schema());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                let _ = sink.emit(&frame(&schema, 1.0));
                std::thread::yield_now();
            }
        });
        let flushed = pipeline.flush(Duration::from_secs(5));
        over.store(true, SeqCst);
        assert!(flushed);
    });
}

#[test]
fn one_item_that_makes_the_sink_panic_is_put_aside_alone() {
    let destination = Scripted::default();
    *destination.0.poison.lock().unwrap() = Some(41.0);
    let mut spec = destination.spec("a");
    spec.batch.linger = Duration::from_secs(3600);
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), schema());
    for i in 0..100 {
        let _ = sink.emit(&frame(&schema, f64::from(i)));
    }
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!((stats.delivered, stats.quarantined), (99, 1), "{stats:?}");
    assert!(stats.is_balanced());
    let expected: Vec<f64> = (0..100).filter(|i| *i != 41).map(f64::from).collect();
    assert_eq!(destination.rows(), expected, "in order, each once");
}

#[test]
#[cfg(unix)]
fn two_names_of_one_file_are_one_resource() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("real")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
    let claim = |path: &str| {
        let destination = Scripted::default();
        *destination.0.claim.lock().unwrap() = Some(folder.path().join(path));
        destination
    };
    for other in ["real/../real/x", "link/x"] {
        let specs = vec![claim("real/x").spec("a"), claim(other).spec("b")];
        let issues = Pipeline::start(specs, PipelineOptions::default()).unwrap_err();
        assert!(issues[0].to_string().ends_with("is already taken by sinks.a"), "{issues:?}");
    }
}

#[test]
fn two_sinks_on_one_resource_or_name_are_refused_together() {
    let destination = Scripted::default();
    let specs = vec![destination.spec("a"), destination.spec("b"), Scripted::default().spec("a")];
    let issues = Pipeline::start(specs, PipelineOptions::default()).unwrap_err();
    let text: Vec<String> = issues.iter().map(ToString::to_string).collect();
    assert!(
        text[0].starts_with("sinks.b: file ") && text[0].ends_with("is already taken by sinks.a")
    );
    assert_eq!(text[1], "sinks.a: two sinks have this name");
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Take),
        2 => Just(Act::Fail(FaultClass::Transient)),
        1 => Just(Act::Fail(FaultClass::Corrupt)),
        1 => Just(Act::RejectFirst),
        1 => Just(Act::Panic),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Conservation: whatever the destination does, every offered row is accounted for, and what is
    /// counted as delivered is at the destination.
    #[test]
    fn no_row_disappears_uncounted(script in prop::collection::vec(act(), 0..12), frames in 1..300_u32, capacity in 1.0..50.0) {
        let mut script = script;
        script.push(Act::Take);
        let destination = Scripted::doing(&script);
        let mut spec = destination.spec("a");
        spec.queue.seconds = capacity;
        spec.batch.rows = 7;
        let pipeline = Pipeline::start(vec![spec], PipelineOptions { frames_per_second: 1.0, ..Default::default() }).unwrap();
        let (sink, schema) = (pipeline.sink(), schema());
        for i in 0..frames {
            let _ = sink.emit(&frame(&schema, f64::from(i)));
            if i % 50 == 0 {
                let _ = sink.event(&event(-1.0));
            }
        }
        let stats = &pipeline.shutdown(LONG)[0];
        prop_assert!(stats.is_balanced(), "{stats:?}");
        prop_assert_eq!(stats.queued + stats.in_flight, 0);
        prop_assert_eq!(stats.delivered as usize, destination.rows().len());
    }
}
