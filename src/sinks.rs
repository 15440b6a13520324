//! The bundled sinks. A crate that is named nowhere is not linked, and an unlinked sink registers nothing.

use wanctl_sink_file as _;
use wanctl_sink_log as _;
use wanctl_sink_memory as _;
use wanctl_sink_null as _;
use wanctl_sink_prometheus as _;
#[cfg(feature = "sqlite")]
use wanctl_sink_sqlite as _;
