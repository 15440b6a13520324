//! `wanctl run` with both controllers in one file: the rows of every cycle are in the database.

use std::collections::BTreeSet;

use super::rows;
use super::support::{BOTH, Place, poll};

#[test]
fn a_run_records_every_cycle_of_both_controllers_and_leaves_only_the_database() {
    let place = Place::new();
    let config = place.write(
        "wan.yaml",
        &format!(
            "{BOTH}sinks: {{ history: {{ type: sqlite, settings: {{ path: history.db }} }} }}\n"
        ),
    );
    let database = place.work().join("history.db");

    let run = place.run("run --config {} --duration 3s --log-format json", &config).success();
    assert_eq!(place.files(), ["history.db"]);
    assert_eq!(run.out, "", "the output is for the status line on a terminal");
    let first = rows::read(&database);
    let autorate = rows::check_cycles(&first, "autorate");
    let steering = rows::check_cycles(&first, "steering");
    assert!((57..=60).contains(&autorate), "{autorate} cycles of autorate");
    assert!((5..=6).contains(&steering), "{steering} cycles of steering");
    assert_eq!(run.cycles("autorate loop"), autorate);
    assert_eq!(run.cycles("steering loop"), steering);
    assert!(!rows::values(&first, "autorate", "wanctl_rtt_ms").is_empty(), "{}", run.err);
    assert!(!rows::values(&first, "steering", "wanctl_rtt_ms").is_empty(), "{}", run.err);
    for source in ["autorate", "steering"] {
        assert_eq!(rows::values(&first, source, "wanctl_config_snapshot").len(), 1, "{source}");
    }
    assert!(first.iter().all(|row| row.source == "autorate" || row.source == "steering"));

    place.run("run --config {} --duration 500ms", &config).success();
    assert_eq!(place.files(), ["history.db"]);
    let both = rows::read(&database);
    assert!(rows::cycles(&both, "autorate") > autorate);
    assert_eq!(rows::values(&both, "steering", "wanctl_config_snapshot").len(), 2);
    let kept: BTreeSet<String> = both.iter().map(rows::Row::key).collect();
    let lost: Vec<String> =
        first.iter().map(rows::Row::key).filter(|row| !kept.contains(row)).collect();
    assert!(lost.is_empty(), "a second run loses rows of the first: {lost:#?}");
}

#[test]
fn a_snapshot_names_what_is_in_force_and_why_it_was_taken() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    place.run("run --config {} --duration 100ms", &config).success();
    let rows = rows::read(&place.work().join("history.db"));
    let snapshots: Vec<_> =
        rows.iter().filter(|row| row.metric == "wanctl_config_snapshot").collect();
    assert_eq!(snapshots.len(), 2);
    for snapshot in snapshots {
        let labels = snapshot.labels.as_ref().unwrap();
        assert_eq!(labels["trigger"], "startup");
        assert_eq!(labels["autorate"]["download_ceiling_mbps"], 100);
        assert_eq!(labels["steering"]["alternate_wan"], "spare");
        assert_eq!(snapshot.value, (snapshot.at / 1_000_000) as f64);
    }
}

#[test]
fn a_signal_has_the_configuration_recorded_once_more() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    let database = place.work().join("history.db");
    let daemon = place.start(place.command("run --config {}", &config));
    let triggers = || -> Vec<String> {
        let rows = rows::so_far(&database);
        let labels = rows.iter().filter(|row| row.metric == "wanctl_config_snapshot");
        labels.map(|row| row.labels.as_ref().unwrap()["trigger"].to_string()).collect()
    };
    poll("the snapshot of the start", || (triggers().len() == 2).then_some(()));
    daemon.signal("USR1");
    poll("the snapshot on request", || (triggers().len() == 4).then_some(()));
    daemon.signal("TERM");
    daemon.finish().success();
    let expected = ["startup", "startup", "manual", "manual"].map(|name| format!("\"{name}\""));
    assert_eq!(triggers(), expected);
}

#[test]
fn a_mistake_in_the_file_is_said_before_anything_runs() {
    let place = Place::new();
    let config = place.write("wan.yaml", &BOTH.replace("floor_mbps: 20", "floor_mbps: 200"));
    let run = place.run("run --config {} --duration 1s", &config).failure();
    assert!(run.err.contains("continuous_monitoring.download.floor_mbps"), "{}", run.err);
    assert!(place.files().is_empty());
}
