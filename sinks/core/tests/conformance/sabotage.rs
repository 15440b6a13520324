//! For each clause of the contract, a sink that breaks it and the check that says so.

use std::path::PathBuf;

use wanctl_sink::conformance::{self, Arrived, Harness, Outcome};
use wanctl_sink::*;

use super::sink::Sabotage;
use super::{Memory, SECRET};

#[track_caller]
fn caught(outcome: Outcome, words: &str) {
    let found = outcome.expect_err("the check finds nothing");
    assert!(found.contains(words), "{found}");
}

/// `behaviour: Sabotage is caught by check with "words";`
macro_rules! caught {
    ($($test:ident: $sabotage:ident by $check:ident with $words:literal;)*) => {$(
        #[test]
        fn $test() {
            caught(conformance::$check::<Memory<{ Sabotage::$sabotage as u8 }>>(), $words);
        }
    )*};
}

caught! {
    a_lost_row: DropsARow by rows_arrive_once_and_in_order with "rows are lost";
    a_lost_row_of_a_large_batch: DropsARow by large_batch_arrives_whole with "1 of 6400 rows are lost";
    a_lost_row_in_a_script: DropsARow by random_scripts_balance with "are lost";
    a_doubled_row: DoublesARow by rows_arrive_once_and_in_order with "there twice";
    rows_in_wrong_order: SwapsRows by rows_arrive_once_and_in_order with "out of order";
    a_value_off_by_one_bit: AltersTheLastDigit by values_arrive_exactly with "altered";
    a_lost_minus: LosesTheSignOfZero by values_arrive_exactly with "= -0.0 became";
    a_rounded_time: RoundsTimes by rows_arrive_once_and_in_order with "invented";
    a_mangled_name: EscapesNothing by names_and_labels_arrive_unharmed with "and one is lost";
    details_that_are_lost: LosesDetails by events_arrive_with_their_details with "invented";
    a_destination_emptied_by_opening: ForgetsThePast by reopening_goes_on_where_it_was with "lost";
    a_passed_deadline_that_counts_for_nothing: IgnoresAPassedDeadline by passed_deadline_writes_nothing
        with "answered with All";
    rows_of_a_write_that_failed: WritesAfterAPassedDeadline by passed_deadline_writes_nothing
        with "invented";
    a_call_longer_than_its_deadline: OutstaysADeadline by hanging_destination_is_left_by_the_deadline
        with "`write` did not return within 300ms";
    an_opening_longer_than_its_deadline: OutstaysTheDeadlineOfOpening
        by opening_is_left_by_the_deadline with "`open` did not return within 300ms";
    a_row_out_of_a_probe: WritesOnProbe by probe_writes_nothing with "invented";
    a_row_out_of_opening: WritesOnOpen by opening_and_closing_writes_nothing with "invented";
    a_row_out_of_an_empty_batch: WritesForAnEmptyBatch by empty_batch_writes_nothing with "invented";
    rows_that_a_flush_does_not_show: FlushesNothing by flushed_rows_are_visible with "lost";
    a_clone_that_is_another_destination: ClonesToAnotherStore by clone_opens_the_same_destination
        with "lost";
    success_without_a_destination: ClaimsSuccess by broken_destination_fails_cleanly with "lost";
    a_fault_that_passes_for_a_bug: FailsAsABug by broken_destination_fails_cleanly
        with "the class Bug";
    a_neighbour_that_is_lost: LosesANeighbour by rejected_row_harms_no_neighbour with "lost";
    a_rejected_row_outside_the_batch: NamesAWrongRow by rejected_row_harms_no_neighbour
        with "row 7 of a batch of 7 rows is rejected";
    a_rejection_of_nothing: NamesNoRow by rejected_row_harms_no_neighbour with "names no row";
    a_row_that_cannot_be_there: TakesWhatItCannot by rejected_row_harms_no_neighbour
        with "is accepted";
    rows_given_up_in_an_outage: LosesTheBatchOfAnOutage by random_scripts_balance with "lost";
    success_in_an_outage: ClaimsSuccess by outage_loses_no_row with "lost";
    a_lost_row_beside_others: DropsARow by other_sinks_faults_change_nothing with "lost";
    failures_of_a_good_destination: FailsNowAndThen by accounts_equal_what_was_sent
        with "failures is";
    a_file_made_by_check: CreatesTooEarly by checking_touches_nothing with "too early was created";
}

/// The same for checks of the whole process.
macro_rules! caught_in_own_process {
    ($($test:ident: $sabotage:ident by $check:ident with $words:literal;)*) => {$(
        #[test]
        fn $test() {
            let path = concat!(module_path!(), "::", stringify!($test));
            conformance::in_own_process(path, || {
                caught(conformance::$check::<Memory<{ Sabotage::$sabotage as u8 }>>(), $words);
                Ok(())
            })
            .unwrap();
        }
    )*};
}

caught_in_own_process! {
    a_thread_that_stays: LeaksAThread by nothing_leaks with "leaves 20 threads";
    a_descriptor_that_stays: LeaksADescriptor by nothing_leaks with "leaves 20 descriptors";
    a_line_for_each_failure: LogsEachFailure by outage_is_logged_once with "lines of its own";
    an_outage_that_is_told_twice: LogsEachOutageTwice by outage_is_logged_once
        with "2 lines of its own";
}

#[test]
fn a_failure_in_a_process_of_its_own_is_told_and_so_is_a_test_that_does_not_exist() {
    let path = concat!(module_path!(), "::no_such_test");
    caught(conformance::in_own_process(path, || Ok(())), "0 passed");
}

/// The sink that doubles rows, by an author who says that it may.
struct AtLeastOnce(Memory<{ Sabotage::DoublesARow as u8 }>);

impl Harness for AtLeastOnce {
    const KIND: &'static str = "stored";
    const MAY_DOUBLE: bool = true;

    fn new() -> Self {
        AtLeastOnce(Harness::new())
    }

    fn settings(&self) -> String {
        self.0.settings()
    }

    fn config(&self) -> Option<Box<dyn SinkConfig>> {
        self.0.config()
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.0.arrived()
    }
}

#[test]
fn doubled_rows_pass_where_they_are_declared() {
    conformance::rows_arrive_once_and_in_order::<AtLeastOnce>().unwrap();
}

/// A kind whose registration and settings are wrong in every way they can be.
#[derive(Clone, Debug, serde::Deserialize)]
struct Careless {
    #[expect(dead_code, reason = "shown by `Debug`")]
    password: serde_json::Value,
}

impl SinkConfig for Careless {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Err(SinkError::new(FaultClass::Config, "never opened"))
    }
}

register_sink! {
    "Care-less" => Careless,
    summary: "Is careless",
    sample: "careless: { type: Care-less, settings: { pasword: x } }",
}

struct Nothing;

impl Harness for Nothing {
    const KIND: &'static str = "Care-less";

    fn new() -> Self {
        Nothing
    }

    fn settings(&self) -> String {
        "password: x".to_owned()
    }

    fn arrived(&self) -> Vec<Arrived> {
        Vec::new()
    }

    fn folder(&self) -> Option<PathBuf> {
        None
    }

    fn secret(&self) -> Option<(String, String)> {
        Some((format!("password: {SECRET}"), SECRET.to_owned()))
    }
}

#[test]
fn a_careless_registration_is_caught() {
    let own = env!("CARGO_PKG_NAME");
    caught(conformance::kind_is_registered::<Nothing>(own), "is not of a-z, 0-9 and _");
    caught(conformance::kind_is_registered::<Memory<0>>("another-crate"), "not another-crate");
    caught(conformance::sample_is_accepted::<Nothing>(), "the sample is refused");
    caught(conformance::unknown_key_is_named::<Nothing>(), "`no_such_setting`, is accepted");
    caught(conformance::wrong_type_is_named::<Nothing>(), "a map is accepted as `password`");
    caught(conformance::secret_is_not_shown::<Nothing>(), "`Debug` of the configuration shows");
}

/// A kind that says in full what it was given, if that is no text.
#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Talkative {
    #[serde(rename = "phrase")]
    _phrase: Phrase,
}

#[derive(Clone, serde::Deserialize)]
#[serde(try_from = "serde_json::Value")]
struct Phrase;

impl TryFrom<serde_json::Value> for Phrase {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        if value.is_string() { Ok(Phrase) } else { Err(format!("found {value}; accepted: text")) }
    }
}

impl std::fmt::Debug for Talkative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Talkative")
    }
}

impl SinkConfig for Talkative {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Err(SinkError::new(FaultClass::Config, "never opened"))
    }
}

register_sink! {
    "talkative" => Talkative,
    summary: "Says too much",
    sample: "talkative: { type: talkative, settings: { phrase: x } }",
}

struct Told;

impl Harness for Told {
    const KIND: &'static str = "talkative";

    fn new() -> Self {
        Told
    }

    fn settings(&self) -> String {
        "phrase: x".to_owned()
    }

    fn arrived(&self) -> Vec<Arrived> {
        Vec::new()
    }

    fn secret(&self) -> Option<(String, String)> {
        Some((format!("phrase: {SECRET}"), SECRET.to_owned()))
    }
}

#[test]
fn a_secret_in_the_message_about_its_type_is_caught() {
    caught(
        conformance::secret_is_not_shown::<Told>(),
        "shows the secret where it stands in a list",
    );
}
