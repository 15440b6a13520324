//! Delivery by content: every row once, with its identity, time and value, in the order of emission.

use serde_json::{Map, Value, json};

use super::bench::{Bench, close};
use super::rows::{Rows, VALUE};
use super::{Harness, Outcome};
use crate::{Item, MAX_SAMPLES, Series};

const HOUR: i64 = 3_600_000_000;

/// Texts that break a writer which forgets to escape.
const AWKWARD: [&str; 12] = [
    "plain",
    "two words",
    "a,b=c",
    "\"quoted\" 'twice'",
    "back\\slash\\",
    "line\nfeed",
    "return\r\n",
    "tab\t;|",
    "{\"json\": [1]}",
    "M\u{fc}nchen \u{1f680}",
    "'; DROP TABLE metrics; --",
    " spaces around ",
];

/// Frames and events of several batches arrive, each row once and each series in order.
///
/// # Errors
///
/// The first row that is lost, altered, there twice, invented or out of order.
pub fn rows_arrive_once_and_in_order<H: Harness>() -> Outcome {
    let mut rows = Rows::new()?;
    let batches = (0..5).map(|size| {
        let mut items = rows.frames(1 + 3 * size);
        items.push(Item::Event(rows.event()));
        items.extend(rows.frames(1));
        items
    });
    deliver::<H>(batches.collect())
}

/// Values arrive to the last bit: zero and minus zero, the smallest and the largest, more than 2^53.
///
/// # Errors
///
/// The first value that is another one.
pub fn values_arrive_exactly<H: Harness>() -> Outcome {
    const TWO_53: f64 = 9_007_199_254_740_992.0;
    let values = [
        0.0,
        -0.0,
        5e-324,
        f64::MIN_POSITIVE,
        f64::EPSILON,
        1e-7,
        0.1,
        0.1 + 0.2,
        1.0 / 3.0,
        23.41,
        -1.5,
        123_456_789.123_456_79,
        TWO_53 - 1.0,
        TWO_53,
        TWO_53 + 2.0,
        1e15 + 0.3,
        1e21,
        18_446_744_073_709_551_616.0,
        1e300,
        f64::MAX,
        f64::MIN,
    ];
    let mut rows = Rows::of(vec![Series::new(&VALUE, "wan1", "conformance")])?;
    deliver::<H>(values.map(|value| vec![Item::Frame(rows.frame_of(&[value]))]).into())
}

/// Names and labels arrive as they are, whatever characters they hold.
///
/// # Errors
///
/// The first name or label that is another one.
pub fn names_and_labels_arrive_unharmed<H: Harness>() -> Outcome {
    let labelled = |text| Series::new(&VALUE, "wan1", "conformance").with_labels(&[("text", text)]);
    let two = |one, other| {
        Series::new(&VALUE, "wan1", "conformance").with_labels(&[("one", one), ("other", other)])
    };
    let mut schemas = vec![
        AWKWARD.iter().map(|text| Series::new(&VALUE, *text, "conformance")).collect::<Vec<_>>(),
        AWKWARD.iter().map(|text| Series::new(&VALUE, "wan1", *text)).collect(),
        AWKWARD.iter().map(|text| labelled(text)).collect(),
        // Labels that look alike once they are put together.
        vec![two("a", "b,other=c"), two("a,other=b", "c"), two("", "x"), two("x", "")],
        vec![labelled(&"long ".repeat(400))],
    ];
    // A key that a destination may have no room for; then it has to reject the row.
    schemas.push(vec![
        Series::new(&VALUE, "wan1", "conformance").with_labels(&[("a \"key\",=\u{fc}", "x")]),
    ]);
    let batch = |series| Ok::<_, String>(Rows::of(series)?.frames(2));
    deliver::<H>(schemas.into_iter().map(batch).collect::<Result<_, _>>()?)
}

/// Events arrive with everything they tell: texts, numbers, nothing at all, lists and maps.
///
/// # Errors
///
/// The first event that is another one.
pub fn events_arrive_with_their_details<H: Harness>() -> Outcome {
    let mut rows = Rows::new()?;
    let mut details: Vec<Map<String, Value>> = AWKWARD
        .iter()
        .map(|text| [("reason".to_owned(), Value::from(*text))].into_iter().collect())
        .collect();
    details.push(Map::new());
    let nested = json!({
        "trigger": "startup",
        "count": 3,
        "ratio": 0.1,
        "on": true,
        "autorate": { "floor_mbps": [1, 2.5], "name": "wan \"1\"" },
        "steering": null,
        "empty": "",
    });
    details.extend(nested.as_object().cloned());
    let items = details.into_iter().map(|one| Item::Event(rows.event_of(one))).collect();
    deliver::<H>(vec![items])
}

/// A clock that is set back or forward between two frames costs no row, and a clock that was never set
/// (1970) is a time like any other.
///
/// # Errors
///
/// The first row that is lost or altered.
pub fn clock_steps_lose_no_row<H: Harness>() -> Outcome {
    let mut rows = Rows::new()?;
    let mut batches = vec![rows.frames(3)];
    for step in [-HOUR, 2 * HOUR, -2 * HOUR - HOUR / 2] {
        rows.step(step);
        let mut items = rows.frames(3);
        rows.step(-HOUR / 3);
        items.extend(rows.frames(2));
        batches.push(items);
    }
    deliver::<H>(batches)?;
    let mut rows = Rows::new()?;
    let now = rows.frame().at();
    rows.step(-now.unix_nanos / 1000);
    deliver::<H>(vec![rows.frames(5)])
}

/// A batch of thousands of rows arrives whole.
///
/// # Errors
///
/// The first row that is lost.
pub fn large_batch_arrives_whole<H: Harness>() -> Outcome {
    let series = (0..MAX_SAMPLES).map(|n| Series::new(&VALUE, format!("wan{n}"), "conformance"));
    let mut rows = Rows::of(series.collect())?;
    deliver::<H>(vec![rows.frames(200)])
}

/// Writes these batches to one writer, and compares what is there.
fn deliver<H: Harness>(batches: Vec<Vec<Item>>) -> Outcome {
    let mut bench = Bench::<H>::new();
    let mut writer = bench.open()?;
    for (number, items) in batches.iter().enumerate() {
        bench.write(&mut *writer, items)?;
        // Only then is each value seen where the destination keeps the newest.
        if super::Keeps::Newest == H::KEEPS || number + 1 == batches.len() {
            bench.flush_and_compare(&mut *writer)?;
        }
    }
    close(writer)
}
