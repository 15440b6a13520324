//! The null sink keeps the contract of sinks.

#![cfg(test)]

use wanctl_sink::conformance::{Arrived, Harness, Keeps};
use wanctl_sink_null as _;

struct Nowhere;

impl Harness for Nowhere {
    const KIND: &'static str = "null";
    const KEEPS: Keeps = Keeps::Nothing;

    fn new() -> Self {
        Nowhere
    }

    fn settings(&self) -> String {
        "{}".to_owned()
    }

    fn arrived(&self) -> Vec<Arrived> {
        Vec::new()
    }
}

wanctl_sink::conformance!(Nowhere);
