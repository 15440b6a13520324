//! A sink that appends rows to a text file, one a line, for log shippers, shell tools and spreadsheets.
//!
//! ```yaml
#![doc = include_str!("../sample.yaml")]
//! ```
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | `path` | required | the file; its folder is created, and what is in the file already stays |
//! | `format` | `jsonl` | `jsonl`, `csv` or `influx` (see below) |
//! | `fsync` | `flush` | when rows are made safe from a crash of the machine: `flush`, `never`, `batch`, or after a time such as `5s` |
//! | `rotate` | none | when the file is moved away, by at least one of `max_bytes` and `max_age` |
//! | `rotate.max_bytes` | no limit | a number of bytes, or text such as `50MiB` (kB, MB, GB, KiB, MiB, GiB) |
//! | `rotate.max_age` | no limit | how far the rows of a file lie apart, such as `12h`, `1d` |
//! | `rotate.keep` | 5 | how many rotated files are kept, 1 to 100 |
//! | `rotate.compress` | `none` | `gzip` compresses rotated files |
//!
//! # Formats
//!
//! `jsonl`: a line has the keys `time` (UTC, microseconds), `timestamp` (whole Unix seconds), `wan_name`,
//! `metric_name`, `source`, `value`, `labels` (an object, left out when there are none) and `unit`
//! (left out when there is none):
//!
//! ```json
//! {"time":"2026-01-25T00:13:47.050000Z","timestamp":1769300027,"wan_name":"wan1","metric_name":"wanctl_rtt_ms","source":"autorate","value":23.41,"unit":"ms"}
//! ```
//!
//! `csv`: the same columns without the unit, quoted as in RFC 4180; `labels` is the text of a JSON object.
//! Each file begins with their names:
//!
//! ```csv
//! time,timestamp,wan_name,metric_name,source,value,labels
//! 2026-01-25T00:13:47.050000Z,1769300027,wan1,wanctl_state,autorate,2.0,"{""direction"": ""download""}"
//! ```
//!
//! `influx`: line protocol. The metric is the measurement, and WAN, source and declared labels are tags.
//! What an event tells of itself is text in fields of its own. A label that is named like one of `wan`,
//! `source`, `value` and `time` gets `label_` before its name:
//!
//! ```text
//! wanctl_state,wan=wan1,source=autorate,direction=download value=2.0 1769300027050000000
//! ```
//!
//! # What is in the file
//!
//! A batch is in the file as a whole or not at all, so a batch that comes again is not there twice. The
//! one exception is a crash in the middle of a write. When the file is opened again, the torn line that
//! it leaves is ended in `jsonl`, so that the next line starts on its own, and taken away in `csv` and
//! `influx`, where half a line can pass for a whole one. Files may be moved away or deleted while they
//! are written (`logrotate` needs no `postrotate`): the next batch goes to a new file.
//!
//! # Rotation
//!
//! Before a batch that would make the file too long, or that is too much later than the file's first row,
//! the file is moved to `path.1`, `path.1` to `path.2` and so on; of more than `keep` the oldest goes.
//! Age is counted by the rows' own time. A batch is never divided, so one that is longer than `max_bytes`
//! makes a file of its own. Files are compressed piece by piece between batches, and those that the end
//! of the program leaves are compressed after the next start.

mod format;
mod gzip;
mod rotated;
mod settings;
mod writer;

use wanctl_sink::{Issue, OpenContext, Resource, SinkConfig, SinkError, SinkWriter, register_sink};

pub use format::Format;
pub use settings::{Compress, FileConfig, Fsync, Rotate};

use writer::FileWriter;

register_sink! {
    "file" => FileConfig,
    summary: "Appends rows to a file as JSON lines, CSV or InfluxDB line protocol",
    sample: include_str!("../sample.yaml"),
}

impl SinkConfig for FileConfig {
    fn check(&self) -> Vec<Issue> {
        self.issues()
    }

    /// The file, and the numbers that rotation gives it.
    fn claims(&self) -> Vec<Resource> {
        let keep = self.rotate.as_ref().map_or(0, |rotate| rotate.keep);
        let rotated = (1..=keep).map(|n| rotated::numbered(&self.path, n, ""));
        std::iter::once(self.path.clone()).chain(rotated).map(Resource::file).collect()
    }

    fn open(&self, context: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(FileWriter::open(self, context)?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wanctl_sink::Settings;

    use super::*;

    fn parse(text: &str) -> Result<FileConfig, Issue> {
        Settings::from_yaml(text).unwrap().parse()
    }

    #[test]
    fn the_path_is_required_and_not_empty() {
        assert!(parse("format: jsonl").unwrap_err().to_string().contains("path"));
        let issues = parse("path: ''").unwrap().check();
        assert_eq!(issues[0].to_string(), "path: found nothing; accepted: the path of a file");
    }

    #[test]
    fn an_unknown_format_lists_the_known_ones() {
        let issue = parse("{ path: x, format: xml }").unwrap_err().to_string();
        assert!(
            issue.starts_with("format: ")
                && ["`jsonl`", "`csv`", "`influx`"].iter().all(|f| issue.contains(f)),
            "{issue}"
        );
    }

    #[test]
    fn two_spellings_of_one_path_are_the_same_claim() {
        let relative = parse("path: x.jsonl").unwrap().claims();
        let absolute = std::path::absolute("x.jsonl").unwrap();
        assert_eq!(relative, [Resource::file(absolute)]);
    }

    #[test]
    fn rotated_files_are_claimed_too() {
        let claims = parse("{ path: x.csv, rotate: { max_age: 1d, keep: 2 } }").unwrap().claims();
        let absolute = |name| Resource::file(std::path::absolute(name).unwrap());
        assert_eq!(claims, ["x.csv", "x.csv.1", "x.csv.2"].map(absolute));
    }

    #[test]
    fn sizes_and_times_are_numbers_or_text_with_a_unit() {
        let rotate = |text: &str| parse(&format!("{{ path: x, rotate: {text} }}")).unwrap().rotate;
        let bytes = |text| rotate(&format!("{{ max_bytes: {text} }}")).unwrap().max_bytes.unwrap();
        assert_eq!(
            ["4096", "1kB", "1KiB", "1.5MB", "'50 MiB'", "2GB", "1GiB"].map(bytes),
            [4096, 1000, 1024, 1_500_000, 52_428_800, 2_000_000_000, 1_073_741_824]
        );
        let age = |text| rotate(&format!("{{ max_age: {text} }}")).unwrap().max_age.unwrap();
        let seconds = ["1s", "90s", "5m", "1.5h", "1d"].map(|text| age(text).as_secs());
        assert_eq!(seconds, [1, 90, 300, 5400, 86_400]);
        let fsync = |text| parse(&format!("{{ path: x, fsync: {text} }}")).unwrap().fsync;
        assert_eq!(
            ["flush", "never", "batch", "500ms"].map(fsync),
            [Fsync::Flush, Fsync::Never, Fsync::Batch, Fsync::Every(Duration::from_millis(500))]
        );
    }

    #[test]
    fn what_is_not_set_has_the_default_of_the_table() {
        let config = parse("{ path: x, rotate: { max_bytes: 1MB } }").unwrap();
        let rotate =
            Rotate { max_bytes: Some(1_000_000), max_age: None, keep: 5, compress: Compress::None };
        assert_eq!(config, FileConfig { rotate: Some(rotate), ..FileConfig::new("x") });
        assert_eq!(parse("path: x").unwrap(), FileConfig::new("x"));
        assert_eq!((FileConfig::new("x").fsync, FileConfig::new("x").rotate), (Fsync::Flush, None));
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_path_and_what_is_accepted() {
        for (settings, path, accepted) in [
            ("rotate: { max_bytes: much }", "rotate.max_bytes", "found much; accepted: a size"),
            ("rotate: { max_bytes: 5Mb }", "rotate.max_bytes", "KiB, MiB, GiB"),
            ("rotate: { max_bytes: 0 }", "rotate.max_bytes", "above 0"),
            ("rotate: { max_bytes: -5 }", "rotate.max_bytes", "found -5; accepted: a size"),
            ("rotate: { max_bytes: [1] }", "rotate.max_bytes", "expected a size above 0"),
            (
                "rotate: { max_age: 10ms }",
                "rotate.max_age",
                "found 10ms; accepted: a duration from 1s",
            ),
            ("rotate: { max_age: 5 }", "rotate.max_age", "found 5; accepted: a duration"),
            (
                "rotate: { max_age: 1d, keep: 0 }",
                "rotate.keep",
                "found 0; accepted: a whole number from 1",
            ),
            ("rotate: { max_age: 1d, keep: 101 }", "rotate.keep", "to 100"),
            ("rotate: { max_age: 1d, compress: zip }", "rotate.compress", "`none` or `gzip`"),
            ("rotate: { max_size: 1 }", "rotate.max_size", "`max_bytes`"),
            ("rotate: { keep: 3 }", "rotate", "accepted: `max_bytes`, `max_age` or both"),
            ("fsync: always", "fsync", "`flush`, `never`, `batch`, or a duration"),
            ("fsync: 1ms", "fsync", "from 10ms"),
        ] {
            let issue = match parse(&format!("{{ path: x, {settings} }}")) {
                Ok(config) => config.check().first().cloned().unwrap(),
                Err(issue) => issue,
            };
            assert_eq!(issue.path, path, "{issue}");
            assert!(issue.message.contains(accepted), "{issue}");
        }
    }
}
