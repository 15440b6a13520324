//! The `sinks:` section: what is read, and what is said when it is wrong.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use wanctl_sink::*;

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TestConfig {
    path: String,
    #[serde(default)]
    rotate: Rotate,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    #[serde(default)]
    keep: u32,
}

impl SinkConfig for TestConfig {
    fn check(&self) -> Vec<Issue> {
        match (self.path.as_str(), self.rotate.keep) {
            ("", _) => vec![Issue::value("path", "nothing", "a file path")],
            (_, keep) if keep > 9 => vec![Issue::value("rotate.keep", keep, "0 to 9")],
            _ => Vec::new(),
        }
    }

    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Err(SinkError::new(FaultClass::Config, "never opened"))
    }
}

register_sink! { "test" => TestConfig, summary: "For tests", sample: "a: {type: test, settings: {path: x}}" }

fn parse(yaml: &str) -> Result<Vec<SinkSpec>, Vec<String>> {
    let registry = Registry::linked().unwrap();
    SinkSpec::parse_yaml(yaml, &registry)
        .map_err(|issues| issues.iter().map(ToString::to_string).collect())
}

#[test]
fn every_option_is_read() {
    let yaml = "
trace:
  type: test
  enabled: false
  startup: retry
  queue: { seconds: 5, full: drop_newest }
  batch: { rows: 10, linger: 250ms }
  settings: { path: x }";
    let spec = &parse(yaml).unwrap()[0];
    assert_eq!((spec.name.as_str(), spec.kind.as_str(), spec.enabled), ("trace", "test", false));
    assert_eq!(spec.startup, Startup::Retry);
    assert_eq!(spec.queue, QueueOptions { seconds: 5.0, full: Overflow::DropNewest });
    assert_eq!(spec.batch, BatchOptions { rows: 10, linger: Duration::from_millis(250) });
}

#[test]
fn everything_wrong_is_reported_at_once_with_key_paths() {
    let yaml = "
a: { type: nope }
b: { type: test, settings: { path: x, rotate: { kep: 1 } } }
c: { type: test, setings: {}, queue: { secs: 1, seconds: -1, full: block }, batch: { linger: soon } }
d: { settings: {} }
e: { type: test, settings: { path: '' }, enabled: maybe }
f: 7
'g/h': {}";
    let issues = parse(yaml).unwrap_err();
    let expected = [
        "sinks.a.type: unknown kind `nope` (linked kinds: test)",
        "sinks.b.settings.rotate.kep: unknown field `kep`, expected `keep`",
        "sinks.c.setings: unknown key; did you mean `settings`? (accepted: batch, enabled, queue, settings, startup, type)",
        "sinks.c.settings: missing field `path`",
        "sinks.c.queue.secs: unknown key; did you mean `seconds`? (accepted: full, seconds)",
        "sinks.c.queue.seconds: found -1; accepted: a number from 1 to 1000000",
        "sinks.c.queue.full: found block; accepted: drop_oldest, drop_newest, latest",
        "sinks.c.batch.linger: found soon; accepted: a duration from 10ms to 60m, such as 250ms, 1s",
        "sinks.d.type: missing; accepted: test",
        "sinks.e.settings.path: found nothing; accepted: a file path",
        "sinks.e.enabled: found maybe; accepted: true, false",
        "sinks.f: found a number; accepted: a map with `type` and `settings`",
        "sinks: found g/h; accepted: a name of letters, digits, `_`, `-` and `.`",
    ];
    assert_eq!(issues, expected);
}

#[test]
fn what_stands_in_the_wrong_place_is_not_shown() {
    for (yaml, said) in [
        ("[{ token: HUNTER2 }]", "sinks: found a list; accepted: a map"),
        ("https://u:HUNTER2@h/db", "sinks: found text; accepted: a map"),
        ("a: [{ type: test, settings: { token: HUNTER2 } }]", "sinks.a: found a list; "),
        ("a: 'https://u:HUNTER2@h/db'", "sinks.a: found text; accepted: a map"),
        ("a: { type: { test: HUNTER2 } }", "sinks.a.type: found a map; "),
        ("a: { type: test, queue: HUNTER2 }", "sinks.a.queue: found text; "),
        ("a: { type: test, enabled: [HUNTER2] }", "sinks.a.enabled: found a list; "),
        ("a: { type: test, startup: { token: HUNTER2 } }", "sinks.a.startup: found a map; "),
        ("a: { type: test, batch: { rows: [HUNTER2] } }", "sinks.a.batch.rows: found a list; "),
        ("a: { type: test, batch: { linger: !x HUNTER2 } }", "linger: found a tagged value; "),
        ("? [HUNTER2]\n: { type: test }", "sinks: found a list; accepted: a name"),
    ] {
        let said_of = parse(yaml).unwrap_err().join("\n");
        assert!(said_of.contains(said), "{yaml}: {said_of}");
        assert!(!said_of.contains("HUNTER2"), "{yaml}: {said_of}");
    }
}

#[test]
fn a_kind_of_no_value_means_the_null_kind() {
    let issues = parse("a: { type: null }").unwrap_err();
    assert_eq!(issues, ["sinks.a.type: unknown kind `null` (linked kinds: test)"]);
}

#[test]
fn two_crates_that_claim_one_kind_are_both_named() {
    let registry = Registry::linked().unwrap();
    let mut second = *registry.get("test").unwrap();
    second.crate_name = "another-crate";
    let issue = registry.with(second).unwrap_err();
    assert_eq!(
        issue.to_string(),
        "sink kind `test` is claimed by two crates: another-crate 0.1.0 and wanctl-sink 0.1.0"
    );
}

#[test]
fn a_sink_built_against_another_contract_is_refused() {
    let registry = Registry::linked().unwrap();
    let old = SinkDescriptor { kind: "old", abi: 0, ..*registry.get("test").unwrap() };
    let issue = registry.with(old).unwrap_err();
    assert_eq!(issue.to_string(), "old (wanctl-sink 0.1.0) was built for sink ABI 0; accepted: 1");
}
