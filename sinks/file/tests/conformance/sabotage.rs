//! Tests of the tests: a real sink that breaks the contract on purpose fails the check that names the
//! broken clause.

use std::slice::from_ref;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use wanctl_sink::conformance::{self, Arrived, Harness, Outcome};
use wanctl_sink::{
    Batch, Deadline, OpenContext, SinkConfig, SinkError, SinkWriter, Written, register_sink,
};
use wanctl_sink_file::FileConfig;

use super::{File, Jsonl};

register_sink! {
    "sabotaged_file" => Sabotaged,
    summary: "A file sink that breaks the contract",
    sample: "broken: { type: sabotaged_file, settings: { sabotage: none, file: { path: x } } }",
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sabotaged {
    sabotage: Sabotage,
    file: FileConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sabotage {
    None,
    DropsARow,
    DoublesARow,
    IgnoresTheDeadline,
    LeaksAThread,
}

impl SinkConfig for Sabotaged {
    fn open(&self, context: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        if self.sabotage == Sabotage::LeaksAThread {
            thread::spawn(thread::park);
        }
        let file = self.file.open(context)?;
        Ok(Box::new(Saboteur { sabotage: self.sabotage, file }))
    }
}

struct Saboteur {
    sabotage: Sabotage,
    file: Box<dyn SinkWriter>,
}

impl SinkWriter for Saboteur {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        let items = batch.items();
        match (self.sabotage, items.split_last()) {
            (Sabotage::DropsARow, Some((_, kept))) => self.file.write(&Batch::new(kept), deadline),
            (Sabotage::DoublesARow, Some((last, _))) => match self.file.write(batch, deadline) {
                Written::All => self.file.write(&Batch::new(from_ref(last)), deadline),
                other => other,
            },
            (Sabotage::IgnoresTheDeadline, _) => {
                self.file.write(batch, Deadline::after(Duration::from_secs(10)))
            }
            _ => self.file.write(batch, deadline),
        }
    }

    fn flush(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        self.file.flush(deadline)
    }

    fn close(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        self.file.close(deadline)
    }
}

/// The harness of the file, with a saboteur between.
struct Broken<const SABOTAGE: usize>(File<Jsonl>);

const NAMES: [&str; 5] =
    ["none", "drops_a_row", "doubles_a_row", "ignores_the_deadline", "leaks_a_thread"];

impl<const SABOTAGE: usize> Harness for Broken<SABOTAGE> {
    const KIND: &'static str = "sabotaged_file";

    fn new() -> Self {
        Broken(File::new())
    }

    fn settings(&self) -> String {
        format!("{{ sabotage: {}, file: {} }}", NAMES[SABOTAGE], self.0.settings())
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.0.arrived()
    }
}

#[track_caller]
fn caught(outcome: Outcome, words: &str) {
    let found = outcome.expect_err("the check finds nothing");
    assert!(found.contains(words), "{found}");
}

#[test]
fn without_sabotage_the_same_checks_pass() {
    type Good = Broken<{ Sabotage::None as usize }>;
    conformance::rows_arrive_once_and_in_order::<Good>().unwrap();
    conformance::random_scripts_balance::<Good>().unwrap();
    conformance::passed_deadline_writes_nothing::<Good>().unwrap();
}

#[test]
fn a_file_sink_that_drops_a_row_is_caught() {
    type Drops = Broken<{ Sabotage::DropsARow as usize }>;
    caught(conformance::rows_arrive_once_and_in_order::<Drops>(), "rows are lost");
    caught(conformance::random_scripts_balance::<Drops>(), "are lost");
}

#[test]
fn a_file_sink_that_doubles_a_row_is_caught() {
    type Doubles = Broken<{ Sabotage::DoublesARow as usize }>;
    caught(conformance::rows_arrive_once_and_in_order::<Doubles>(), "there twice");
    caught(conformance::random_scripts_balance::<Doubles>(), "there twice");
}

#[test]
fn a_file_sink_that_ignores_the_deadline_is_caught() {
    type Late = Broken<{ Sabotage::IgnoresTheDeadline as usize }>;
    caught(conformance::passed_deadline_writes_nothing::<Late>(), "answered with All");
}

#[test]
fn a_file_sink_that_leaks_a_thread_is_caught() {
    type Leaks = Broken<{ Sabotage::LeaksAThread as usize }>;
    let path = concat!(module_path!(), "::a_file_sink_that_leaks_a_thread_is_caught");
    conformance::in_own_process(path, || {
        caught(conformance::nothing_leaks::<Leaks>(), "leaves 20 threads");
        Ok(())
    })
    .unwrap();
}
