//! Who writes: a process of its own, which is this test program again, for a test that does nothing unless
//! it is asked to; or this process.

use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wanctl_sink::{Batch, Deadline, Item, OpenContext, Settings, SinkConfig, SinkWriter, Written};
use wanctl_sink_sqlite::SqliteConfig;

use crate::frames;

/// A process that is killed when this is dropped.
pub(crate) struct Writer(pub(crate) Child);

impl Writer {
    /// Runs the test `name` in a process of its own, which finds `variables` in its environment.
    pub(crate) fn start(name: &str, variables: &[(&str, &Path)]) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture", "--test-threads=1"])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Writer(child.unwrap())
    }

    /// Kills it, which it must not have outrun.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None, "the writer has ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A writer in this process.
pub(crate) fn open(path: &Path) -> Box<dyn SinkWriter> {
    let settings = Settings::from_yaml(&frames::settings(path)).unwrap();
    settings.parse::<SqliteConfig>().unwrap().open(&OpenContext::new("history", soon())).unwrap()
}

/// Long enough for a writer that is stopped at every call.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// Writes the frames of these numbers as one batch.
#[track_caller]
pub(crate) fn write(writer: &mut dyn SinkWriter, numbers: Range<i64>) {
    let schema = frames::schema();
    let items: Vec<Item> =
        numbers.map(|number| Item::Frame(frames::frame(number, &schema))).collect();
    let written = writer.write(&Batch::new(&items), soon());
    assert!(matches!(written, Written::All), "{written:?}");
}
