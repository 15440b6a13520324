//! A second process that takes and releases the write lock of a database, at random.
//!
//! It is the bench itself, started again; so a bench that uses it calls [`serve`] first.
#![expect(clippy::disallowed_methods, reason = "a lock is held for some time")]

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// In the second process: does its work, and returns true when it is over.
pub(crate) fn serve() -> bool {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--lock");
    let database = arguments.nth(1);
    if let Some(database) = &database {
        lock_at_random(Path::new(database));
    }
    database.is_some()
}

/// The second process.
pub(crate) struct Locker(Child);

impl Locker {
    pub(crate) fn start(database: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .arg("--lock")
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Locker(child)
    }

    /// Ends the process; returns how often it had the lock.
    pub(crate) fn stop(mut self) -> u32 {
        drop(self.0.stdin.take());
        let mut locks = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut locks).unwrap();
        self.0.wait().unwrap();
        locks.trim().parse().unwrap()
    }
}

/// Holds the write lock for up to 300 ms, lets go for up to 100 ms, until standard input closes.
fn lock_at_random(database: &Path) {
    let over = thread::spawn(|| std::io::stdin().read(&mut [0]));
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let (mut seed, mut locks) = (0x9E37_79B9_u32, 0_u32);
    let mut random = |most: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        Duration::from_millis(u64::from(seed) % most)
    };
    while !over.is_finished() {
        if connection.execute_batch("BEGIN EXCLUSIVE").is_ok() {
            locks += 1;
            thread::sleep(random(300));
            connection.execute_batch("COMMIT").unwrap();
        }
        thread::sleep(random(100));
    }
    println!("{locks}");
}
