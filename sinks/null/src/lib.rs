//! A sink that takes everything and keeps nothing: the smallest complete one, and the template for new
//! ones (`sinks/README.md` says what to change after copying this folder).
//!
//! Use it to run a controller without any history, to measure what recording costs, and where a
//! program has to give a sink and has none. It does no I/O and can't fail.
//!
//! ```yaml
#![doc = include_str!("../sample.yaml")]
//! ```
//!
//! | setting | default | meaning |
//! |---|---|---|
//! | none | | |

mod direct;

use serde::Deserialize;
use wanctl_sink::{
    Batch, Deadline, OpenContext, SinkConfig, SinkError, SinkWriter, Written, register_sink,
};

pub use direct::NullSink;

register_sink! {
    "null" => NullConfig,
    summary: "Takes everything and keeps nothing",
    sample: include_str!("../sample.yaml"),
}

/// What `settings:` of a null sink is read into: nothing can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NullConfig {}

impl SinkConfig for NullConfig {
    fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(NullWriter))
    }
}

struct NullWriter;

impl SinkWriter for NullWriter {
    fn write(&mut self, _: &Batch<'_>, _: Deadline) -> Written {
        Written::All
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use wanctl_sink::{Frame, Item, Schema, Settings, Timestamp};

    use super::*;

    fn frame() -> Arc<Frame> {
        let schema = Schema::new(Vec::new()).unwrap();
        Arc::new(Frame::new(Timestamp::default(), &schema))
    }

    #[test]
    fn a_setting_is_refused_by_name() {
        let issue = Settings::from_yaml("path: x").unwrap().parse::<NullConfig>().unwrap_err();
        assert!(issue.to_string().contains("path"), "{issue}");
    }

    #[test]
    fn every_row_counts_as_written() {
        let deadline = Deadline::after(Duration::from_secs(1));
        let mut writer = NullConfig {}.open(&OpenContext::new("nothing", deadline)).unwrap();
        let written = writer.write(&Batch::new(&[Item::Frame(frame())]), deadline);
        assert!(matches!(written, Written::All));
        writer.close(deadline).unwrap();
    }
}
