//! The sqlite sink, driven as its worker drives it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wanctl::sink::{
    Batch, Deadline, Event, Frame, Item, OpenContext, Registry, Schema, Series, SinkSpec,
    SinkWriter, Timestamp, Written,
};
use wanctl::telemetry::{
    AUTORATE, CONFIG_SNAPSHOT, RATE_DOWNLOAD, RATE_UPLOAD, RTT, RTT_BASELINE, RTT_DELTA, STATE,
};

use crate::signal::Tick;

/// The WAN of all rows.
pub(crate) const WAN: &str = "cable";

/// Longer than any call takes.
const LONG: Duration = Duration::from_secs(600);

/// The series of a tick's values.
pub(crate) fn schema() -> Arc<Schema> {
    let series = |metric| Series::new(metric, WAN, AUTORATE);
    let gauges = [&RTT, &RTT_BASELINE, &RTT_DELTA, &RATE_DOWNLOAD, &RATE_UPLOAD].map(series);
    let state = series(&STATE).with_labels(&[("direction", "download")]);
    Schema::new(gauges.into_iter().chain([state]).collect()).unwrap()
}

/// A tick as it is emitted.
pub(crate) fn frame(schema: &Arc<Schema>, tick: &Tick) -> Arc<Frame> {
    let mut frame = Frame::new(at(tick.micros), schema);
    for (series, value) in tick.values.into_iter().enumerate() {
        frame.push(series, value);
    }
    Arc::new(frame)
}

fn at(micros: i64) -> Timestamp {
    Timestamp { unix_nanos: micros * 1_000, mono_nanos: 0 }
}

/// The sink with its default settings, as it stands in a configuration.
pub(crate) fn spec(path: &Path) -> SinkSpec {
    // The budget is for small disks; none of this comes near it.
    let settings = format!("{{ path: '{}', max_bytes: 8GiB }}", path.display());
    let yaml = format!("history: {{ type: sqlite, settings: {settings} }}");
    SinkSpec::parse_yaml(&yaml, &Registry::linked().unwrap()).unwrap().remove(0)
}

/// An open history file.
pub(crate) struct Ours {
    writer: Box<dyn SinkWriter>,
    schema: Arc<Schema>,
}

impl Ours {
    pub(crate) fn open(path: &Path) -> Self {
        let context = OpenContext::new("history", Deadline::after(LONG));
        Ours { writer: spec(path).config.open(&context).unwrap(), schema: schema() }
    }

    /// Ticks as what a queue holds.
    pub(crate) fn items(&self, ticks: &[Tick]) -> Vec<Item> {
        ticks.iter().map(|tick| Item::Frame(frame(&self.schema, tick))).collect()
    }

    /// One transaction, and a slice of maintenance.
    pub(crate) fn write(&mut self, items: &[Item]) {
        let written = self.writer.write(&Batch::new(items), Deadline::after(LONG));
        assert!(matches!(written, Written::All), "{written:?}");
    }

    /// Records a configuration.
    pub(crate) fn snapshot(&mut self, micros: i64) {
        let labels = serde_json::json!({
            "trigger": "startup",
            "autorate": { "download_ceiling_mbps": 940, "upload_ceiling_mbps": 38 },
            "steering": null,
        });
        let event = Event {
            at: at(micros),
            metric: &CONFIG_SNAPSHOT,
            wan: WAN.into(),
            source: AUTORATE.into(),
            value: (micros / 1_000_000) as f64,
            details: Arc::new(labels.as_object().unwrap().clone()),
        };
        self.write(&[Item::Event(Arc::new(event))]);
    }

    pub(crate) fn close(mut self) {
        self.writer.close(Deadline::after(LONG)).unwrap();
    }
}
