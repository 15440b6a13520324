//! What autorate keeps over a restart, in the original's file format.
//!
//! [`keep`] writes it from a thread of its own, at most every five seconds, and at the end. Another
//! process, such as a steering daemon, may read the baseline in it; [`follow`] does. Neither is ever
//! waited for: a state that can't be written or read is said once and control goes on.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use serde_json::{Value, json};
use tracing::warn;

use crate::autorate::{DirectionState, State};
use crate::daemon::background::Background;
use crate::daemon::status::Status;
use crate::steering::baseline_from_state;

const WRITE_EVERY: Duration = Duration::from_secs(5);
const FIRST_WRITE: Duration = Duration::from_millis(100);
const READ_EVERY: Duration = Duration::from_millis(500);

/// Reads a state that was kept. `None`, with a warning, for a file that can't be read or understood;
/// without a warning when there is none.
pub(super) fn load(path: &Path) -> Option<State> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            warn!(path = %path.display(), %error, "State is not restored.");
            return None;
        }
    };
    let state = serde_json::from_str(&text).ok().and_then(|value| from_json(&value));
    if state.is_none() {
        warn!(path = %path.display(), "State is not restored: the file is not a state.");
    }
    state
}

/// Where a controller leaves its newest state.
pub(super) type Slot = Arc<ArrayQueue<State>>;

/// Starts the thread that writes the newest state now and then, and when it is told to stop.
pub(super) fn keep(path: PathBuf) -> io::Result<(Background, Slot)> {
    let slot: Slot = Arc::new(ArrayQueue::new(1));
    let newest = Arc::clone(&slot);
    let background = Background::start("state".to_owned(), move |stop| {
        let mut failing = false;
        let mut written = None;
        loop {
            let last = stop.is_set();
            if let Some(state) = newest.pop().filter(|state| written != Some(*state)) {
                match store(&path, &state) {
                    Ok(()) => (written, failing) = (Some(state), false),
                    Err(error) if !std::mem::replace(&mut failing, true) => {
                        warn!(path = %path.display(), %error, "State is not kept.");
                    }
                    Err(_) => {}
                }
            }
            if last {
                return;
            }
            // A reader waits for the first state.
            stop.wait(if written.is_some() { WRITE_EVERY } else { FIRST_WRITE });
        }
    })?;
    Ok((background, slot))
}

/// Starts the thread that publishes the baseline of another process's state file in
/// `status.baseline_ms`.
pub(super) fn follow(path: PathBuf, status: Arc<Status>) -> io::Result<Background> {
    Background::start("baseline".to_owned(), move |stop| {
        let mut failing = false;
        while !stop.is_set() {
            let read = fs::read_to_string(&path);
            let baseline = read.as_ref().ok().and_then(|text| baseline_from_state(text));
            if baseline.is_none() && !std::mem::replace(&mut failing, true) {
                warn!(path = %path.display(), "No baseline in autorate's state file yet.");
            }
            failing &= baseline.is_none();
            status.baseline_ms.set(baseline);
            stop.wait(READ_EVERY);
        }
    })
}

/// Replaces the file in one step, so that a reader or a crash never sees half of it.
fn store(path: &Path, state: &State) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let mut file = fs::File::create(&temporary)?;
    let written =
        file.write_all(to_json(state).to_string().as_bytes()).and_then(|()| file.sync_data());
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

fn to_json(state: &State) -> Value {
    let direction = |d: &DirectionState| {
        json!({
            "green_streak": d.green_streak,
            "soft_red_streak": d.soft_red_streak,
            "red_streak": d.red_streak,
            "current_rate": d.rate_bps,
        })
    };
    json!({
        "download": direction(&state.download),
        "upload": direction(&state.upload),
        "ewma": { "baseline_rtt": state.baseline_ms, "load_rtt": state.load_ms },
    })
}

fn from_json(value: &Value) -> Option<State> {
    let direction = |name: &str| {
        let section = value.get(name)?;
        let streak =
            |key| section.get(key).and_then(Value::as_u64).map_or(0, |n| n.min(1 << 20) as u32);
        Some(DirectionState {
            green_streak: streak("green_streak"),
            soft_red_streak: streak("soft_red_streak"),
            red_streak: streak("red_streak"),
            rate_bps: section.get("current_rate")?.as_f64()?,
        })
    };
    let ewma = |key| value.get("ewma").and_then(|ewma| ewma.get(key)).and_then(Value::as_f64);
    Some(State {
        download: direction("download")?,
        upload: direction("upload")?,
        baseline_ms: ewma("baseline_rtt"),
        load_ms: ewma("load_rtt"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::background::join_all;

    fn state() -> State {
        let direction =
            DirectionState { green_streak: 3, soft_red_streak: 0, red_streak: 1, rate_bps: 5e6 };
        State {
            download: direction,
            upload: direction,
            baseline_ms: Some(23.5),
            load_ms: Some(24.0),
        }
    }

    #[test]
    fn a_kept_state_comes_back_and_its_baseline_can_be_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/wan1_state.json");
        let (keeper, slot) = keep(path.clone()).unwrap();
        slot.force_push(state());
        join_all(vec![keeper], Duration::from_secs(60));
        assert_eq!(load(&path), Some(state()));
        assert_eq!(baseline_from_state(&fs::read_to_string(&path).unwrap()), Some(23.5));
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn a_missing_or_damaged_state_is_no_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(load(&path), None);
        for text in ["", "{\"download\":", "[]", "{\"download\":{}}"] {
            fs::write(&path, text).unwrap();
            assert_eq!(load(&path), None, "{text}");
        }
    }
}
