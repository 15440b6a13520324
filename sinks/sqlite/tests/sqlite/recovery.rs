//! Damage, foreign files, files that go away, and programs that die.

use std::fs;

use wanctl_sink::FaultClass;

use crate::support::*;

#[test]
fn the_file_is_laid_out_so_that_it_can_shrink() {
    let folder = Folder::new();
    let _writer = folder.open();
    let pragma = |name: &str| -> String {
        let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        folder.connect().query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(pragma("auto_vacuum"), "2", "incremental");
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("user_version"), "2");
}

#[test]
fn rows_of_a_writer_that_was_never_closed_are_there() {
    let folder = Folder::new();
    let mut writer = folder.open();
    write(&mut *writer, &[rtt(&schema("wan1"), second(0), 1.0)]);
    // What a killed program leaves behind: the files as they are now.
    let after_kill = Folder::new();
    for suffix in ["", "-wal"] {
        let name = |folder: &Folder| format!("{}{suffix}", folder.path().display());
        fs::copy(name(&folder), name(&after_kill)).unwrap();
    }
    assert_eq!(after_kill.values(), [1.0]);
    write(&mut *after_kill.open(), &[rtt(&schema("wan1"), second(1), 2.0)]);
    assert_eq!(after_kill.values(), [2.0, 1.0]);
}

#[test]
fn closing_leaves_one_file() {
    let folder = Folder::new();
    let mut writer = folder.open();
    write(&mut *writer, &[rtt(&schema("wan1"), second(0), 1.0)]);
    assert!(folder.files("").contains(&"metrics.db-wal".to_owned()));
    writer.close(soon()).unwrap();
    assert_eq!(folder.files(""), ["metrics.db"]);
    writer.close(soon()).unwrap();
}

/// What begins as a database and goes on as anything but one.
fn damaged(text: &str) -> String {
    format!("SQLite format 3\0{}", text.repeat(1000))
}

#[test]
fn a_file_that_never_was_a_database_is_refused_and_not_touched() {
    let folder = Folder::new();
    let text = "a log of somebody else ".repeat(100);
    fs::write(folder.path(), &text).unwrap();
    let error = folder.try_open().err().unwrap();
    assert_eq!(error.class, FaultClass::Config);
    assert!(error.to_string().contains("is not a database"), "{error}");
    assert_eq!(fs::read_to_string(folder.path()).unwrap(), text);
}

#[test]
fn a_database_that_lost_its_first_page_is_moved_aside() {
    let folder = Folder::new();
    fs::write(folder.path(), [0; 8192]).unwrap();
    write(&mut *folder.open(), &[rtt(&schema("wan1"), second(0), 1.0)]);
    assert_eq!(folder.values(), [1.0]);
    assert!(!folder.files(".corrupt-").is_empty());
}

#[test]
fn a_damaged_database_is_moved_aside_with_its_log() {
    let folder = Folder::new();
    fs::write(folder.path(), damaged("garbage ")).unwrap();
    let log = folder.path().with_extension("db-wal");
    fs::write(log, "old log").unwrap();
    write(&mut *folder.open(), &[rtt(&schema("wan1"), second(0), 1.0)]);

    assert_eq!(folder.values(), [1.0]);
    let aside = folder.files(".corrupt-");
    let main = &aside[0];
    assert_eq!(aside, [main.clone(), format!("{main}-shm"), format!("{main}-wal")]);
    let text = |name: &str| fs::read_to_string(folder.path().with_file_name(name)).unwrap();
    assert_eq!(text(main), damaged("garbage "));
    assert_eq!(text(&aside[2]), "old log");
}

#[test]
fn a_second_damaged_file_does_not_replace_the_first() {
    let folder = Folder::new();
    for text in ["one", "two"] {
        fs::write(folder.path(), damaged(text)).unwrap();
        folder.open().close(soon()).unwrap();
    }
    let aside = folder.files(".corrupt-");
    assert_eq!(aside.iter().filter(|name| !name.ends_with("-shm")).count(), 2, "{aside:?}");
}

#[test]
fn damage_inside_the_file_is_found_by_writing_and_moved_aside() {
    let folder = Folder::new();
    let schema = schema("wan1");
    let rows = |from: i64| (from..from + 8000).map(|s| rtt(&schema, second(s), 1.0));
    let mut writer = folder.open();
    write(&mut *writer, &rows(0).collect::<Vec<_>>());
    writer.close(soon()).unwrap();
    // Everything but the pages with the schema, which opening looks at.
    let mut bytes = fs::read(folder.path()).unwrap();
    bytes[20 * 4096..].fill(0x55);
    fs::write(folder.path(), bytes).unwrap();

    let mut writer = folder.open();
    let class = fails(&mut *writer, &rows(8000).collect::<Vec<_>>(), soon());
    assert_eq!(class, FaultClass::Corrupt);
    drop(writer);
    assert!(folder.files("")[0].starts_with("metrics.db.corrupt-"), "{:?}", folder.files(""));
    write(&mut *folder.open(), &rows(8000).collect::<Vec<_>>());
    assert_eq!(folder.count("frames"), 8000);
}

#[test]
fn a_database_of_another_program_is_refused_and_not_touched() {
    for sql in ["CREATE TABLE metrics (id, timestamp)", "CREATE TABLE other (x)"] {
        let folder = Folder::new();
        folder.connect().execute_batch(sql).unwrap();
        let before = fs::read(folder.path()).unwrap();
        let error = folder.try_open().err().unwrap();
        assert_eq!(error.class, FaultClass::Config);
        assert!(error.to_string().contains("another program"), "{error}");
        assert_eq!(fs::read(folder.path()).unwrap(), before);
        assert_eq!(folder.files(""), ["metrics.db"]);
    }
}

#[test]
fn a_later_schema_version_is_refused() {
    let folder = Folder::new();
    folder.open().close(soon()).unwrap();
    folder.connect().pragma_update(None, "user_version", 3).unwrap();
    let error = folder.try_open().err().unwrap();
    assert_eq!(error.class, FaultClass::Config);
    assert!(error.to_string().contains("has schema version 3; accepted: 2 "), "{error}");
}

#[test]
fn a_history_of_the_original_is_not_touched_and_told_how_to_be_read_in() {
    let folder = Folder::new();
    folder
        .connect()
        .execute_batch(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp INTEGER, wan_name TEXT,
             metric_name TEXT, value REAL, labels TEXT, granularity TEXT)",
        )
        .unwrap();
    let before = fs::read(folder.path()).unwrap();
    let error = folder.try_open().err().unwrap();
    assert_eq!(error.class, FaultClass::Config);
    assert!(error.to_string().contains("wanctl history import"), "{error}");
    assert_eq!(fs::read(folder.path()).unwrap(), before);
}

#[test]
fn a_path_that_is_a_folder_is_a_configuration_fault() {
    let folder = Folder::new();
    fs::create_dir(folder.path()).unwrap();
    assert_eq!(folder.try_open().err().unwrap().class, FaultClass::Config);
}

#[test]
fn a_file_deleted_while_written_is_begun_anew() {
    let folder = Folder::new();
    let schema = schema("wan1");
    let mut writer = folder.open();
    write(&mut *writer, &[rtt(&schema, second(0), 1.0)]);
    fs::remove_file(folder.path()).unwrap();
    write(&mut *writer, &[rtt(&schema, second(1), 2.0)]);
    write(&mut *writer, &[rtt(&schema, second(2), 3.0)]);
    drop(writer);
    assert_eq!(folder.values(), [3.0, 2.0]);
}

#[test]
fn a_file_replaced_while_written_is_continued() {
    let (folder, other) = (Folder::new(), Folder::new());
    let (schema, of_other) = (schema("wan1"), schema("wan2"));
    let mut writer = other.open();
    write(&mut *writer, &[rtt(&of_other, second(0), 10.0)]);
    writer.close(soon()).unwrap();

    let mut writer = folder.open();
    write(&mut *writer, &[rtt(&schema, second(0), 1.0)]);
    fs::rename(other.path(), folder.path()).unwrap();
    write(&mut *writer, &[rtt(&schema, second(1), 2.0)]);
    drop(writer);
    assert_eq!(folder.values(), [2.0, 10.0]);
    let check: String =
        folder.connect().pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn closing_and_opening_again_between_batches_loses_nothing() {
    let folder = Folder::new();
    let schema = schema("wan1");
    for second_of in 0..5 {
        let mut writer = folder.open();
        write(&mut *writer, &[rtt(&schema, second(second_of), second_of as f64)]);
        writer.close(soon()).unwrap();
    }
    assert_eq!(folder.values(), [4.0, 3.0, 2.0, 1.0, 0.0]);
}

#[test]
fn a_new_writer_opened_before_the_old_one_is_closed_loses_nothing() {
    let folder = Folder::new();
    let schema = schema("wan1");
    let mut old = folder.open();
    write(&mut *old, &[rtt(&schema, second(0), 1.0)]);
    let mut new = folder.open();
    write(&mut *new, &[rtt(&schema, second(1), 2.0)]);
    old.close(soon()).unwrap();
    write(&mut *new, &[rtt(&schema, second(2), 3.0)]);
    new.close(soon()).unwrap();
    assert_eq!(folder.values(), [3.0, 2.0, 1.0]);
}

#[test]
fn a_path_that_worked_once_is_tried_again_soon_whatever_is_in_its_way() {
    let (folder, away) = (Folder::new(), Folder::new());
    let schema = schema("wan1");
    let mut writer = folder.open();
    write(&mut *writer, &[rtt(&schema, second(0), 1.0)]);
    fs::rename(folder.path(), away.path()).unwrap();
    fs::write(folder.path(), "not a database").unwrap();
    let class = fails(&mut *writer, &[rtt(&schema, second(1), 2.0)], soon());
    assert_eq!(class, FaultClass::Resource);
    fs::rename(away.path(), folder.path()).unwrap();
    write(&mut *writer, &[rtt(&schema, second(1), 2.0)]);
    assert_eq!(folder.values(), [2.0, 1.0]);
}

/// A history of another WAN with two rows, one of which is only in its log.
fn with_a_log() -> (Folder, Box<dyn wanctl_sink::SinkWriter>) {
    let other = Folder::new();
    other.open().close(soon()).unwrap();
    let mut writer = other.open();
    write(&mut *writer, &[rtt(&schema("wan2"), second(0), 10.0)]);
    (other, writer)
}

fn integrity(folder: &Folder) -> String {
    folder.connect().pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap()
}

#[test]
fn a_file_replaced_together_with_its_log_is_continued_with_what_is_in_the_log() {
    let (folder, (other, _never_closed)) = (Folder::new(), with_a_log());
    let schema = schema("wan1");
    let mut writer = folder.open();
    write(&mut *writer, &[rtt(&schema, second(0), 1.0)]);
    for suffix in ["-wal", ""] {
        let name = |folder: &Folder| format!("{}{suffix}", folder.path().display());
        fs::copy(name(&other), name(&other) + ".copy").unwrap();
        fs::rename(name(&other) + ".copy", name(&folder)).unwrap();
    }
    write(&mut *writer, &[rtt(&schema, second(1), 2.0)]);
    drop(writer);
    assert_eq!(folder.values(), [2.0, 10.0]);
    assert_eq!(integrity(&folder), "ok");
}

#[test]
fn a_file_replaced_while_somebody_reads_it_is_continued_without_the_log_of_the_old_one() {
    let (folder, other) = (Folder::new(), Folder::new());
    let (schema, of_other) = (schema("wan1"), schema("wan2"));
    let mut writer = other.open();
    write(&mut *writer, &[rtt(&of_other, second(0), 10.0)]);
    writer.close(soon()).unwrap();

    let mut writer = folder.open();
    write(&mut *writer, &[rtt(&schema, second(0), 1.0)]);
    let reader = folder.connect();
    reader.execute_batch("BEGIN; SELECT count(*) FROM metrics").unwrap();
    write(&mut *writer, &[rtt(&schema, second(1), 2.0)]);
    fs::rename(other.path(), folder.path()).unwrap();
    write(&mut *writer, &[rtt(&schema, second(2), 3.0)]);
    drop(writer);
    drop(reader);
    assert_eq!(folder.values(), [3.0, 10.0]);
    assert_eq!(integrity(&folder), "ok");
}
