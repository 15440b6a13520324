//! Files read back by parsers that are not ours, and what each format can't hold.

use influxdb_line_protocol::{FieldValue, parse_lines};
use serde_json::{Map, Value};
use wanctl_sink::conformance::Arrived;
use wanctl_sink::{Identity, Row};

/// A format, seen from the other side.
pub(crate) trait Reader {
    /// `format:`
    const FORMAT: &'static str;

    /// Every row of a file.
    fn read(text: &str) -> Vec<Arrived>;

    /// What a file of this format holds of a row.
    fn keeps(row: &Row<'_>) -> Arrived {
        Arrived::from(row)
    }
}

pub(crate) struct Jsonl;

impl Reader for Jsonl {
    const FORMAT: &'static str = "jsonl";

    fn read(text: &str) -> Vec<Arrived> {
        let text_of = |line: &Value, key| line[key].as_str().unwrap().to_owned();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .map(|line: Value| Arrived {
                metric: text_of(&line, "metric_name"),
                wan: text_of(&line, "wan_name"),
                source: text_of(&line, "source"),
                labels: line.get("labels").map(Value::to_string),
                unix_nanos: nanos(line["time"].as_str().unwrap()),
                value: line["value"].as_f64().unwrap(),
            })
            .collect()
    }
}

pub(crate) struct Csv;

impl Reader for Csv {
    const FORMAT: &'static str = "csv";

    fn read(text: &str) -> Vec<Arrived> {
        csv::Reader::from_reader(text.as_bytes())
            .records()
            .map(|record| {
                let record = record.unwrap();
                Arrived {
                    metric: record[3].to_owned(),
                    wan: record[2].to_owned(),
                    source: record[4].to_owned(),
                    labels: Some(record[6].to_owned()).filter(|text| !text.is_empty()),
                    unix_nanos: nanos(&record[0]),
                    value: record[5].parse().unwrap(),
                }
            })
            .collect()
    }
}

/// Tags can't be empty, and no text of it has a line feed; what an event tells is text.
pub(crate) struct Influx;

impl Reader for Influx {
    const FORMAT: &'static str = "influx";

    fn read(text: &str) -> Vec<Arrived> {
        parse_lines(text)
            .map(|line| {
                let line = line.unwrap();
                let mut labels = Map::new();
                let (mut wan, mut source) = (String::new(), String::new());
                for (key, value) in line.series.tag_set.iter().flatten() {
                    match key.as_str() {
                        "wan" => wan = value.to_string(),
                        "source" => source = value.to_string(),
                        key => {
                            labels.insert(key.to_owned(), value.to_string().into());
                        }
                    }
                }
                let mut number = None;
                for (key, value) in &line.field_set {
                    match value {
                        FieldValue::F64(value) if key.as_str() == "value" => number = Some(*value),
                        FieldValue::String(text) => {
                            labels.insert(key.to_string(), text.to_string().into());
                        }
                        other => panic!("{key} is {other:?}"),
                    }
                }
                Arrived {
                    metric: line.series.measurement.to_string(),
                    wan,
                    source,
                    labels: wanctl_sink::label_text(&labels),
                    unix_nanos: line.timestamp.unwrap(),
                    value: number.unwrap(),
                }
            })
            .collect()
    }

    fn keeps(row: &Row<'_>) -> Arrived {
        let name = |text: &str| text.replace('\\', "/").replace(['\n', '\r', '\t'], " ");
        let labels = row.label_text().unwrap_or("{}".into());
        let labels: Map<String, Value> = serde_json::from_str(&labels).unwrap();
        let is_event = matches!(row.identity, Identity::Event(_));
        let kept = |(key, value): (String, Value)| {
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let text = match is_event {
                true => text.replace('\n', "\\n").replace('\r', "\\r"),
                false => name(&text),
            };
            (is_event || !text.is_empty()).then(|| (name(&key), text.into()))
        };
        Arrived {
            wan: name(row.wan()),
            source: name(row.source()),
            labels: wanctl_sink::label_text(&labels.into_iter().filter_map(kept).collect()),
            ..Arrived::from(row)
        }
    }
}

fn nanos(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_nanosecond().try_into().unwrap()
}
