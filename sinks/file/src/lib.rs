//! A sink that appends rows to a text file, one JSON object a line, for log shippers and shell tools.
//!
//! ```yaml
#![doc = include_str!("../sample.yaml")]
//! ```
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | `path` | required | the file; its folder is created, and what is in the file already stays |
//! | `format` | `jsonl` | one JSON object a line |
//!
//! A line has the keys `time` (UTC, microseconds), `timestamp` (whole Unix seconds), `wan_name`,
//! `metric_name`, `source`, `value`, `labels` (an object, left out when there are none) and `unit`
//! (left out when there is none):
//!
//! ```json
//! {"time":"2026-01-25T00:13:47.050000Z","timestamp":1769300027,"wan_name":"wan1","metric_name":"wanctl_rtt_ms","source":"autorate","value":23.41,"unit":"ms"}
//! ```
//!
//! A batch is in the file as a whole or not at all, so a batch that comes again is not there twice. The
//! one exception is a crash in the middle of a write; the torn line it leaves is ended when the file is
//! opened again, so that the next line starts on its own. Files may be moved away or deleted while they
//! are written (`logrotate` needs no `postrotate`): the next batch goes to a new file. This sink doesn't
//! rotate, compress or delete files itself.

mod line;
mod writer;

use std::path::PathBuf;

use serde::Deserialize;
use wanctl_sink::{Issue, OpenContext, Resource, SinkConfig, SinkError, SinkWriter, register_sink};

use writer::FileWriter;

register_sink! {
    "file" => FileConfig,
    summary: "Appends rows to a file, one JSON object a line",
    sample: include_str!("../sample.yaml"),
}

/// What `settings:` of a file sink is read into.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file to append to.
    pub path: PathBuf,
    /// How a row is written.
    #[serde(default)]
    pub format: Format,
}

/// How a row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Jsonl,
}

impl SinkConfig for FileConfig {
    fn check(&self) -> Vec<Issue> {
        if self.path.as_os_str().is_empty() {
            return vec![Issue::value("path", "nothing", "the path of a file")];
        }
        Vec::new()
    }

    fn claims(&self) -> Vec<Resource> {
        vec![Resource::file(&self.path)]
    }

    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(FileWriter::open(&self.path)?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use wanctl_sink::{Registry, Settings};

    use super::*;

    fn parse(text: &str) -> Result<FileConfig, Issue> {
        Settings::from_yaml(text).unwrap().parse()
    }

    #[test]
    fn the_kind_is_registered_and_its_sample_parses() {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Entry {
            r#type: String,
            settings: FileConfig,
        }
        let registry = Registry::linked().unwrap();
        let sample = Settings::from_yaml(registry.get("file").unwrap().sample).unwrap();
        let entries: BTreeMap<String, Entry> = sample.parse().unwrap();
        assert_eq!(entries["trace"].r#type, "file");
        assert_eq!(entries["trace"].settings.check(), []);
    }

    #[test]
    fn the_path_is_required_and_not_empty() {
        assert!(parse("format: jsonl").unwrap_err().to_string().contains("path"));
        let issues = parse("path: ''").unwrap().check();
        assert_eq!(issues[0].to_string(), "path: found nothing; accepted: the path of a file");
    }

    #[test]
    fn an_unknown_format_lists_the_known_ones() {
        let issue = parse("{ path: x, format: csv }").unwrap_err().to_string();
        assert!(issue.starts_with("format: ") && issue.contains("`jsonl`"), "{issue}");
    }

    #[test]
    fn two_spellings_of_one_path_are_the_same_claim() {
        let relative = parse("path: x.jsonl").unwrap().claims();
        let absolute = std::path::absolute("x.jsonl").unwrap();
        assert_eq!(relative, [Resource::file(absolute)]);
    }
}
