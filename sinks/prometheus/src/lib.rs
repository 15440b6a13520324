//! A sink that serves the newest value of every series over HTTP, to be scraped by Prometheus.
//!
//! ```yaml
#![doc = include_str!("../sample.yaml")]
//! ```
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | `host` | `127.0.0.1` | address or name to listen on |
//! | `port` | 9100 | TCP port, 1 to 65535 |
//! | `max_series` | 10000 | beyond this many, a new series is rejected until another one is stale |
//!
//! `/metrics` is answered in the text format 0.0.4, or in OpenMetrics 1.0 for those who ask for it. Names,
//! `HELP`, `TYPE` and `UNIT` are what the metric is declared with; the labels are `wan`, `source` and the
//! declared ones. A series without a value for five minutes is stale: it is left out until it has one
//! again.
//!
//! The sink keeps no history, takes no events (their labels hold free text, which would make a series of
//! each), and has neither TLS nor a password.

mod exposition;
mod http;
mod latest;
mod server;
#[cfg(test)]
mod tests;
mod writer;

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use wanctl_sink::{Issue, OpenContext, Resource, SinkConfig, SinkError, SinkWriter, register_sink};

use writer::PrometheusWriter;

register_sink! {
    "prometheus" => PrometheusConfig,
    summary: "Serves the newest values to Prometheus, as text or OpenMetrics",
    sample: include_str!("../sample.yaml"),
}

/// What `settings:` of a prometheus sink is read into.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusConfig {
    /// The address or name to listen on. Default 127.0.0.1, so that only this machine can scrape.
    pub host: String,
    /// The TCP port. Default 9100; 0 is refused, because nobody would know where to scrape.
    pub port: u16,
    /// How many series are kept; where there are as many, stale ones go for new ones. Default 10000.
    pub max_series: usize,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        PrometheusConfig { host: "127.0.0.1".to_owned(), port: 9100, max_series: 10_000 }
    }
}

impl PrometheusConfig {
    /// `host:port`, with brackets around an IPv6 address.
    fn address(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, self.port).to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        }
    }
}

impl SinkConfig for PrometheusConfig {
    fn check(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.host.parse::<IpAddr>().is_err() && !is_host_name(&self.host) {
            let found = format!("{:?}", self.host);
            issues.push(Issue::value("host", found, "an IP address or a host name"));
        }
        if self.port == 0 {
            issues.push(Issue::value("port", 0, "1 to 65535"));
        }
        if self.max_series == 0 {
            issues.push(Issue::value("max_series", 0, "at least 1"));
        }
        issues
    }

    fn claims(&self) -> Vec<Resource> {
        vec![Resource::TcpListener(self.address())]
    }

    fn open(&self, context: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(PrometheusWriter::open(self, context.deadline)?))
    }
}

/// Whether this may be a host name: parts of letters, digits, `-` and `_`, and dots between.
fn is_host_name(host: &str) -> bool {
    let is_part = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&part.len()) && !part.starts_with('-') && part.chars().all(known)
    };
    // What ends in a number can only be an address, and this is none.
    let ends_in_number =
        host.rsplit('.').next().is_some_and(|part| part.chars().all(|c| c.is_ascii_digit()));
    host.len() <= 253 && !ends_in_number && host.split('.').all(is_part)
}
