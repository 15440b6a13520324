//! Tests of the conformance kit: a good sink passes everything (below), and for each clause a sink that
//! breaks it fails the check that names it (`sabotage`).

#![cfg(test)]

mod sabotage;
mod sink;

use wanctl_sink::conformance::{Arrived, Fault, Harness};
use wanctl_sink::{Item, SinkConfig};

use sink::{Sabotage, Store, StoreConfig};

/// A store of its own, and a sink that writes there and may be sabotaged.
struct Memory<const SABOTAGE: u8>(Store);

/// What the settings' password is.
const SECRET: &str = "correct horse battery staple";

impl<const SABOTAGE: u8> Harness for Memory<SABOTAGE> {
    const KIND: &'static str = "stored";

    fn new() -> Self {
        Memory(Store::default())
    }

    fn settings(&self) -> String {
        "{ rows: 100000, password: none }".to_owned()
    }

    fn config(&self) -> Option<Box<dyn SinkConfig>> {
        let sabotage = Sabotage::ALL[usize::from(SABOTAGE)];
        Some(Box::new(StoreConfig::of(&self.0, sabotage)))
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.0.rows()
    }

    fn folder(&self) -> Option<std::path::PathBuf> {
        Some(self.0.folder())
    }

    fn secret(&self) -> Option<(String, String)> {
        Some((format!("{{ password: {SECRET} }}"), SECRET.to_owned()))
    }

    fn unrecordable(&self) -> Option<Item> {
        Some(sink::poison())
    }

    fn break_down(&self, how: Fault) -> bool {
        self.0.set_fault(Some(how));
        true
    }

    fn mend(&self) {
        self.0.set_fault(None);
    }
}

mod good {
    wanctl_sink::conformance!(super::Memory<{ super::Sabotage::Off as u8 }>);
}
