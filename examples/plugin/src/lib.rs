//! A sink for wanctl that sends rows to Graphite, by Carbon's plaintext protocol over TCP.
//!
//! Importing it into a program is all it takes; the kind is then `graphite`:
//!
//! ```
//! use wanctl_sink_graphite as _;
//! ```
//!
//! ```yaml
#![doc = include_str!("../sample.yaml")]
//! ```
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | `address` | required | Carbon's plaintext listener, `host:port` |
//! | `prefix` | none | put before each name as it is, so end it with a dot |
//! | `api_key` | none | put before prefix and name with a dot; `env:NAME`, `file:PATH` or the key itself |
//!
//! # What "delivered" means
//!
//! Carbon answers nothing. So each batch gets a connection of its own, which is closed for writing after the
//! last line, and the rows count as delivered when Carbon closes its side: it has read everything by then.
//! Until that happens the batch is kept and comes again, which changes nothing, because Graphite keeps one
//! value for each name and second.
//!
//! This crate does not buffer, retry or log: the framework does.

mod line;
mod writer;

use serde::Deserialize;
use wanctl_sink::{Issue, OpenContext, Secret, SinkConfig, SinkError, SinkWriter, register_sink};

use writer::GraphiteWriter;

register_sink! {
    "graphite" => GraphiteConfig,
    summary: "Sends rows to Graphite over TCP",
    sample: include_str!("../sample.yaml"),
}

/// What `settings:` of a graphite sink is read into.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphiteConfig {
    /// Carbon's plaintext listener, `host:port`.
    pub address: String,
    /// Put before each name as it is. Default none.
    #[serde(default)]
    pub prefix: String,
    /// Put before the prefix, with a dot between: how hosted Graphite knows whose rows they are. Default none.
    pub api_key: Option<Secret>,
}

impl SinkConfig for GraphiteConfig {
    fn check(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        match self.address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {}
            _ => issues.push(Issue::value("address", &self.address, "host:port")),
        }
        if let Some(bad) = self.prefix.chars().find(|c| !line::is_plain(*c)) {
            let accepted = "letters, digits, `.`, `_`, `-`, `:` and `/`";
            issues.push(Issue::value("prefix", format!("{bad:?}"), accepted));
        }
        issues
    }

    /// Looks whether the key can be had. Carbon may be down; it is asked with the first batch.
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        let writer = GraphiteWriter::new(self.clone());
        writer.key()?;
        Ok(Box::new(writer))
    }
}
