//! Another process that has a database to itself for a while: this test binary, run once more.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DATABASE: &str = "WANCTL_TEST_LOCK";
const LOCKED: &str = "the database is locked";

/// A process that holds the write lock of a database.
pub(super) struct Locker(Child);

impl Locker {
    /// Takes the lock; returns when it is taken.
    pub(super) fn start(database: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "cli::locker::holds_the_lock_of_the_database_it_is_given",
                "--nocapture",
            ])
            .env(DATABASE, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(LOCKED)), "no lock");
        Locker(child)
    }

    /// Lets the process release the lock and end; does not wait for it.
    pub(super) fn release(&mut self) {
        drop(self.0.stdin.take());
    }

    /// Releases the lock, and checks that it was held until now.
    pub(super) fn finish(mut self) {
        self.release();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does something only in the process that [`Locker::start`] starts.
#[test]
fn holds_the_lock_of_the_database_it_is_given() {
    let Some(database) = std::env::var_os(DATABASE).map(PathBuf::from) else { return };
    let db = rusqlite::Connection::open(database).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // Not `println!`, whose line may follow the harness's own text.
    std::io::stdout().write_all(format!("\n{LOCKED}\n").as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    db.execute_batch("COMMIT").unwrap();
}
