//! `wanctl sinks`: what it says of kinds, of files and of what stands in the way.

use std::fs;

use serde_json::Value;

use super::support::{BOTH, Place};

/// The kinds this program has, as it lists them.
fn kinds(place: &Place) -> Vec<String> {
    let listed = place.run("sinks list --json", &place.path("")).success().json();
    let kind = |sink: &Value| sink["kind"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(kind).collect()
}

/// What the doctor finds, as `level subject: message` and remedy.
fn findings(report: &Value) -> Vec<(String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let line = |finding: &Value| {
        let [level, subject, message] = ["level", "subject", "message"].map(|k| text(finding, k));
        (format!("{level} {subject}: {message}"), text(finding, "remedy"))
    };
    report.as_array().unwrap().iter().map(line).collect()
}

#[test]
fn the_sample_of_every_kind_and_of_all_together_is_accepted() {
    let place = Place::new();
    let kinds = kinds(&place);
    assert!(kinds.len() >= 4, "{kinds:?}");
    let mut wanted: Vec<&str> = kinds.iter().map(String::as_str).collect();
    wanted.push("");
    for kind in wanted {
        let sample = place.run(&format!("sinks sample {kind}"), &place.path("")).success().out;
        assert!(sample.starts_with("sinks:\n  "), "{sample}");
        let alone = place.write("sinks.yaml", &sample);
        let check = place.run("sinks check {}", &alone).success();
        assert!(check.out.ends_with("valid\n"), "{kind}: {}", check.out);
        let checked = place.run("sinks check --json {}", &alone).success().json();
        let found: Vec<&Value> =
            checked["sinks"].as_array().unwrap().iter().map(|sink| &sink["kind"]).collect();
        if kind.is_empty() {
            assert!(kinds.iter().all(|kind| found.contains(&&Value::from(kind.as_str()))));
        } else {
            assert_eq!(found, [kind], "{sample}");
        }
        let whole = place.write("wan.yaml", &format!("{BOTH}{sample}"));
        place.run("sinks check {}", &whole).success();
    }
    assert!(place.files().is_empty());
}

#[test]
fn a_description_has_origin_sample_and_the_options_of_every_sink() {
    let place = Place::new();
    let text = place.run("sinks describe file", &place.path("")).success().out;
    for part in ["wanctl-sink-file 0.", "sink ABI 1", "type: file", "queue.full: drop_oldest"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = place.run("sinks describe file --json", &place.path("")).success().json();
    assert_eq!((&json["kind"], &json["abi"]), (&"file".into(), &1.into()));
    let sample = place.run("sinks sample file", &place.path("")).success().out;
    assert_eq!(json["sample"], sample);
    let options = json["options"].as_array().unwrap();
    let default = |key: &str| &options.iter().find(|o| o["key"] == key).unwrap()["default"];
    for (key, value) in [
        ("enabled", "true"),
        ("startup", "error"),
        ("queue.seconds", "60"),
        ("queue.full", "drop_oldest"),
        ("batch.rows", "10000"),
        ("batch.linger", "1s"),
    ] {
        assert_eq!(default(key), value);
    }
}

#[test]
fn an_unknown_kind_is_explained() {
    let place = Place::new();
    for command in ["describe", "sample"] {
        let run = place.run(&format!("sinks {command} influx"), &place.path("")).failure();
        for part in ["unknown kind `influx`", "linked kinds: file", "as _;`"] {
            assert!(run.err.contains(part), "{command}: {}", run.err);
        }
    }
    let near = place.run("sinks describe sqlit", &place.path("")).failure();
    assert!(near.err.contains("did you mean `sqlite`?"), "{}", near.err);
}

#[test]
fn a_check_shows_options_and_claims_and_a_disabled_sink() {
    let place = Place::new();
    let config = place.write(
        "sinks.yaml",
        "sinks:
  trace: { type: file, startup: retry, queue: { seconds: 5, full: latest }, settings: { path: t.jsonl } }
  off: { type: memory, enabled: false }
",
    );
    let text = place.run("sinks check {}", &config).success().out;
    let claim = place.work().canonicalize().unwrap().join("t.jsonl");
    let claim = format!("file {}", claim.display());
    for part in ["startup retry, queue 5 s latest", &claim, "sink off: memory, disabled"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = place.run("sinks check --json {}", &config).success().json();
    let sink = |name: &str| {
        let sinks = json["sinks"].as_array().unwrap();
        sinks.iter().find(|sink| sink["name"] == name).unwrap().clone()
    };
    assert_eq!(sink("trace")["claims"][0], claim);
    assert_eq!(sink("trace")["queue"]["full"], "latest");
    assert_eq!(sink("off")["enabled"], false);
    assert!(place.files().is_empty(), "a check creates nothing");
}

#[test]
fn a_check_reports_all_mistakes_with_their_file() {
    let place = Place::new();
    let broken = "sinks: { a: { type: nope }, b: { type: file, settings: { pth: x } } }\n";
    let config = place.write("sinks.yaml", broken);
    let check = place.run("sinks check {}", &config).failure();
    let file = config.display();
    assert!(check.out.contains(&format!("{file}: sinks.a.type: unknown kind `nope`")));
    assert!(check.out.contains(&format!("{file}: sinks.b.settings")), "{}", check.out);
    assert!(check.out.ends_with("2 mistakes to mend\n"), "{}", check.out);
    let json = place.run("sinks check --json {}", &config).failure().json();
    assert_eq!((&json["valid"], json["issues"].as_array().unwrap().len()), (&false.into(), 2));

    let neither = place.write("empty.yaml", "storage: { db_path: x.db }\n");
    let check = place.run("sinks check {}", &neither).failure();
    assert!(check.out.contains("no controller"), "{}", check.out);
}

#[test]
fn a_probe_opens_what_is_enabled_and_says_what_it_created() {
    let place = Place::new();
    let sinks = "sinks:
  history: { type: sqlite, settings: { path: history.db } }
  nothing: { type: \"null\" }
  off: { type: file, enabled: false, settings: { path: off.jsonl } }
";
    let config = place.write("sinks.yaml", sinks);
    let first = place.run("sinks probe {}", &config).success().out;
    let database = place.work().canonicalize().unwrap().join("history.db");
    let lines: Vec<&str> = first.lines().collect();
    let created = format!("sink history (sqlite): ok, created {}", database.display());
    assert_eq!(lines, [created.as_str(), "sink nothing (null): ok"]);
    assert_eq!(place.files(), ["history.db"]);

    let history = place.run("history --db history.db", &config).success();
    assert!(history.out.starts_with("No data"), "a probe writes no data: {}", history.out);

    let again = place.run("sinks probe --json --timeout 20s {}", &config).success().json();
    assert_eq!((&again[0]["ok"], &again[0]["created"]), (&true.into(), &Value::Array(vec![])));
}

#[test]
fn a_probe_of_a_path_that_cannot_exist_fails_with_class_and_message() {
    let place = Place::new();
    fs::write(place.work().join("regular"), "").unwrap();
    let sinks = "sinks:
  history: { type: sqlite, settings: { path: regular/deep/history.db } }
  nothing: { type: \"null\" }
";
    let config = place.write("sinks.yaml", sinks);
    let probe = place.run("sinks probe {}", &config).failure();
    let lines: Vec<&str> = probe.out.lines().collect();
    assert!(
        lines[0].starts_with("sink history (sqlite): config: can't create folder"),
        "{lines:?}"
    );
    assert_eq!(lines[1], "sink nothing (null): ok", "one failure hides no other sink");
    let json = place.run("sinks probe --json {}", &config).failure().json();
    assert_eq!((&json[0]["ok"], &json[0]["class"]), (&false.into(), &"config".into()));
    assert!(json[0]["message"].as_str().unwrap().contains("regular"), "{json}");
    assert_eq!(place.files(), ["regular"]);
}

#[test]
fn the_doctor_finds_no_error_in_the_program_itself() {
    let place = Place::new();
    let text = place.run("sinks doctor", &place.path("")).success().out;
    assert!(text.lines().last().unwrap().starts_with("errors: 0, "), "{text}");
    let report = place.run("sinks doctor --json", &place.path("")).success().json();
    let found = findings(&report);
    for kind in kinds(&place) {
        let subject = format!("ok kind {kind}: ");
        assert!(found.iter().any(|(line, _)| line.starts_with(&subject)), "{found:#?}");
    }
    for subject in ["program", "panics", "metrics", "measuring"] {
        let about = |line: &str| line.split(' ').nth(1) == Some(&format!("{subject}:"));
        assert!(found.iter().any(|(line, _)| about(line)), "{subject}: {found:#?}");
    }
    for (line, remedy) in found {
        assert_eq!(line.starts_with("ok "), remedy.is_empty(), "{line}: {remedy}");
    }
}

#[test]
fn the_doctor_names_both_of_two_sinks_on_one_file() {
    let place = Place::new();
    let sinks = "sinks:
  one: { type: file, settings: { path: same.jsonl } }
  two: { type: file, settings: { path: ../work/same.jsonl } }
";
    for text in [sinks.to_owned(), format!("{BOTH}{sinks}")] {
        let config = place.write("wan.yaml", &text);
        let doctor = place.run("sinks doctor {}", &config).failure();
        let conflict = doctor.out.lines().find(|line| line.starts_with("error ")).unwrap();
        for part in ["sinks.one", "sinks.two", "same.jsonl"] {
            assert!(conflict.contains(part), "{part}: {}", doctor.out);
        }
    }
}

#[test]
fn the_doctor_explains_how_a_kind_that_is_not_linked_gets_linked() {
    let place = Place::new();
    let config = place.write("sinks.yaml", "sinks: { a: { type: influx } }\n");
    let report = place.run("sinks doctor --json {}", &config).failure().json();
    let found = findings(&report);
    let (line, remedy) = found.iter().find(|(line, _)| line.starts_with("error ")).unwrap();
    assert!(line.contains("sinks.a.type: unknown kind `influx`"), "{line}");
    for part in ["[dependencies]", "use wanctl_sink_influx as _;"] {
        assert!(remedy.contains(part), "{remedy}");
    }
}

#[test]
fn the_doctor_looks_at_the_folders_of_claimed_files_and_creates_nothing() {
    let place = Place::new();
    fs::write(place.work().join("regular"), "").unwrap();
    let sinks = "sinks:
  good: { type: file, settings: { path: good.jsonl } }
  deep: { type: file, settings: { path: a/b/deep.jsonl } }
  below: { type: sqlite, settings: { path: regular/below.db } }
  off: { type: memory, enabled: false }
";
    let config = place.write("sinks.yaml", sinks);
    let report = place.run("sinks doctor --json {}", &config).failure().json();
    let found = findings(&report);
    for (start, part) in [
        ("ok sink good: ", "good.jsonl can be written"),
        ("warning sink deep: ", "a/b is not there yet"),
        ("error sink below: ", "regular is not a folder"),
        ("warning sink off: ", "is disabled"),
    ] {
        let is = |line: &str| line.starts_with(start) && line.contains(part);
        assert!(found.iter().any(|(line, _)| is(line)), "{start}{part}: {found:#?}");
    }
    assert_eq!(place.files(), ["regular"]);
}

#[test]
fn the_help_of_every_sinks_command_has_an_example_and_wrong_usage_a_code_of_its_own() {
    let place = Place::new();
    for command in ["list", "describe", "sample", "check", "probe", "doctor"] {
        let help = place.run(&format!("sinks {command} --help"), &place.path("")).success().out;
        assert!(help.contains(&format!("\n  wanctl sinks {command}")), "{help}");
    }
    for wrong in ["sinks", "sinks describe", "sinks check", "sinks probe --timeout never x.yaml"] {
        assert_eq!(place.run(wrong, &place.path("")).code, Some(2), "{wrong}");
    }
}

#[test]
fn every_mistake_in_a_section_is_said_in_one_run_with_its_whole_key_path() {
    let place = Place::new();
    let text = "sinks:
  a: { type: file, settings: { pth: /x.jsonl, rotate: { keep: many, max_byte: 5 } } }
  b: { type: file, settings: { path: /nowhere/y } }
  c: { type: sqlite, settings: { path: /nowhere/y } }
  p: { type: prometheus, settings: { port: 9100 } }
  q: { type: prometheus, settings: { port: nine } }
  r: { type: prometheus, settings: { port: 9100 }, queue: { second: 5 } }
  t: { type: promethius }
  u: { type: 'null', select: { every: soon }, batch: [1] }
";
    let file = place.write("sinks.yaml", text);
    let run = place.run("sinks check {}", &file).failure();
    for part in [
        "sinks.a.settings.pth: unknown field `pth`",
        "did you mean `path`?",
        "sinks.a.settings.rotate.keep: found many",
        "sinks.a.settings.rotate.max_byte: unknown field `max_byte`",
        "sinks.c: file /nowhere/y is already taken by sinks.b",
        "sinks.q.settings.port: invalid type: string \"nine\"",
        "sinks.r.queue.second: unknown key; did you mean `seconds`?",
        "sinks.r: TCP address 127.0.0.1:9100 is already taken by sinks.p",
        "sinks.t.type: unknown kind `promethius`; did you mean `prometheus`?",
        "sinks.u.select.every: found soon; accepted: a duration",
        "sinks.u.batch: found a list; accepted: a map",
    ] {
        let all = format!("{}{}", run.out, run.err);
        assert!(all.contains(part), "{part}: {all}");
    }
}
