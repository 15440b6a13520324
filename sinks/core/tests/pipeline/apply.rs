//! Another set of sinks, while controllers emit.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::support::*;
use wanctl_sink::*;

#[test]
fn what_is_the_same_is_not_touched_and_what_is_new_or_gone_starts_or_ends() {
    let (kept, gone, new) = (Scripted::default(), Scripted::default(), Scripted::default());
    let spec = kept.spec("kept");
    let pipeline = start(vec![spec.clone(), gone.spec("gone")]);
    let (sink, schema) = (pipeline.sink(), schema());
    let _ = sink.emit(&frame(&schema, 1.0));
    let applied = pipeline.apply(vec![spec, new.spec("new")], LONG).unwrap();
    assert_eq!((applied.unchanged, applied.added), (vec!["kept".into()], vec!["new".into()]));
    assert_eq!((applied.removed.len(), applied.removed[0].delivered), (1, 1));
    assert!(applied.changed.is_empty() && applied.refused.is_empty());
    let _ = sink.emit(&frame(&schema, 2.0));
    let stats = pipeline.shutdown(LONG);
    assert_eq!(kept.rows(), [1.0, 2.0]);
    assert_eq!(kept.0.opened.load(SeqCst), 1, "not touched");
    assert_eq!((gone.rows(), gone.0.closed.load(SeqCst)), (vec![1.0], true));
    assert_eq!(new.rows(), [2.0]);
    assert!(stats.iter().all(SinkStats::is_balanced), "{stats:?}");
}

#[test]
fn a_changed_sink_gets_what_waited_for_the_old_one() {
    let old = Scripted::doing(&[Act::Fail(FaultClass::Transient)]);
    let new = Scripted::default();
    let pipeline = start(vec![old.spec("a")]);
    let (sink, schema) = (pipeline.sink(), schema());
    for i in 0..50 {
        let _ = sink.emit(&frame(&schema, f64::from(i)));
    }
    wait_for("a failure", || pipeline.stats()[0].failures > 0);
    let mut spec = new.spec("a");
    spec.queue.seconds = 5.0;
    let applied = pipeline.apply(vec![spec], LONG).unwrap();
    assert_eq!(applied.changed, ["a"]);
    let _ = sink.emit(&frame(&schema, 50.0));
    let stats = &pipeline.shutdown(LONG)[0];
    assert_eq!(new.rows(), (0..=50).map(f64::from).collect::<Vec<_>>(), "in order");
    assert_eq!((old.rows().len(), old.0.closed.load(SeqCst)), (0, true));
    assert_eq!((stats.offered, stats.delivered, stats.is_balanced()), (51, 51, true));
}

#[test]
fn a_bad_new_configuration_leaves_the_old_one_running_and_says_so() {
    for same_resource in [false, true] {
        let (old, bad) = (Scripted::default(), Scripted::default());
        *bad.0.refuse_open.lock().unwrap() = Some(FaultClass::Config);
        if same_resource {
            for one in [&old, &bad] {
                *one.0.claim.lock().unwrap() = Some("/nowhere/shared".into());
            }
        }
        let pipeline = start(vec![old.spec("a")]);
        let (sink, schema) = (pipeline.sink(), schema());
        let _ = sink.emit(&frame(&schema, 1.0));
        let applied = pipeline.apply(vec![bad.spec("a")], LONG).unwrap();
        assert_eq!(applied.refused[0].to_string(), "sinks.a: no such place");
        assert!(applied.changed.is_empty());
        let _ = sink.emit(&frame(&schema, 2.0));
        let stats = &pipeline.shutdown(LONG)[0];
        assert_eq!(old.rows(), [1.0, 2.0], "{same_resource}");
        assert!(stats.is_balanced() && stats.delivered == 2, "{stats:?}");
    }
}

#[test]
fn a_set_that_does_not_check_changes_nothing() {
    let (old, new) = (Scripted::default(), Scripted::default());
    let pipeline = start(vec![old.spec("a")]);
    let issues = pipeline.apply(vec![new.spec("a"), new.spec("b")], LONG).unwrap_err();
    assert_eq!(issues.len(), 1, "{issues:?}");
    let _ = pipeline.sink().emit(&frame(&schema(), 1.0));
    pipeline.shutdown(LONG);
    assert_eq!((old.rows(), new.0.opened.load(SeqCst)), (vec![1.0], 0));
}

#[test]
fn a_sink_that_hangs_does_not_keep_the_others_from_changing() {
    let (hung, other, new) =
        (Scripted::doing(&[Act::Hang]), Scripted::default(), Scripted::default());
    let pipeline = start(vec![hung.spec("hung"), other.spec("other")]);
    let (sink, schema) = (pipeline.sink(), schema());
    let _ = sink.emit(&frame(&schema, 1.0));
    wait_for("the call that hangs", || !hung.0.deadlines.lock().unwrap().is_empty());
    let specs = vec![Scripted::default().spec("hung"), new.spec("other")];
    let applied = pipeline.apply(specs, Duration::from_millis(50)).unwrap();
    assert_eq!(applied.changed, ["other"]);
    assert!(applied.refused[0].to_string().starts_with("sinks.hung: the sink is busy"));
    let _ = sink.emit(&frame(&schema, 2.0));
    wait_for("the other sink's row", || new.rows().last() == Some(&2.0));
    hung.release();
    let stats = pipeline.shutdown(LONG);
    assert!(stats.iter().all(SinkStats::is_balanced), "{stats:?}");
}

#[test]
fn reopening_closes_and_opens_and_loses_nothing() {
    let destination = Scripted::default();
    let pipeline = start(vec![destination.spec("a")]);
    let (sink, schema) = (pipeline.sink(), schema());
    let _ = sink.emit(&frame(&schema, 1.0));
    assert!(pipeline.flush(LONG));
    pipeline.reopen();
    wait_for("the close", || destination.0.closed.load(SeqCst));
    let _ = sink.emit(&frame(&schema, 2.0));
    pipeline.shutdown(LONG);
    assert_eq!(destination.rows(), [1.0, 2.0]);
    assert_eq!(destination.0.opened.load(SeqCst), 2);
}

#[test]
fn a_sink_that_is_off_comes_back_when_it_is_reopened_or_changed() {
    for change in [false, true] {
        let (off, other) = (Scripted::default(), Scripted::default());
        *off.0.refuse_open.lock().unwrap() = Some(FaultClass::Config);
        let mut spec = off.spec("a");
        spec.startup = Startup::Ignore;
        let pipeline = start(vec![spec]);
        let (sink, schema) = (pipeline.sink(), schema());
        assert_eq!(sink.emit(&frame(&schema, 1.0)), Admission::Refused);
        assert_eq!(pipeline.stats()[0].health, Health::Off);
        pipeline.reopen();
        wait_for("another try", || off.0.opened.load(SeqCst) == 2);
        assert_eq!(sink.emit(&frame(&schema, 2.0)), Admission::Refused);
        *off.0.refuse_open.lock().unwrap() = None;
        if change {
            pipeline.apply(vec![other.spec("a")], LONG).unwrap();
        } else {
            pipeline.reopen();
            wait_for("another try", || off.0.opened.load(SeqCst) == 3);
        }
        wait_for("a healthy sink", || pipeline.stats()[0].health == Health::Ok);
        assert_eq!(sink.emit(&frame(&schema, 3.0)), Admission::Queued);
        let stats = &pipeline.shutdown(LONG)[0];
        assert_eq!([off.rows(), other.rows()].concat(), [3.0], "{change}");
        assert!(stats.is_balanced() && stats.rejected == 2, "{stats:?}");
    }
}

fn on(path: &str) -> Scripted {
    let destination = Scripted::default();
    *destination.0.claim.lock().unwrap() = Some(path.into());
    destination
}

#[test]
fn a_file_moves_from_one_sink_to_another_in_one_go() {
    let (a, b) = (on("/nowhere/1"), on("/nowhere/2"));
    let pipeline = start(vec![a.spec("a"), b.spec("b")]);
    let (new_a, new_b) = (on("/nowhere/2"), on("/nowhere/3"));
    let applied = pipeline.apply(vec![new_a.spec("a"), new_b.spec("b")], LONG).unwrap();
    assert_eq!((applied.changed.len(), applied.refused.len()), (2, 0), "{applied:?}");
}

#[test]
fn a_file_that_a_refused_sink_goes_on_with_is_given_to_no_other() {
    let (a, bad, c) = (on("/nowhere/x"), on("/nowhere/y"), on("/nowhere/x"));
    *bad.0.refuse_open.lock().unwrap() = Some(FaultClass::Config);
    let pipeline = start(vec![a.spec("a")]);
    let applied = pipeline.apply(vec![bad.spec("a"), c.spec("c")], LONG).unwrap();
    let refused: Vec<String> = applied.refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        refused,
        [
            "sinks.a: no such place",
            "sinks.c: file /nowhere/x is still held by sinks.a; free it first, or start the program anew"
        ]
    );
    assert_eq!(c.0.opened.load(SeqCst), 0);
    let _ = pipeline.sink().emit(&frame(&schema(), 1.0));
    pipeline.shutdown(LONG);
    assert_eq!(a.rows(), [1.0]);
}

#[test]
fn one_address_for_all_clashes_with_each_of_its_port_and_a_link_is_the_file_it_leads_to() {
    #[derive(Clone, Debug)]
    struct Claims(Resource);
    impl SinkConfig for Claims {
        fn claims(&self) -> Vec<Resource> {
            vec![self.0.clone()]
        }
        fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
            Ok(Box::new(Scripted::default()))
        }
    }
    let clash = |one: Resource, other: Resource| {
        let specs = [("a", one), ("b", other)]
            .map(|(name, claim)| SinkSpec::new(name, "claims", Box::new(Claims(claim))));
        !Pipeline::check(&specs).is_empty()
    };
    let tcp = |address: &str| Resource::TcpListener(address.to_owned());
    assert!(clash(tcp("127.0.0.1:9100"), tcp("0.0.0.0:9100")));
    assert!(clash(tcp("[::]:9100"), tcp("127.0.0.1:9100")));
    assert!(!clash(tcp("127.0.0.1:9100"), tcp("0.0.0.0:9101")));
    assert!(!clash(tcp("127.0.0.1:9100"), tcp("127.0.0.2:9100")));
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("a.jsonl"), folder.path().join("b.csv"));
    std::fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(clash(Resource::file(&file), Resource::file(&link)));
}

#[test]
fn a_sink_that_is_off_takes_rows_once_its_destination_can_heal() {
    let destination = Scripted::default();
    *destination.0.refuse_open.lock().unwrap() = Some(FaultClass::Config);
    let mut spec = destination.spec("a");
    spec.startup = Startup::Ignore;
    let pipeline = start(vec![spec]);
    *destination.0.refuse_open.lock().unwrap() = Some(FaultClass::Transient);
    pipeline.reopen();
    wait_for("another class of failure", || pipeline.stats()[0].health == Health::Failing);
    *destination.0.refuse_open.lock().unwrap() = None;
    assert_eq!(pipeline.sink().emit(&frame(&schema(), 1.0)), Admission::Queued);
    pipeline.shutdown(LONG);
    assert_eq!(destination.rows(), [1.0]);
}

#[test]
fn no_emit_is_lost_or_held_up_while_the_set_changes_again_and_again() {
    let kept = Scripted::default();
    let spec = kept.spec("kept");
    let pipeline = start(vec![spec.clone()]);
    let (over, emitted) = (AtomicBool::new(false), AtomicU64::new(0));
    let sink = pipeline.sink();
    let mut taken: Vec<f64> = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let schema = schema();
            while !over.load(SeqCst) {
                let _ = sink.emit(&frame(&schema, emitted.fetch_add(1, SeqCst) as f64));
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        for round in 0..20_u32 {
            let changing = Scripted::default();
            let mut other = changing.spec("changing");
            // Another capacity is another queue.
            other.queue.seconds = f64::from(round + 60);
            pipeline.apply(vec![spec.clone(), other], LONG).unwrap();
            taken.extend(std::mem::take(&mut *changing.0.rows.lock().unwrap()));
        }
        over.store(true, SeqCst);
    });
    let stats = pipeline.shutdown(LONG);
    assert_eq!(kept.rows().len() as u64, emitted.load(SeqCst));
    assert!(stats.iter().all(SinkStats::is_balanced), "{stats:?}");
    let changing = &stats[1];
    assert_eq!(changing.delivered, changing.offered, "{changing:?}");
    // The sink of the last round has what was left, so this is the rest; each came once.
    let before = taken.len();
    taken.sort_by(f64::total_cmp);
    taken.dedup();
    assert!(before == taken.len() && before as u64 <= changing.delivered, "{before}");
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    #[allow(dead_code, reason = "it only has to differ")]
    value: u32,
}

impl SinkConfig for Configured {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(Scripted::default()))
    }
}

register_sink! { "configured" => Configured, summary: "For tests", sample: "a: { type: configured, settings: { value: 1 } }" }

#[test]
fn a_section_that_is_read_again_changes_what_is_written_differently() {
    let registry = Registry::linked().unwrap();
    let read = |text: &str| SinkSpec::parse_yaml(text, &registry).unwrap();
    let before = "{ a: { type: configured, settings: { value: 1 } }, b: { type: configured, settings: { value: 1 } }, c: { type: configured, settings: { value: 1 } } }";
    let pipeline = start(read(before));
    let applied = pipeline.apply(read(before), LONG).unwrap();
    assert_eq!(applied.unchanged, ["a", "b", "c"]);
    let after = before
        .replacen("value: 1", "value: 2", 1)
        .replace("c: { type: configured,", "c: { type: configured, batch: { rows: 5 },");
    let applied = pipeline.apply(read(&after), LONG).unwrap();
    assert_eq!(
        (applied.unchanged, applied.changed),
        (vec!["b".into()], vec!["a".into(), "c".into()])
    );
    // One that is switched off goes.
    let off = after.replace("b: {", "b: { enabled: false,");
    let applied = pipeline.apply(read(&off), LONG).unwrap();
    assert_eq!(applied.removed[0].name, "b");
}
