//! What a pipeline does with a destination that hangs, panics, refuses or takes little at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::*;
use wanctl_sink::*;

#[test]
fn a_thread_that_hangs_is_replaced_and_commits_nothing_when_it_wakes() {
    let destination = Scripted::doing(&[Act::Hang, Act::Take]);
    let mut spec = destination.spec("a");
    spec.timeout = Duration::from_millis(50);
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), schema());
    for i in 0..3 {
        let _ = sink.emit(&frame(&schema, f64::from(i)));
    }
    wait_for("the batch to go through another thread", || destination.rows().len() == 3);
    destination.release();
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!(destination.rows(), [0.0, 1.0, 2.0], "once, although two threads had the batch");
    assert_eq!((stats.replaced, stats.delivered, stats.redelivered), (1, 3, 3), "{stats:?}");
    assert!(stats.is_balanced());
}

#[test]
fn no_more_than_three_threads_are_left_behind_and_the_sink_goes_on_when_one_returns() {
    let destination = Scripted::doing(&[Act::Hang]);
    let mut spec = destination.spec("a");
    spec.timeout = Duration::from_millis(10);
    spec.retry.initial = Duration::from_millis(1);
    spec.retry.max = Duration::from_millis(10);
    let pipeline = start(vec![spec]);
    let _ = pipeline.sink().emit(&frame(&schema(), 7.0));
    wait_for("the sink to be given up for now", || pipeline.stats()[0].health == Health::Stalled);
    assert_eq!(pipeline.stats()[0].replaced, 3);
    assert!(pipeline.stats()[0].error.as_ref().unwrap().contains("left behind"));
    destination.release();
    wait_for("the row", || destination.rows() == [7.0]);
    wait_for("a healthy sink", || pipeline.stats()[0].health == Health::Ok);
    let stats = &pipeline.shutdown(LONG)[0];
    assert!(stats.is_balanced() && stats.delivered == 1, "{stats:?}");
    assert_eq!(stats.health, Health::Stopped);
}

#[test]
fn an_open_that_hangs_does_not_hold_up_the_start_for_long() {
    #[derive(Clone, Debug)]
    struct Sleepy(Scripted);
    impl SinkConfig for Sleepy {
        fn open(&self, context: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
            if self.0.0.opened.load(SeqCst) == 0 {
                self.0.0.opened.fetch_add(1, SeqCst);
                std::thread::park_timeout(LONG);
            }
            self.0.open(context)
        }
    }
    let destination = Scripted::default();
    let mut spec = SinkSpec::new("a", "sleepy", Box::new(Sleepy(destination.clone())));
    spec.timeout = Duration::from_millis(50);
    let pipeline = start(vec![spec]);
    let _ = pipeline.sink().emit(&frame(&schema(), 7.0));
    assert!(pipeline.flush(LONG));
    assert_eq!(destination.rows(), [7.0]);
}

#[test]
fn after_five_failures_it_starts_small_and_doubles() {
    let mut script = vec![Act::Fail(FaultClass::Transient); 5];
    script.push(Act::Take);
    let destination = Scripted::doing(&script);
    let mut spec = destination.spec("a");
    spec.retry.initial = Duration::from_millis(1);
    spec.retry.max = Duration::from_millis(20);
    spec.batch.linger = Duration::from_millis(200);
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), schema());
    for i in 0..20 {
        let _ = sink.emit(&frame(&schema, f64::from(i)));
    }
    wait_for("all rows", || destination.rows().len() == 20);
    let sizes = destination.0.sizes.lock().unwrap().clone();
    assert_eq!(sizes, [20, 20, 20, 20, 20, 1, 2, 4, 8, 5]);
    assert_eq!(destination.rows(), (0..20).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn rows_that_wait_longer_than_their_time_are_given_up_and_counted() {
    let destination = Scripted::doing(&[Act::Fail(FaultClass::Transient)]);
    let mut spec = destination.spec("a");
    spec.retry.initial = Duration::from_millis(1);
    spec.retry.max = Duration::from_millis(10);
    spec.retry.max_age = Duration::from_millis(300);
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), schema());
    let _ = sink.emit(&frame(&schema, 1.0));
    wait_for("the first row to be too old", || pipeline.stats()[0].expired == 1);
    *destination.0.script.lock().unwrap() = vec![Act::Take];
    let _ = sink.emit(&frame(&schema, 2.0));
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!(destination.rows(), [2.0]);
    assert!(stats.is_balanced(), "{stats:?}");
}

#[test]
fn a_batch_that_is_too_large_is_divided_down_to_the_row() {
    let destination = Scripted::default();
    *destination.0.most.lock().unwrap() = Some(3);
    let mut spec = destination.spec("a");
    spec.batch.linger = Duration::from_secs(3600);
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), wide(5));
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    for values in values.chunks(5) {
        let _ = sink.emit(&frame_of(&schema, values));
    }
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!(destination.rows(), values, "in order, each once");
    assert_eq!((stats.delivered, stats.rejected, stats.failures), (100, 0, 0), "{stats:?}");
}

#[test]
fn a_row_that_is_too_large_alone_is_rejected_and_no_other() {
    let destination = Scripted::default();
    *destination.0.most.lock().unwrap() = Some(0);
    let pipeline = start(vec![destination.spec("a")]);
    let _ = pipeline.sink().emit(&frame_of(&wide(4), &[1.0, 2.0, 3.0, 4.0]));
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!((stats.delivered, stats.rejected), (0, 4), "{stats:?}");
    assert!(stats.is_balanced());
}

#[test]
fn of_a_frame_only_the_row_that_makes_the_sink_panic_is_put_aside() {
    let destination = Scripted::default();
    *destination.0.poison.lock().unwrap() = Some(41.0);
    let mut spec = destination.spec("a");
    spec.batch.linger = Duration::from_secs(3600);
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), wide(8));
    let values: Vec<f64> = (0..80).map(f64::from).collect();
    for values in values.chunks(8) {
        let _ = sink.emit(&frame_of(&schema, values));
    }
    let stats = &pipeline.shutdown(LONG)[0];
    let expected: Vec<f64> = values.into_iter().filter(|value| *value != 41.0).collect();
    assert_eq!(destination.rows(), expected);
    assert_eq!((stats.delivered, stats.quarantined), (79, 1), "{stats:?}");
}

#[test]
fn a_sink_that_panics_over_three_batches_rests_and_loses_nothing() {
    let destination =
        Scripted::doing(&[Act::Panic, Act::Take, Act::Panic, Act::Take, Act::Panic, Act::Take]);
    let pipeline = start(vec![destination.spec("a")]);
    let (sink, schema) = (pipeline.sink(), schema());
    for i in 0..2 {
        let _ = sink.emit(&frame(&schema, f64::from(i)));
        wait_for("the row", || destination.rows().len() == i as usize + 1);
    }
    let _ = sink.emit(&frame(&schema, 2.0));
    wait_for("the rest", || pipeline.stats()[0].health == Health::Quarantined);
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!(destination.rows(), [0.0, 1.0, 2.0], "a stop does not wait for the rest to end");
    assert_eq!((stats.panics, stats.quarantined), (3, 0));
}

#[test]
fn a_refused_password_has_the_sink_opened_again() {
    let destination = Scripted::doing(&[Act::Fail(FaultClass::Auth), Act::Take]);
    let mut spec = destination.spec("a");
    spec.retry.initial = Duration::from_millis(1);
    spec.retry.max = Duration::from_millis(20);
    let pipeline = start(vec![spec]);
    let _ = pipeline.sink().emit(&frame(&schema(), 1.0));
    wait_for("the row", || destination.rows() == [1.0]);
    assert_eq!(destination.0.opened.load(SeqCst), 2);
}

#[test]
fn a_batch_holds_no_more_bytes_than_it_may() {
    let destination = Scripted::default();
    let mut spec = destination.spec("a");
    let one = Item::Frame(frame(&schema(), 0.0)).bytes();
    spec.batch.bytes = 10 * one;
    spec.batch.linger = Duration::from_secs(3600);
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), schema());
    for i in 0..35 {
        let _ = sink.emit(&frame(&schema, f64::from(i)));
    }
    pipeline.shutdown(LONG);
    assert_eq!(*destination.0.sizes.lock().unwrap(), [10, 10, 10, 5]);
}

#[test]
fn what_select_leaves_out_is_counted_and_what_it_renames_arrives_so() {
    let destination = Scripted::default();
    let mut spec = destination.spec("a");
    spec.select.include = vec![Glob::new("wanctl_test_*")];
    spec.select.labels.insert("n".into(), vec![Glob::new("1"), Glob::new("3")]);
    spec.prefix = "edge_".into();
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), wide(4));
    for _ in 0..5 {
        let _ = sink.emit(&frame_of(&schema, &[0.0, 1.0, 2.0, 3.0]));
    }
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!((stats.offered, stats.filtered, stats.delivered), (20, 10, 10), "{stats:?}");
    assert!(destination.rows().iter().all(|value| [1.0, 3.0].contains(value)));
    assert!(destination.0.names.lock().unwrap().iter().all(|n| n == "edge_wanctl_test_value"));
}

#[test]
fn an_emitter_that_stops_does_not_keep_its_last_window_open() {
    let destination = Scripted::default();
    let mut spec = destination.spec("a");
    spec.select.every = Some(Duration::from_millis(50));
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), schema());
    for i in 0..4 {
        let _ = sink.emit(&frame(&schema, f64::from(i)));
    }
    wait_for("the last value of the window", || destination.rows() == [3.0]);
    let stats = &pipeline.stats()[0];
    assert_eq!((stats.offered, stats.filtered, stats.in_flight), (4, 3, 0), "{stats:?}");
}

#[test]
fn the_accounts_go_through_the_pipeline_and_say_what_is() {
    let destination = Scripted::default();
    let options =
        PipelineOptions { report: Some(Duration::from_millis(200)), ..Default::default() };
    let pipeline = Pipeline::start(vec![destination.spec("a")], options).unwrap();
    let _ = pipeline.sink().emit(&frame_of(&wide(3), &[-1.0, -2.0, -3.0]));
    assert!(pipeline.flush(LONG));
    let metrics: Vec<String> =
        catalogue().into_keys().filter(|n| n.starts_with("wanctl_sink_")).map(Into::into).collect();
    assert!(metrics.len() >= 16, "{metrics:?}");
    wait_for("a report", || destination.rows().len() >= 3 + metrics.len());
    let (names, rows) = (destination.0.names.lock().unwrap().clone(), destination.rows());
    let of = |name: &str| {
        let name = format!("wanctl_sink_{name}");
        names.iter().zip(&rows).find(|(found, _)| **found == name).map(|(_, value)| *value)
    };
    assert_eq!(of("offered_rows_total"), Some(3.0));
    assert_eq!(of("delivered_rows_total"), Some(3.0));
    assert_eq!(of("failures_total"), Some(0.0));
    assert_eq!(of("health"), Some(1.0), "ok");
    assert_eq!(of("breaker"), Some(0.0), "closed");
}

/// A destination around the scripted one whose other calls misbehave.
#[derive(Clone, Debug, Default)]
struct Odd {
    inner: Scripted,
    /// What the next calls of `flush` do; then they do well.
    flushes: Arc<Mutex<Vec<Act>>>,
    flushed: Arc<AtomicUsize>,
    /// How many times `open` panics.
    open_panics: Arc<AtomicUsize>,
    /// Whether dropping a writer hangs.
    drop_hangs: Arc<AtomicBool>,
}

impl SinkConfig for Odd {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        self.inner.0.opened.fetch_add(1, SeqCst);
        let panics = self.open_panics.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok();
        assert!(!panics, "told to panic");
        Ok(Box::new(OddWriter(self.clone())))
    }
}

struct OddWriter(Odd);

impl SinkWriter for OddWriter {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        self.0.inner.write(batch, deadline)
    }

    fn flush(&mut self, _: Deadline) -> Result<(), SinkError> {
        let act = self.0.flushes.lock().unwrap().pop();
        match act {
            Some(Act::Panic) => panic!("told to panic"),
            Some(Act::Hang) => {
                let mut released = self.0.inner.0.release.0.lock().unwrap();
                while !*released {
                    released = self.0.inner.0.release.1.wait(released).unwrap();
                }
            }
            _ => {}
        }
        self.0.flushed.fetch_add(1, SeqCst);
        Ok(())
    }
}

impl Drop for OddWriter {
    fn drop(&mut self) {
        if self.0.drop_hangs.swap(false, SeqCst) {
            std::thread::park_timeout(LONG);
        }
    }
}

fn odd(odd: &Odd) -> SinkSpec {
    let mut spec = SinkSpec::new("a", "odd", Box::new(odd.clone()));
    spec.batch.linger = Duration::from_millis(5);
    spec.retry.initial = Duration::from_millis(1);
    spec.retry.max = Duration::from_millis(10);
    spec
}

#[test]
fn a_flush_ordered_during_another_one_is_a_flush_of_its_own() {
    let sink = Odd::default();
    sink.flushes.lock().unwrap().push(Act::Hang);
    let pipeline = start(vec![odd(&sink)]);
    let (handle, schema) = (pipeline.sink(), schema());
    let _ = handle.emit(&frame(&schema, 1.0));
    assert!(!pipeline.flush(Duration::from_millis(100)), "it hangs");
    let _ = handle.emit(&frame(&schema, 2.0));
    std::thread::scope(|scope| {
        let second = scope.spawn(|| pipeline.flush(LONG));
        wait_for("the first flush to be under way", || sink.flushes.lock().unwrap().is_empty());
        sink.inner.release();
        assert!(second.join().unwrap());
    });
    assert_eq!(sink.inner.rows(), [1.0, 2.0]);
    assert_eq!(sink.flushed.load(SeqCst), 2);
}

#[test]
fn a_flush_says_so_when_a_writer_was_lost_with_rows_it_had_not_flushed() {
    let sink = Odd::default();
    sink.flushes.lock().unwrap().push(Act::Panic);
    let pipeline = start(vec![odd(&sink)]);
    let _ = pipeline.sink().emit(&frame(&schema(), 1.0));
    assert!(!pipeline.flush(LONG));
    assert_eq!(pipeline.stats()[0].panics, 1);
    let _ = pipeline.sink().emit(&frame(&schema(), 2.0));
    assert!(pipeline.flush(LONG), "the next one is well");
}

#[test]
fn a_flush_is_not_deceived_by_rows_that_never_wait() {
    let destination = Scripted::doing(&[Act::Fail(FaultClass::Transient)]);
    let mut spec = destination.spec("a");
    spec.queue.full = Overflow::Latest;
    let pipeline = start(vec![spec]);
    let (sink, schema) = (pipeline.sink(), schema());
    let _ = sink.emit(&frame(&schema, 1.0));
    wait_for("a failure", || pipeline.stats()[0].failures > 0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                let _ = sink.emit(&frame(&schema, 2.0));
                let _ = sink.emit(&frame(&schema, f64::NAN));
                std::thread::yield_now();
            }
        });
        assert!(!pipeline.flush(Duration::from_millis(300)));
        over.store(true, SeqCst);
    });
    assert!(destination.rows().is_empty());
}

#[test]
fn a_writer_that_hangs_when_it_is_dropped_is_left_behind() {
    let sink = Odd::default();
    sink.drop_hangs.store(true, SeqCst);
    sink.inner.0.script.lock().unwrap().extend([Act::Take, Act::Panic]);
    let mut spec = odd(&sink);
    spec.timeout = Duration::from_millis(50);
    let pipeline = start(vec![spec]);
    let _ = pipeline.sink().emit(&frame(&schema(), 1.0));
    wait_for("the row", || sink.inner.rows() == [1.0]);
    assert_eq!(pipeline.stats()[0].replaced, 1);
}

#[test]
fn an_open_that_panics_is_counted_and_the_third_time_the_sink_rests() {
    let sink = Odd::default();
    sink.open_panics.store(usize::MAX, SeqCst);
    let pipeline = start(vec![odd(&sink)]);
    let _ = pipeline.sink().emit(&frame(&schema(), 1.0));
    wait_for("the rest", || pipeline.stats()[0].health == Health::Quarantined);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((pipeline.stats()[0].panics, sink.inner.0.opened.load(SeqCst)), (3, 3));
}

#[test]
fn an_event_whose_details_panic_is_rejected_and_harms_nobody() {
    #[derive(Debug)]
    struct Bad;
    impl Details for Bad {
        fn labels(&self) -> serde_json::Map<String, serde_json::Value> {
            panic!("told to panic")
        }
    }
    let destination = Scripted::default();
    let pipeline = start(vec![destination.spec("a")]);
    let sink = pipeline.sink();
    let bad = Event { details: Arc::new(Bad), ..(*event(1.0)).clone() };
    let _ = sink.event(&Arc::new(bad));
    let _ = sink.emit(&frame(&schema(), 2.0));
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!((stats.rejected, stats.delivered), (1, 1), "{stats:?}");
    assert_eq!(destination.rows(), [2.0]);
}

#[test]
fn a_stop_does_not_hammer_a_destination_that_refuses_or_asks_for_a_pause() {
    for (class, tries) in
        [(FaultClass::Auth, 2), (FaultClass::Throttled(Duration::from_secs(600)), 1)]
    {
        let destination = Scripted::doing(&[Act::Fail(class)]);
        let pipeline = start(vec![destination.spec("a")]);
        let _ = pipeline.sink().emit(&frame(&schema(), 1.0));
        wait_for("the failure", || pipeline.stats()[0].failures == 1);
        let before = Instant::now();
        // Less than the pause after a refusal.
        let stats = &pipeline.shutdown(Duration::from_secs(4))[0];
        assert_eq!(stats.failures, tries, "{class:?}");
        assert!(before.elapsed() < Duration::from_secs(3), "nothing more to wait for");
        assert_eq!((stats.lost_at_shutdown, stats.is_balanced()), (1, true));
    }
}

#[test]
fn options_that_can_not_work_are_refused_also_when_made_in_code() {
    let mut spec = Scripted::default().spec("a");
    spec.queue.seconds = f64::NAN;
    spec.batch.rows = 0;
    spec.batch.linger = Duration::MAX;
    spec.retry.initial = Duration::from_secs(9);
    let issues = Pipeline::start(vec![spec], PipelineOptions::default()).unwrap_err();
    let paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
    let expected = ["queue.seconds", "batch.rows", "batch.linger", "retry.initial"];
    assert_eq!(paths, expected.map(|key| format!("sinks.a.{key}")));
}
