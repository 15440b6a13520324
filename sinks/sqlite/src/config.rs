//! What stands below `settings:`.

use std::path::PathBuf;

use serde::Deserialize;
use wanctl_sink::{Issue, OpenContext, Resource, SinkConfig, SinkError, SinkWriter, register_sink};

use crate::writer::SqliteWriter;

register_sink! {
    "sqlite" => SqliteConfig,
    summary: "Keeps history in one SQLite file that any program can read",
    sample: include_str!("../sample.yaml"),
}

/// What `settings:` of a sqlite sink is read into.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteConfig {
    /// The file. Default `/var/lib/wanctl/metrics.db`.
    pub path: PathBuf,
    /// How many days samples are kept, 1 to 365; events stay ten times as long. Default 7.
    pub retention_days: u32,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        SqliteConfig { path: "/var/lib/wanctl/metrics.db".into(), retention_days: 7 }
    }
}

impl SinkConfig for SqliteConfig {
    fn check(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.path.as_os_str().is_empty() {
            issues.push(Issue::value("path", "nothing", "the path of a file"));
        }
        if !(1..=365).contains(&self.retention_days) {
            let accepted = "a whole number from 1 to 365";
            issues.push(Issue::value("retention_days", self.retention_days, accepted));
        }
        issues
    }

    fn claims(&self) -> Vec<Resource> {
        vec![Resource::file(&self.path)]
    }

    fn open(&self, context: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(SqliteWriter::open(self, context)?))
    }
}

#[cfg(test)]
mod tests {
    use wanctl_sink::{Registry, Settings, SinkSpec};

    use super::*;

    fn parse(text: &str) -> Result<SqliteConfig, Issue> {
        Settings::from_yaml(text).unwrap().parse()
    }

    #[test]
    fn the_kind_is_registered_and_its_sample_shows_the_defaults() {
        let registry = Registry::linked().unwrap();
        let sample = registry.get("sqlite").unwrap().sample;
        let specs = SinkSpec::parse_yaml(sample, &registry).unwrap();
        assert_eq!((specs[0].name.as_str(), specs[0].kind.as_str()), ("history", "sqlite"));
        assert_eq!(format!("{:?}", specs[0].config), format!("{:?}", SqliteConfig::default()));
        assert_eq!(SqliteConfig::default().check(), []);
    }

    #[test]
    fn all_values_out_of_range_are_named() {
        let issues = parse("{ path: '', retention_days: 366 }").unwrap().check();
        let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
        assert_eq!(
            issues,
            [
                "path: found nothing; accepted: the path of a file",
                "retention_days: found 366; accepted: a whole number from 1 to 365",
            ]
        );
        assert_eq!(parse("retention_days: 1").unwrap().check(), []);
        assert_eq!(parse("retention_days: 365").unwrap().check(), []);
        assert_eq!(parse("retention_days: 0").unwrap().check().len(), 1);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(parse("db_path: x").unwrap_err().to_string().contains("db_path"));
    }
}
