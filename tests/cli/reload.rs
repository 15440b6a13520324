//! SIGHUP: sinks follow the files, and nothing else is disturbed.

use std::fs;

use super::rows;
use super::support::{BOTH, Place, Running, poll};

/// The sink that every version of the file has, and which no reload may disturb.
const HISTORY: &str = "  history: { type: sqlite, settings: { path: history.db } }\n";

struct Reloaded {
    place: Place,
    daemon: Running,
}

impl Reloaded {
    /// Starts both controllers with the history and these sinks, and waits until rows flow.
    fn start(sinks: &str) -> Self {
        let place = Place::new();
        let config = place.write("wan.yaml", &with(BOTH, sinks));
        let daemon = place.start(place.command("run --config {} --log-format json", &config));
        poll("the first row", || {
            let rows = rows::so_far(&place.work().join("history.db"));
            (rows::cycles(&rows, "autorate") > 0).then_some(())
        });
        Reloaded { place, daemon }
    }

    /// Writes the file anew and sends SIGHUP; waits for one more line of the log with this text.
    fn reload(&mut self, text: &str, answer: &str) {
        let before = self.daemon.log_so_far().matches(answer).count();
        self.place.write("wan.yaml", text);
        self.daemon.signal("HUP");
        poll(answer, || {
            assert!(self.daemon.is_running(), "{}", self.daemon.log_so_far());
            (self.daemon.log_so_far().matches(answer).count() > before).then_some(())
        });
    }

    fn follow(&mut self, sinks: &str) {
        self.reload(&with(BOTH, sinks), "Sinks follow the configuration.");
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.place.work().join(name)).unwrap_or_default()
    }

    /// Waits for a line in a file of the working directory that was not there yet.
    fn wait_for_line(&self, name: &str) {
        let before = self.text(name).lines().count();
        poll(name, || (self.text(name).lines().count() > before).then_some(()));
    }
}

fn with(controllers: &str, sinks: &str) -> String {
    format!("{controllers}sinks:\n{HISTORY}{sinks}")
}

fn file(name: &str, path: &str, format: &str) -> String {
    format!(
        "  {name}: {{ type: file, batch: {{ linger: 100ms }}, settings: {{ path: {path}, format: {format} }} }}\n"
    )
}

#[test]
fn sinks_come_change_and_go_while_the_others_miss_no_cycle() {
    let mut run = Reloaded::start(&file("old", "old.jsonl", "jsonl"));

    run.follow(&(file("old", "old.jsonl", "jsonl") + &file("new", "new.csv", "csv")));
    run.wait_for_line("new.csv");

    run.follow(&(file("old", "old.jsonl", "jsonl") + &file("new", "new.jsonl", "jsonl")));
    run.wait_for_line("new.jsonl");
    let csv = run.text("new.csv");

    run.follow(&file("new", "new.jsonl", "jsonl"));
    let old = run.text("old.jsonl");
    run.wait_for_line("new.jsonl");
    assert_eq!(run.text("old.jsonl"), old, "a sink that was taken away writes no more");
    assert_eq!(run.text("new.csv"), csv, "a sink that changed leaves its old file alone");

    // One that can't work, beside one that can.
    let bad = file("bad", "/dev/null/trace.jsonl", "jsonl");
    run.follow(&(file("new", "new.jsonl", "jsonl") + &bad + &file("late", "late.jsonl", "jsonl")));
    run.wait_for_line("late.jsonl");

    run.daemon.signal("TERM");
    let place = run.place;
    let finished = run.daemon.finish().success();
    let refused = finished.said("Sink does not follow the configuration.");
    assert_eq!(refused.len(), 1, "{}", finished.err);
    assert!(refused[0]["issue"].as_str().unwrap().starts_with("sinks.bad: "), "{}", refused[0]);
    let followed = finished.said("Sinks follow the configuration.");
    let what: Vec<_> = followed
        .iter()
        .map(|line| [&line["added"], &line["changed"], &line["unchanged"]])
        .collect();
    assert_eq!(
        what,
        [
            ["new", "", "history old"],
            ["", "new", "history old"],
            ["", "", "history new"],
            ["late", "", "history new"],
        ]
    );
    let closed: Vec<_> =
        finished.said("Sink closed.").iter().map(|line| line["sink"].to_string()).collect();
    assert_eq!(closed, ["\"old\"", "\"history\"", "\"new\"", "\"late\""]);
    for line in finished.said("Sink closed.") {
        assert_eq!((&line["lost"], &line["evicted"]), (&0.into(), &0.into()), "{line}");
    }

    let rows = rows::read(&place.work().join("history.db"));
    for source in ["autorate", "steering"] {
        let cycles = rows::check_cycles(&rows, source);
        assert_eq!(cycles, finished.cycles(&format!("{source} loop")), "{source}");
        let snapshots = rows.iter().filter(|row| {
            row.metric == "wanctl_config_snapshot"
                && row.source == source
                && row.labels.as_ref().unwrap()["trigger"] == "reload"
        });
        assert_eq!(snapshots.count(), 4, "{source}");
    }
}

#[test]
fn files_with_mistakes_change_nothing_and_every_mistake_is_said() {
    let mut run = Reloaded::start(&file("trace", "trace.jsonl", "jsonl"));
    run.reload("wan_name: [", "Nothing was changed");
    let mistakes =
        with(BOTH, &file("trace", "trace.jsonl", "xml")).replace("floor_mbps: 20", "floor_mbps: x");
    run.reload(&mistakes, "Nothing was changed");
    run.wait_for_line("trace.jsonl");
    run.follow(&file("trace", "trace.jsonl", "jsonl"));
    run.daemon.signal("TERM");
    let config = run.place.path("wan.yaml");
    let finished = run.daemon.finish().success();
    let said: Vec<String> = finished
        .said("The configuration is not valid.")
        .iter()
        .map(|line| line["issue"].as_str().unwrap().to_owned())
        .collect();
    assert!(said.iter().all(|issue| issue.starts_with(config.to_str().unwrap())), "{said:?}");
    for part in ["not valid YAML", "download.floor_mbps", "sinks.trace.settings"] {
        assert!(said.iter().any(|issue| issue.contains(part)), "{part}: {said:?}");
    }
    let followed = finished.said("Sinks follow the configuration.");
    assert_eq!((followed.len(), &followed[0]["unchanged"]), (1, &"history trace".into()));
}

#[test]
fn what_needs_a_new_start_is_named_by_its_key() {
    let mut run = Reloaded::start("");
    let changed = BOTH.replace("ceiling_mbps: 100", "ceiling_mbps: 90");
    run.reload(&with(&changed, ""), "Sinks follow the configuration.");
    run.daemon.signal("TERM");
    let config = run.place.path("wan.yaml");
    let database = run.place.work().join("history.db");
    let finished = run.daemon.finish().success();
    let waits = finished.said("This key takes effect at the next start.");
    let key = format!("{}: continuous_monitoring.download.ceiling_mbps", config.display());
    assert_eq!((waits.len(), &waits[0]["key"]), (1, &key.into()));
    // The snapshot is of what is in force.
    let rows = rows::read(&database);
    let reload = rows.iter().filter_map(|row| row.labels.as_ref());
    let mut reload = reload.filter(|labels| labels["trigger"] == "reload");
    assert_eq!(reload.next().unwrap()["autorate"]["download_ceiling_mbps"], 100);
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew() {
    let mut run = Reloaded::start(&file("trace", "trace.jsonl", "jsonl"));
    run.wait_for_line("trace.jsonl");
    let work = run.place.work();
    fs::rename(work.join("trace.jsonl"), work.join("trace.1")).unwrap();
    run.follow(&file("trace", "trace.jsonl", "jsonl"));
    run.wait_for_line("trace.jsonl");
    run.daemon.signal("TERM");
    run.daemon.finish().success();
}
