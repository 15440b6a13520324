//! Conservation: whatever happens to a sink, in whatever order, every offered row is accounted for, and
//! what counts as delivered is at a destination.

use std::time::Duration;

use proptest::prelude::*;
use wanctl_sink::*;

use crate::support::*;

#[derive(Clone, Debug)]
enum Step {
    Emit(u32),
    Event,
    /// What the destination does with the next batch.
    Act(Act),
    /// It takes no more rows than this at once.
    Most(Option<usize>),
    Flush,
    Reopen,
    /// Another destination under the same name, with a queue of this many seconds.
    Change(u32),
    /// The same with a configuration that does not open.
    BadChange,
    AddAndRemove,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        3 => Just(Act::Fail(FaultClass::Transient)),
        1 => Just(Act::Fail(FaultClass::Corrupt)),
        2 => Just(Act::RejectFirst),
        2 => Just(Act::Panic),
        1 => Just(Act::Hang),
    ];
    prop_oneof![
        8 => (1..80_u32).prop_map(Step::Emit),
        2 => Just(Step::Event),
        4 => act.prop_map(Step::Act),
        1 => prop::option::of(0..6_usize).prop_map(Step::Most),
        1 => Just(Step::Flush),
        2 => Just(Step::Reopen),
        2 => (1..50_u32).prop_map(Step::Change),
        1 => Just(Step::BadChange),
        1 => Just(Step::AddAndRemove),
        2 => Just(Step::Wait),
    ]
}

fn spec(destination: &Scripted, seconds: u32) -> SinkSpec {
    let mut spec = destination.spec("a");
    spec.queue.seconds = f64::from(seconds);
    spec.batch.rows = 40;
    spec.batch.linger = Duration::from_millis(5);
    spec.retry.initial = Duration::from_millis(1);
    spec.retry.max = Duration::from_millis(5);
    spec.timeout = Duration::from_millis(40);
    spec
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn no_row_disappears_whatever_happens_to_the_sink(steps in prop::collection::vec(step(), 1..25)) {
        let mut destinations = vec![Scripted::doing(&[Act::Take])];
        let options = PipelineOptions { frames_per_second: 5.0, ..Default::default() };
        let first = spec(&destinations[0], 10);
        let pipeline = Pipeline::start(vec![first.clone()], options).unwrap();
        let (sink, schema) = (pipeline.sink(), wide(3));
        let (mut current, mut number) = (first, 0.0);
        for step in &steps {
            let destination = destinations.last().unwrap();
            match step {
                Step::Emit(frames) => {
                    for _ in 0..*frames {
                        let _ = sink.emit(&frame_of(&schema, &[number, number + 1.0, number + 2.0]));
                        number += 3.0;
                    }
                }
                Step::Event => {
                    let _ = sink.event(&event(number));
                    number += 1.0;
                }
                Step::Act(act) => destination.0.script.lock().unwrap().push(*act),
                Step::Most(most) => *destination.0.most.lock().unwrap() = *most,
                Step::Flush => {
                    pipeline.flush(Duration::from_millis(20));
                }
                Step::Reopen => pipeline.reopen(),
                Step::Change(seconds) => {
                    let new = Scripted::doing(&[Act::Take]);
                    let spec = spec(&new, *seconds);
                    let applied = pipeline.apply(vec![spec.clone()], LONG).unwrap();
                    if applied.refused.is_empty() {
                        destinations.push(new);
                        current = spec;
                    }
                }
                Step::BadChange => {
                    let bad = Scripted::default();
                    *bad.0.refuse_open.lock().unwrap() = Some(FaultClass::Config);
                    let applied = pipeline.apply(vec![spec(&bad, 3)], LONG).unwrap();
                    prop_assert_eq!(applied.refused.len(), 1);
                }
                Step::AddAndRemove => {
                    let other = Scripted::default();
                    pipeline.apply(vec![current.clone(), other.spec("b")], LONG).unwrap();
                    let applied = pipeline.apply(vec![current.clone()], LONG).unwrap();
                    prop_assert!(applied.removed[0].is_balanced(), "{:?}", applied.removed);
                }
                Step::Wait => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        for destination in &destinations {
            destination.release();
        }
        let stats = &pipeline.shutdown(LONG)[0];
        prop_assert!(stats.is_balanced(), "{stats:?}");
        prop_assert_eq!(stats.unwritten(), 0, "{:?}", stats);
        let mut rows: Vec<f64> = destinations.iter().flat_map(Scripted::rows).collect();
        prop_assert_eq!(rows.len() as u64, stats.delivered, "{:?}", stats);
        rows.sort_by(f64::total_cmp);
        rows.dedup();
        prop_assert_eq!(rows.len() as u64, stats.delivered, "no row twice: {:?}", stats);
    }
}
