//! Several connections to one file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use wanctl_sink::{Deadline, FaultClass};

use crate::support::*;

#[test]
fn two_writers_of_one_file_both_keep_their_history() {
    let folder = Folder::new();
    let (mut one, mut two) = (folder.open(), folder.open());
    let (of_one, of_two) = (schema("wan1"), schema("wan2"));
    for s in 0..20 {
        write(&mut *one, &[rtt(&of_one, second(s), s as f64)]);
        write(&mut *two, &[rtt(&of_two, second(s), s as f64), rtt(&of_one, at(s), 0.0)]);
    }
    one.close(soon()).unwrap();
    two.close(soon()).unwrap();
    assert_eq!(folder.count("series"), 4);
    // At second 0 both write the same value at the same instant of the same series.
    assert_eq!(folder.count("metrics WHERE granularity = 'raw'"), 20 + 20 + 19);
}

#[test]
fn writers_that_create_the_file_together_agree() {
    let folder = Folder::new();
    let schema = schema("wan1");
    std::thread::scope(|scope| {
        for s in 0..4 {
            let (folder, schema) = (&folder, &schema);
            scope.spawn(move || {
                // One that meets another half way is told to try again, as the pipeline does.
                let mut writer = loop {
                    match folder.try_open() {
                        Ok(writer) => break writer,
                        Err(error) => assert_eq!(error.class, FaultClass::Transient, "{error}"),
                    }
                };
                write(&mut *writer, &[rtt(schema, second(s), s as f64)]);
            });
        }
    });
    assert_eq!(folder.values(), [3.0, 2.0, 1.0, 0.0]);
}

#[test]
fn a_lock_held_elsewhere_keeps_the_batch_within_the_deadline() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let schema = schema("wan1");
    let items = [rtt(&schema, second(0), 1.0), event(second(0), &STATE, 1.0)];
    let other = folder.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let well_after = Deadline::after(Duration::from_secs(3));
    let class = fails(&mut *writer, &items, Deadline::after(Duration::from_millis(100)));
    assert_eq!(class, FaultClass::Transient);
    assert!(!well_after.is_over());

    other.execute_batch("COMMIT").unwrap();
    write(&mut *writer, &items);
    assert_eq!(folder.values(), [1.0, 1.0]);
}

#[test]
fn a_series_of_a_batch_that_failed_is_found_again() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let schema = schema("wan1");
    let reject = "CREATE TRIGGER refuse BEFORE INSERT ON frames
                  BEGIN SELECT raise(ABORT, 'refused'); END";
    folder.connect().execute_batch(reject).unwrap();
    fails(&mut *writer, &[rtt(&schema, second(0), 1.0)], soon());
    assert_eq!(folder.count("series"), 0);

    folder.connect().execute_batch("DROP TRIGGER refuse").unwrap();
    write(&mut *writer, &[rtt(&schema, second(0), 1.0)]);
    assert_eq!(folder.values(), [1.0]);
}

#[test]
fn a_deadline_that_has_passed_keeps_the_batch() {
    let folder = Folder::new();
    let items = [rtt(&schema("wan1"), second(0), 1.0)];
    let class = fails(&mut *folder.open(), &items, Deadline::after(Duration::ZERO));
    assert_eq!(class, FaultClass::Cancelled);
    assert_eq!(folder.count("metrics"), 0);
}

#[test]
fn a_reader_keeps_its_view_and_does_not_stop_the_writer() {
    let folder = Folder::new();
    let mut writer = folder.open();
    let schema = schema("wan1");
    write(&mut *writer, &[rtt(&schema, second(0), 1.0)]);

    let reader = folder.connect();
    let count = || -> i64 {
        reader.query_row("SELECT count(*) FROM metrics", [], |row| row.get(0)).unwrap()
    };
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(), 1);
    write(&mut *writer, &[rtt(&schema, second(1), 2.0)]);
    assert_eq!(count(), 1);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(), 2);
}

#[test]
fn a_probe_tells_a_lock_and_writes_nothing() {
    let folder = Folder::new();
    let mut writer = folder.open();
    writer.probe(soon()).unwrap();
    assert_eq!(folder.count("metrics"), 0);
    let other = folder.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = writer.probe(Deadline::after(Duration::from_millis(50))).unwrap_err();
    assert_eq!(error.class, FaultClass::Transient);
}

#[test]
fn a_file_in_a_folder_one_may_not_write_to_is_read() {
    let folder = Folder::new();
    let mut writer = folder.open();
    write(&mut *writer, &[rtt(&schema("wan1"), second(0), 1.0)]);
    writer.close(soon()).unwrap();
    let parent = folder.path().parent().unwrap().to_owned();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(parent.join("probe"), "").is_ok() {
        println!("SKIPPED: this user may write everywhere");
        return;
    }
    let values = folder.values();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(values, [1.0]);
}
