//! The program from end to end: the real binary, real files, real signals.
//!
//! Everything is measured on 127.0.0.1, so the tests need neither root nor a network.

mod check;
mod disk;
mod history;
mod history_export;
mod history_import;
mod http;
mod locker;
mod privilege;
mod prometheus;
mod reading;
mod recording;
mod reload;
mod rows;
mod run;
mod secrets;
mod sharing;
mod sinks;
mod sinks_command;
mod status;
mod stopping;
mod support;
