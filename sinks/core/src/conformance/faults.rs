//! Deadlines that are over, destinations that break or hang, rows that can't be recorded.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::bench::{Bench, NAME, Stopwatch, close};
use super::rows::Rows;
use super::{Fault, Harness, Keeps, Outcome};
use crate::{Batch, Deadline, FaultClass, Item, OpenContext, SinkError, SinkWriter, Written};

/// The deadline of a call to a destination that hangs.
const ALLOWED: Duration = Duration::from_millis(300);
/// How much later than its deadline a call may return.
const SLACK: Duration = Duration::from_secs(1);

/// With a deadline that is over, a write fails at once, and no row of the batch is there: not then, and
/// not after the destination was opened again.
///
/// # Errors
///
/// The answer, if it is another one, or the row that is there.
pub fn passed_deadline_writes_nothing<H: Harness>() -> Outcome {
    if H::KEEPS == Keeps::Nothing {
        return Ok(());
    }
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let mut writer = bench.open()?;
    bench.write(&mut *writer, &rows.frames(1))?;
    let late = rows.frames(3);
    let watch = Stopwatch::start();
    match writer.write(&Batch::new(&late), Deadline::after(Duration::ZERO)) {
        Written::Failed(error) => may_come_again("a write after its deadline", &error)?,
        other => return Err(format!("a write after its deadline is answered with {other:?}")),
    }
    if watch.elapsed() > SLACK {
        return Err(format!("a write after its deadline took {:?}", watch.elapsed()));
    }
    bench.flush_and_compare(&mut *writer)?;
    bench.write(&mut *writer, &rows.frames(1))?;
    bench.flush_and_compare(&mut *writer)?;
    close(writer)?;
    if H::KEEPS == Keeps::Everything {
        close(bench.open()?)?;
        bench.ledger.compare(&bench.harness)?;
    }
    Ok(())
}

/// While the destination does not answer, every call returns by its deadline; afterwards the batch
/// arrives. Needs [`Fault::Hangs`].
///
/// # Errors
///
/// The call that took longer, or what is lost or there twice.
pub fn hanging_destination_is_left_by_the_deadline<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let mut writer = bench.open()?;
    bench.write(&mut *writer, &rows.frames(1))?;
    if !bench.harness.break_down(Fault::Hangs) {
        return close(writer);
    }
    let items = rows.frames(2);
    let (report, reports) = mpsc::channel();
    let batch = items.clone();
    // A call that never returns costs this thread, and the check goes on.
    thread::spawn(move || call_each(&mut *writer, &batch, &report));
    let written = wait_for_calls(&reports);
    bench.harness.mend();
    let written = written?;
    let mut writer = bench.open()?;
    if written {
        bench.ledger.add(&bench.harness, &items, &BTreeSet::new());
    } else {
        bench.write(&mut *writer, &items)?;
    }
    bench.flush_and_compare(&mut *writer)?;
    close(writer)
}

/// One call after the other: its name, how long it took, and for a write what became of it.
type Report = (&'static str, Duration, Result<bool, String>);

fn call_each(writer: &mut dyn SinkWriter, items: &[Item], report: &mpsc::Sender<Report>) {
    let watch = Stopwatch::start();
    let written = match writer.write(&Batch::new(items), Deadline::after(ALLOWED)) {
        Written::All => Ok(true),
        Written::Failed(error) => {
            may_come_again("a write to a destination that hangs", &error).map(|()| false)
        }
        other => Err(format!("a write to a destination that hangs is answered with {other:?}")),
    };
    // The receiver is gone after the first call that took too long.
    let _ = report.send(("write", watch.elapsed(), written));
    for (name, call) in CALLS {
        let watch = Stopwatch::start();
        let _ = call(writer, Deadline::after(ALLOWED));
        let _ = report.send((name, watch.elapsed(), Ok(false)));
    }
}

type Call = fn(&mut dyn SinkWriter, Deadline) -> Result<(), SinkError>;

const CALLS: [(&str, Call); 3] = [
    ("probe", |writer, deadline| writer.probe(deadline)),
    ("flush", |writer, deadline| writer.flush(deadline)),
    ("close", |writer, deadline| writer.close(deadline)),
];

/// Whether the batch was written by a call to a destination that hangs.
fn wait_for_calls(reports: &mpsc::Receiver<Report>) -> Result<bool, String> {
    let mut written = false;
    for name in ["write"].into_iter().chain(CALLS.map(|(name, _)| name)) {
        let late = format!("`{name}` did not return within {ALLOWED:?}, its deadline");
        // Twice as long, so that a call that is only late reports how late.
        let Ok((_, elapsed, result)) = reports.recv_timeout(2 * (ALLOWED + SLACK)) else {
            return Err(late);
        };
        if elapsed > ALLOWED + SLACK {
            return Err(format!("{late}, but after {elapsed:?}"));
        }
        written |= result?;
    }
    Ok(written)
}

/// While the destination does not answer, opening it returns by its deadline, with an error or without
/// one, be it used before or new; afterwards rows arrive. Needs [`Fault::Hangs`].
///
/// # Errors
///
/// How much longer it took, or what is lost.
pub fn opening_is_left_by_the_deadline<H: Harness>() -> Outcome {
    for is_new in [false, true] {
        let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
        if !is_new {
            let mut writer = bench.open()?;
            bench.write(&mut *writer, &rows.frames(1))?;
            close(writer)?;
        }
        if !bench.harness.break_down(Fault::Hangs) {
            return Ok(());
        }
        let opened = open_in_time(&bench);
        bench.harness.mend();
        match opened? {
            Ok(writer) => close(writer)?,
            Err(error) => may_come_again("opening a destination that hangs", &error)?,
        }
        let mut writer = bench.open()?;
        bench.write(&mut *writer, &rows.frames(1))?;
        bench.flush_and_compare(&mut *writer)?;
        close(writer)?;
    }
    Ok(())
}

type Opened = Result<Box<dyn SinkWriter>, SinkError>;

/// What came of opening a destination that hangs.
///
/// # Errors
///
/// It took too long.
fn open_in_time<H: Harness>(bench: &Bench<H>) -> Result<Opened, String> {
    let config = bench.config()?;
    let (report, reports) = mpsc::channel();
    // If it never returns, that costs this thread, and the check goes on.
    thread::spawn(move || {
        let watch = Stopwatch::start();
        let opened = config.open(&OpenContext::new(NAME, Deadline::after(ALLOWED)));
        let _ = report.send((watch.elapsed(), opened));
    });
    let late = format!("`open` did not return within {ALLOWED:?}, its deadline");
    // Twice as long, so that a call that is only late reports how late.
    match reports.recv_timeout(2 * (ALLOWED + SLACK)) {
        Ok((elapsed, opened)) if elapsed <= ALLOWED + SLACK => Ok(opened),
        Ok((elapsed, _)) => Err(format!("{late}, but after {elapsed:?}")),
        Err(_) => Err(late),
    }
}

/// A destination that refuses makes a write fail with a class that lets the batch come again, not with a
/// panic; then it arrives. Needs [`Fault::Refuses`].
///
/// # Errors
///
/// The answer, if it is another one, or what is lost or there twice.
pub fn broken_destination_fails_cleanly<H: Harness>() -> Outcome {
    let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
    let mut writer = bench.open()?;
    bench.write(&mut *writer, &rows.frames(2))?;
    bench.flush_and_compare(&mut *writer)?;
    if !bench.harness.break_down(Fault::Refuses) {
        return close(writer);
    }
    let items = rows.frames(2);
    let deadline = Deadline::after(Duration::from_secs(2));
    let written = match writer.write(&Batch::new(&items), deadline) {
        Written::Failed(error) => {
            may_come_again("a write to a broken destination", &error)?;
            false
        }
        Written::All => true,
        other => {
            return Err(format!("a write to a broken destination is answered with {other:?}"));
        }
    };
    bench.harness.mend();
    if written {
        bench.ledger.add(&bench.harness, &items, &BTreeSet::new());
    } else {
        bench
            .write(&mut *writer, &items)
            .map_err(|error| format!("after the destination was mended, {error}"))?;
    }
    bench.flush_and_compare(&mut *writer)?;
    close(writer)
}

/// A row that the destination refuses for good is named by its position, wherever it stands in the batch,
/// and the others arrive. Needs [`Harness::unrecordable`].
///
/// # Errors
///
/// A neighbour that is lost, or a wrong position.
pub fn rejected_row_harms_no_neighbour<H: Harness>() -> Outcome {
    for place in 0..3 {
        let (mut bench, mut rows) = (Bench::<H>::new(), Rows::new()?);
        let Some(poison) = bench.harness.unrecordable() else { return Ok(()) };
        let mut items = rows.frames(2);
        let before: usize = items.iter().take(place).map(Item::rows).sum();
        let of_poison = before..before + poison.rows();
        items.insert(place, poison);
        let mut writer = bench.open()?;
        let refused = bench.write(&mut *writer, &items)?;
        if refused.is_empty() {
            return Err("a row that can't be recorded is accepted".to_owned());
        }
        if let Some(position) = refused.iter().find(|position| !of_poison.contains(position)) {
            return Err(format!("row {position}, a neighbour, is rejected"));
        }
        bench.flush_and_compare(&mut *writer)?;
        close(writer)?;
    }
    Ok(())
}

/// Whether a batch comes again soon after such a failure.
fn may_come_again(what: &str, error: &SinkError) -> Outcome {
    match error.class {
        FaultClass::Bug => Err(format!("{what} fails with the class Bug: {error}")),
        _ if error.message.is_empty() => Err(format!("{what} fails without a message")),
        _ => Ok(()),
    }
}
