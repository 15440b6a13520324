//! One database for two processes, and a database that somebody else has locked.
#![expect(clippy::disallowed_methods, reason = "a lock is held for a stated time")]

use std::fs;
use std::thread;
use std::time::Duration;

use super::rows;
use super::support::{BOTH, Place, autorate, poll, steering};

#[test]
fn controllers_in_processes_of_their_own_share_a_database_and_a_baseline() {
    let place = Place::new();
    let (database, state) = (place.path("history.db"), place.path("loop_state.json"));
    let storage = format!("storage: {{ db_path: {} }}\n", database.display());
    let state_file = format!("state_file: {}\n", state.display());
    let from_state = format!("cake_state_sources: {{ primary: {} }}\n", state.display());
    let first = place.write("autorate.yaml", &format!("{}{storage}{state_file}", autorate()));
    let second = place.write("steering.yaml", &format!("{}{storage}{from_state}", steering()));
    let baseline = || -> f64 {
        let state: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&state).unwrap()).unwrap();
        wanctl::units::quantise_ms(state["ewma"]["baseline_rtt"].as_f64().unwrap())
    };

    // Autorate has run before, so there is a baseline to follow from the beginning.
    let run = "run --config {} --duration 300ms --log-format json";
    let before = place.run(run, &first).success().cycles("autorate loop");
    let known = baseline();
    let run = "run --config {} --duration 2500ms --log-format json";
    let autorate = place.start(place.command(run, &first));
    let steering = place.start(place.command(run, &second));
    let (autorate, steering) = (autorate.finish().success(), steering.finish().success());

    let rows = rows::read(&database);
    assert_eq!(rows::check_cycles(&rows, "autorate"), before + autorate.cycles("autorate loop"));
    assert_eq!(rows::check_cycles(&rows, "steering"), steering.cycles("steering loop"));
    assert!(rows::cycles(&rows, "steering") >= 4);
    let believed = rows::values(&rows, "steering", "wanctl_rtt_baseline_ms");
    assert!(!believed.is_empty(), "{}", steering.err);
    let published = [known, baseline()];
    assert!(believed.iter().all(|ms| published.contains(ms)), "{believed:?}, not {published:?}");
}

#[test]
fn a_database_that_is_locked_for_seconds_loses_no_sample_and_no_cycle() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    let database = place.work().join("history.db");
    let daemon =
        place.start(place.command("run --config {} --duration 6s --log-format json", &config));
    poll("the first row", || {
        (rows::cycles(&rows::so_far(&database), "autorate") > 0).then_some(())
    });

    let other = rusqlite::Connection::open(&database).unwrap();
    other.busy_timeout(Duration::from_secs(10)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let before = rows::read(&database).len();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(rows::read(&database).len(), before, "nobody else can write");
    other.execute_batch("COMMIT").unwrap();
    drop(other);

    let run = daemon.finish().success();
    let rows = rows::read(&database);
    let (autorate, steering) = (run.cycles("autorate loop"), run.cycles("steering loop"));
    assert_eq!(rows::check_cycles(&rows, "autorate"), autorate);
    assert_eq!(rows::check_cycles(&rows, "steering"), steering);
    assert!((114..=120).contains(&autorate), "{autorate} cycles of autorate");
    assert!((11..=12).contains(&steering), "{steering} cycles of steering");
    let closed = &run.said("Sink closed.")[0];
    assert_eq!(closed["delivered"], rows.len());
    assert_eq!((&closed["lost"], &closed["evicted"]), (&0.into(), &0.into()));
}
