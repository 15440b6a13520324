//! The suite that every sink passes: one line in a test gives a plugin author all of it.
//!
//! Switch it on in the plugin's `Cargo.toml`; programs that use the plugin don't get it:
//!
//! ```toml
//! [dev-dependencies]
//! wanctl-sink = { version = "0.1", features = ["conformance"] }
//! ```
//!
//! Then write a [`Harness`]: how to make a destination, and how to read what arrived there. The macro
//! [`conformance!`](crate::conformance!) turns it into one test for each clause of the contract, named
//! after the clause. A complete `tests/conformance.rs` of a sink that appends to a file:
//!
//! ```
//! use std::path::PathBuf;
//! use wanctl_sink::conformance::{Arrived, Harness};
//! # mod tempfile {
//! #     pub struct TempDir;
//! #     impl TempDir { pub fn path(&self) -> &std::path::Path { std::path::Path::new("/tmp") } }
//! #     pub fn tempdir() -> std::io::Result<TempDir> { Ok(TempDir) }
//! # }
//! # /*
//! use my_sink as _; // A crate that is not named is not linked.
//! # */
//!
//! struct Lines(tempfile::TempDir);
//!
//! impl Harness for Lines {
//!     const KIND: &'static str = "lines";
//!
//!     fn new() -> Self {
//!         Lines(tempfile::tempdir().unwrap())
//!     }
//!
//!     fn settings(&self) -> String {
//!         format!("path: {}", self.0.path().join("rows.txt").display())
//!     }
//!
//!     /// A line is a JSON array: metric, WAN, source, nanoseconds, value, labels or null.
//!     fn arrived(&self) -> Vec<Arrived> {
//!         let text = std::fs::read_to_string(self.0.path().join("rows.txt")).unwrap_or_default();
//!         text.lines()
//!             .map(|line| {
//!                 let row: serde_json::Value = serde_json::from_str(line).unwrap();
//!                 let text = |position: usize| row[position].as_str().map(str::to_owned);
//!                 Arrived {
//!                     metric: text(0).unwrap(),
//!                     wan: text(1).unwrap(),
//!                     source: text(2).unwrap(),
//!                     unix_nanos: row[3].as_i64().unwrap(),
//!                     value: row[4].as_f64().unwrap(),
//!                     labels: text(5),
//!                 }
//!             })
//!             .collect()
//!     }
//!
//!     fn folder(&self) -> Option<PathBuf> {
//!         Some(self.0.path().to_owned())
//!     }
//! }
//!
//! wanctl_sink::conformance!(Lines);
//! # fn main() {}
//! ```
//!
//! Two harnesses in one file, for two formats of one sink, go into a module each.
//!
//! # What is checked
//!
//! | topic | test | needs |
//! |---|---|---|
//! | registration | [`kind_is_registered`], [`sample_is_accepted`] | |
//! | configuration | [`unknown_key_is_named`], [`wrong_type_is_named`] | |
//! | | [`checking_touches_nothing`] | [`folder`](Harness::folder), to see files |
//! | | [`secret_is_not_shown`] | [`secret`](Harness::secret) |
//! | clones | [`clone_opens_the_same_destination`], [`cloned_handle_reaches_the_same_destination`] | |
//! | lifecycle | [`opening_and_closing_writes_nothing`], [`empty_batch_writes_nothing`], [`probe_writes_nothing`], [`flushed_rows_are_visible`], [`reopening_goes_on_where_it_was`], [`nothing_leaks`] | |
//! | delivery | [`rows_arrive_once_and_in_order`], [`values_arrive_exactly`], [`names_and_labels_arrive_unharmed`], [`events_arrive_with_their_details`], [`clock_steps_lose_no_row`], [`large_batch_arrives_whole`] | |
//! | deadlines | [`passed_deadline_writes_nothing`] | |
//! | | [`hanging_destination_is_left_by_the_deadline`], [`opening_is_left_by_the_deadline`] | [`Fault::Hangs`] |
//! | faults | [`broken_destination_fails_cleanly`], [`outage_loses_no_row`], [`outage_is_logged_once`] | [`Fault::Refuses`] |
//! | | [`rejected_row_harms_no_neighbour`] | [`unrecordable`](Harness::unrecordable) |
//! | conservation | [`random_scripts_balance`] | more with [`Fault::Refuses`] |
//! | isolation | [`other_sinks_faults_change_nothing`] | |
//! | accounts | [`accounts_equal_what_was_sent`] | |
//!
//! A check whose hook is missing finds nothing to do and passes, so implement what the destination allows.
//! A row that the destination can't hold is no failure as long as it is rejected and not there: the
//! kit never sends one in a place where it has to be accepted.
//!
//! # What is expected of a harness
//!
//! * `arrived` reads everything, exactly: what it rounds or leaves out, the kit reports as lost.
//! * Where the destination can't hold something that the kit sends, [`Harness::keeps`] says what it holds
//!   instead. Each such line is a promise of the sink that its documentation should make, too.
//! * `break_down` should break it in a way that heals: with a fault of the class
//!   [`Config`](crate::FaultClass::Config) the sink is tried too rarely for a test.
//!
//! Each check is also a function that returns what it found, for tests of tests:
//! a sink that is broken on purpose has to fail the right one.
//!
//! The kit uses the standard library only, always sends the same rows, and takes a few seconds.

mod bench;
mod config;
mod delivery;
mod faults;
mod harness;
mod ledger;
mod lifecycle;
mod pipeline;
mod process;
mod rows;

pub use config::{
    checking_touches_nothing, kind_is_registered, sample_is_accepted, secret_is_not_shown,
    unknown_key_is_named, wrong_type_is_named,
};
pub use delivery::{
    clock_steps_lose_no_row, events_arrive_with_their_details, large_batch_arrives_whole,
    names_and_labels_arrive_unharmed, rows_arrive_once_and_in_order, values_arrive_exactly,
};
pub use faults::{
    broken_destination_fails_cleanly, hanging_destination_is_left_by_the_deadline,
    opening_is_left_by_the_deadline, passed_deadline_writes_nothing,
    rejected_row_harms_no_neighbour,
};
pub use harness::{Arrived, Fault, Harness, Keeps};
pub use lifecycle::{
    clone_opens_the_same_destination, cloned_handle_reaches_the_same_destination,
    empty_batch_writes_nothing, flushed_rows_are_visible, opening_and_closing_writes_nothing,
    probe_writes_nothing, reopening_goes_on_where_it_was,
};
pub use pipeline::{
    accounts_equal_what_was_sent, other_sinks_faults_change_nothing, outage_loses_no_row,
    random_scripts_balance,
};
pub use process::{in_own_process, nothing_leaks, outage_is_logged_once};

/// What a check found: nothing, or what is wrong, in words.
pub type Outcome = Result<(), String>;

/// One test for each clause of the contract, for a [`Harness`].
///
/// The tests stand in the module where the macro does. See [the kit](mod@crate::conformance) for an example.
#[macro_export]
macro_rules! conformance {
    ($harness:ty) => {
        #[test]
        fn kind_is_registered() -> $crate::conformance::Outcome {
            $crate::conformance::kind_is_registered::<$harness>(env!("CARGO_PKG_NAME"))
        }

        $crate::conformance! { @here $harness:
            sample_is_accepted,
            unknown_key_is_named,
            wrong_type_is_named,
            secret_is_not_shown,
            checking_touches_nothing,
            clone_opens_the_same_destination,
            cloned_handle_reaches_the_same_destination,
            opening_and_closing_writes_nothing,
            empty_batch_writes_nothing,
            probe_writes_nothing,
            flushed_rows_are_visible,
            reopening_goes_on_where_it_was,
            rows_arrive_once_and_in_order,
            values_arrive_exactly,
            names_and_labels_arrive_unharmed,
            events_arrive_with_their_details,
            clock_steps_lose_no_row,
            large_batch_arrives_whole,
            passed_deadline_writes_nothing,
            hanging_destination_is_left_by_the_deadline,
            opening_is_left_by_the_deadline,
            broken_destination_fails_cleanly,
            rejected_row_harms_no_neighbour,
            outage_loses_no_row,
            random_scripts_balance,
            other_sinks_faults_change_nothing,
            accounts_equal_what_was_sent,
        }
        $crate::conformance! { @own_process $harness: nothing_leaks, outage_is_logged_once }
    };
    (@here $harness:ty: $($check:ident),* $(,)?) => {
        $(#[test]
        fn $check() -> $crate::conformance::Outcome {
            $crate::conformance::$check::<$harness>()
        })*
    };
    (@own_process $harness:ty: $($check:ident),* $(,)?) => {
        $(#[test]
        fn $check() -> $crate::conformance::Outcome {
            let path = concat!(module_path!(), "::", stringify!($check));
            $crate::conformance::in_own_process(path, $crate::conformance::$check::<$harness>)
        })*
    };
}
