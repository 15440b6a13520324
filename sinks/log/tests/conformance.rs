//! The log sink keeps the contract of sinks.

#![cfg(test)]

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use serde_json::Value;
use tracing_subscriber::EnvFilter;
use wanctl_sink::Row;
use wanctl_sink::conformance::{Arrived, Harness};
use wanctl_sink_log::TARGET;

/// The process has one log, so one check at a time has it.
static TURN: Mutex<()> = Mutex::new(());
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static INSTALL: Once = Once::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Log(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Harness for Log {
    const KIND: &'static str = "log";

    fn new() -> Self {
        let turn = lock(&TURN);
        INSTALL.call_once(|| {
            let format = tracing_subscriber::fmt().json().flatten_event(true);
            let filter = EnvFilter::new(format!("off,{TARGET}=debug"));
            format.with_env_filter(filter).with_writer(|| Text).init();
        });
        lock(&LOG).clear();
        Log(turn)
    }

    fn settings(&self) -> String {
        "level: debug".to_owned()
    }

    fn arrived(&self) -> Vec<Arrived> {
        let log = lock(&LOG).clone();
        let line = |line: &str| -> Arrived {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            Arrived {
                metric: text("metric"),
                wan: text("wan"),
                source: text("source"),
                labels: line.get("labels").map(|labels| labels.as_str().unwrap().to_owned()),
                unix_nanos: 0,
                value: line["value"].as_f64().unwrap(),
            }
        };
        String::from_utf8(log).unwrap().lines().map(line).collect()
    }

    /// A line of a log has the time at which it was logged.
    fn keeps(&self, row: &Row<'_>) -> Option<Arrived> {
        Some(Arrived { unix_nanos: 0, ..Arrived::from(row) })
    }
}

struct Text;

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&LOG).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

wanctl_sink::conformance!(Log);
