//! The disk is pulled from under the file and the sqlite sink of a running program: it fills up, turns
//! read-only, loses the files, gets others in their place.
//!
//! Each test runs itself once more in a mount namespace of its own, so that what it mounts nobody else
//! sees. A third sink, on a disk that works, says what was offered to the other two.

mod support;

use std::fs;

use self::support::{
    BEGINS, BOTH, Disk, ENDS, fill, history, in_own_namespace, lines, parse, said, together, trace,
};
use super::support::poll;

#[test]
fn a_disk_that_fills_up_costs_only_counted_rows_until_there_is_space() {
    in_own_namespace("a_disk_that_fills_up_costs_only_counted_rows_until_there_is_space", || {
        let disk = Disk::new("4m");
        let daemon = disk.start("queue: { seconds: 1 },");
        disk.wait_for_rows();
        let ballast = disk.folder.join("ballast");
        fill(&ballast);
        disk.wait_for(BEGINS, 1);
        // More than the queue holds.
        disk.wait_for_cycles(60);
        fs::remove_file(&ballast).unwrap();
        disk.wait_for(ENDS, 1);
        disk.wait_for_rows();

        let outcome = disk.stop(daemon);
        outcome.said(&[BEGINS, ENDS]);
        for accounts in [outcome.trace(), outcome.history()] {
            assert!(accounts.evicted > 0, "{accounts:?}");
            assert_eq!((accounts.rejected, accounts.lost), (0, 0), "{accounts:?}");
        }
        outcome.check(&outcome.trace(), &trace(&disk.trace()));
        outcome.check(&outcome.history(), &history(&disk.history()));
    });
}

#[test]
fn a_disk_that_is_full_at_the_start_is_waited_for() {
    in_own_namespace("a_disk_that_is_full_at_the_start_is_waited_for", || {
        let disk = Disk::new("4m");
        fs::create_dir(disk.rows()).unwrap();
        let ballast = disk.folder.join("ballast");
        fill(&ballast);
        let daemon = disk.start("");
        disk.wait_for(BEGINS, 1);
        disk.wait_for_cycles(10);
        fs::remove_file(&ballast).unwrap();
        disk.wait_for(ENDS, 1);

        let outcome = disk.stop(daemon);
        outcome.said(&[BEGINS, ENDS]);
        assert_eq!(trace(&disk.trace()), outcome.offered);
        assert_eq!(history(&disk.history()), outcome.offered);
    });
}

#[test]
fn a_disk_that_is_read_only_at_the_start_stops_it_with_one_error() {
    in_own_namespace("a_disk_that_is_read_only_at_the_start_stops_it_with_one_error", || {
        let disk = Disk::new("4m");
        let prepare = |with_files: bool| {
            disk.remount("rw");
            if with_files {
                disk.place.run("run --config {} --duration 300ms", &disk.config("")).success();
            }
            disk.remount("ro");
        };
        for with_files in [false, true] {
            prepare(with_files);
            let run = disk.place.run("run --config {} --duration 1s", &disk.config("")).failure();
            for sink in BOTH {
                let named = run.err.lines().filter(|line| line.contains(&format!("sinks.{sink}")));
                let named: Vec<&str> = named.collect();
                assert_eq!(named.len(), 1, "{}", run.err);
                let path = disk.rows().display().to_string();
                for part in [&*path, "Read-only file system"] {
                    assert!(named[0].contains(part), "{part}: {}", run.err);
                }
            }
        }
    });
}

#[test]
fn a_disk_that_is_read_only_at_the_start_is_waited_for_on_request() {
    in_own_namespace("a_disk_that_is_read_only_at_the_start_is_waited_for_on_request", || {
        let disk = Disk::new("4m");
        disk.remount("ro");
        let daemon = disk.start("startup: retry,");
        disk.wait_for(BEGINS, 1);
        disk.wait_for_cycles(10);
        disk.remount("rw");
        disk.wait_for(ENDS, 1);

        let outcome = disk.stop(daemon);
        outcome.said(&[BEGINS, ENDS]);
        assert_eq!(trace(&disk.trace()), outcome.offered);
        assert_eq!(history(&disk.history()), outcome.offered);
    });
}

#[test]
fn a_disk_that_is_read_only_at_the_start_is_left_alone_on_request() {
    in_own_namespace("a_disk_that_is_read_only_at_the_start_is_left_alone_on_request", || {
        let disk = Disk::new("4m");
        disk.remount("ro");
        let daemon = disk.start("startup: ignore,");
        disk.wait_for_cycles(10);
        let outcome = disk.stop(daemon);
        outcome.said(&[
            "Sink is off, as its `startup` says: its rows are rejected until it is opened again.",
        ]);
        for accounts in [outcome.trace(), outcome.history()] {
            assert_eq!(accounts.rejected, outcome.offered.len(), "{accounts:?}");
        }
    });
}

#[test]
fn a_deleted_file_takes_only_the_rows_that_were_in_it() {
    in_own_namespace("a_deleted_file_takes_only_the_rows_that_were_in_it", || {
        let disk = Disk::new("16m");
        let daemon = disk.start("");
        disk.wait_for_rows();
        let kept = (disk.folder.join("trace.kept"), disk.folder.join("history.kept"));
        fs::hard_link(disk.trace(), &kept.0).unwrap();
        fs::hard_link(disk.history(), &kept.1).unwrap();
        fs::remove_file(disk.trace()).unwrap();
        fs::remove_file(disk.history()).unwrap();
        disk.wait_for_rows();

        let outcome = disk.stop(daemon);
        for sink in BOTH {
            let said = lines(&outcome.run, sink);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains("deleted or replaced"), "{said:?}");
        }
        outcome.check(&outcome.trace(), &together(trace(&kept.0), trace(&disk.trace())));
        outcome.check(&outcome.history(), &together(history(&kept.1), history(&disk.history())));
        assert_eq!(outcome.trace().delivered, outcome.offered.len());
        assert_eq!(outcome.history().delivered, outcome.offered.len());
    });
}

#[test]
fn a_file_of_an_earlier_run_put_in_place_of_the_open_one_is_continued() {
    in_own_namespace("a_file_of_an_earlier_run_put_in_place_of_the_open_one_is_continued", || {
        let disk = Disk::new("16m");
        disk.place.run("run --config {} --duration 300ms", &disk.config("")).success();
        let earlier = (disk.folder.join("trace.earlier"), disk.folder.join("history.earlier"));
        fs::rename(disk.trace(), &earlier.0).unwrap();
        fs::rename(disk.history(), &earlier.1).unwrap();
        let before = (trace(&earlier.0), history(&earlier.1));
        fs::remove_file(disk.witness()).unwrap();

        let config = disk.config("");
        let command = disk.place.command("run --config {} --log-format json", &config);
        let daemon = disk.place.start(command);
        disk.wait_for_rows();
        let kept = (disk.folder.join("trace.kept"), disk.folder.join("history.kept"));
        fs::hard_link(disk.trace(), &kept.0).unwrap();
        fs::hard_link(disk.history(), &kept.1).unwrap();
        fs::rename(&earlier.0, disk.trace()).unwrap();
        fs::rename(&earlier.1, disk.history()).unwrap();
        disk.wait_for_rows();

        let outcome = disk.stop(daemon);
        for sink in BOTH {
            let said = lines(&outcome.run, sink);
            assert_eq!(said.len(), 1, "{said:?}");
        }
        let (now, now_history) = (trace(&disk.trace()), history(&disk.history()));
        assert!(before.0.is_subset(&now) && before.1.is_subset(&now_history));
        let new = now.difference(&before.0).cloned().collect();
        outcome.check(&outcome.trace(), &together(trace(&kept.0), new));
        let new = now_history.difference(&before.1).cloned().collect();
        outcome.check(&outcome.history(), &together(history(&kept.1), new));
    });
}

#[test]
fn a_foreign_file_in_place_of_the_history_is_not_touched_and_recording_waits_for_its_end() {
    let name =
        "a_foreign_file_in_place_of_the_history_is_not_touched_and_recording_waits_for_its_end";
    in_own_namespace(name, || {
        let disk = Disk::new("16m");
        let daemon = disk.start("");
        disk.wait_for_rows();
        let kept = disk.folder.join("history.kept");
        fs::hard_link(disk.history(), &kept).unwrap();
        let foreign = disk.folder.join("foreign");
        let text = "the log of somebody else\n".repeat(1_000);
        fs::write(&foreign, &text).unwrap();
        // Both places get it: a file of lines takes more lines, whoever wrote the first.
        fs::copy(&foreign, disk.folder.join("lines")).unwrap();
        fs::rename(&foreign, disk.history()).unwrap();
        fs::rename(disk.trace(), disk.folder.join("trace.kept")).unwrap();
        fs::rename(disk.folder.join("lines"), disk.trace()).unwrap();
        let log = disk.place.path("0.err");
        let wait_for = |message: &str| {
            poll(message, || {
                let text = fs::read_to_string(&log).unwrap();
                (said(&parse(&text), "history", message) > 0).then_some(())
            });
        };
        wait_for(BEGINS);
        disk.wait_for_cycles(10);
        assert_eq!(fs::read_to_string(disk.history()).unwrap(), text);
        fs::rename(disk.history(), &foreign).unwrap();
        wait_for(ENDS);

        let outcome = disk.stop(daemon);
        assert_eq!(lines(&outcome.run, "history"), [BEGINS, ENDS], "{}", outcome.run.err);
        assert_eq!(fs::read_to_string(&foreign).unwrap(), text);
        let all = together(history(&kept), history(&disk.history()));
        outcome.check(&outcome.history(), &all);
        assert_eq!(all, outcome.offered);

        assert_eq!(lines(&outcome.run, "trace").len(), 1, "{}", outcome.run.err);
        let mixed = fs::read_to_string(disk.trace()).unwrap();
        let ours = mixed.strip_prefix(&text).expect("the foreign lines stay");
        fs::write(disk.folder.join("ours"), ours).unwrap();
        let kept = trace(&disk.folder.join("trace.kept"));
        let all = together(kept, trace(&disk.folder.join("ours")));
        outcome.check(&outcome.trace(), &all);
        assert_eq!(all, outcome.offered);
    });
}

#[test]
fn a_folder_moved_away_and_back_loses_no_row() {
    in_own_namespace("a_folder_moved_away_and_back_loses_no_row", || {
        let disk = Disk::new("16m");
        let daemon = disk.start("");
        disk.wait_for_rows();
        let (first, second) = (disk.folder.join("first"), disk.folder.join("second"));
        fs::rename(disk.rows(), &first).unwrap();
        disk.wait_for_rows();
        fs::rename(disk.rows(), &second).unwrap();
        fs::rename(&first, disk.rows()).unwrap();
        disk.wait_for_rows();

        let outcome = disk.stop(daemon);
        for sink in BOTH {
            let said = lines(&outcome.run, sink);
            // Once it is another file, and once it is the first again; or another one in between.
            assert!((2..=3).contains(&said.len()), "{said:?}");
        }
        let all = together(trace(&second.join("trace.jsonl")), trace(&disk.trace()));
        outcome.check(&outcome.trace(), &all);
        assert_eq!(all, outcome.offered);
        let all = together(history(&second.join("history.db")), history(&disk.history()));
        outcome.check(&outcome.history(), &all);
        assert_eq!(all, outcome.offered);
    });
}

#[test]
fn a_disk_that_turns_read_only_for_a_while_loses_no_row() {
    in_own_namespace("a_disk_that_turns_read_only_for_a_while_loses_no_row", || {
        let disk = Disk::new("16m");
        let daemon = disk.start("");
        disk.wait_for_rows();
        // A disk with files open for writing can't be made read-only by asking; another one on top of it
        // is what the sinks find after a disk was pulled and came back.
        disk.mount_here("ro");
        disk.wait_for(BEGINS, 1);
        disk.wait_for_cycles(10);
        disk.unmount();
        disk.wait_for(ENDS, 1);

        let outcome = disk.stop(daemon);
        outcome.said(&[BEGINS, ENDS]);
        outcome.check(&outcome.trace(), &trace(&disk.trace()));
        outcome.check(&outcome.history(), &history(&disk.history()));
        assert_eq!(outcome.trace().delivered, outcome.offered.len());
        assert_eq!(outcome.history().delivered, outcome.offered.len());
    });
}
