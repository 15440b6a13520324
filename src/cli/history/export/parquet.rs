//! Rows as an Apache Parquet file: a group of rows at a time, texts as dictionaries.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use wanctl_sink_sqlite::{HistoryError, Record};

use super::{Names, refused};
use crate::cli::history::time;

/// How many rows are held until they are written. Readers skip groups of rows by their time.
const GROUP: usize = 1 << 17;

/// Writes all rows. `time` is in microseconds of UTC.
pub(super) fn write(
    records: &mut dyn Iterator<Item = Result<Record, HistoryError>>,
    names: &Names,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = schema().context("the columns")?;
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut texts = Texts::default();
    loop {
        let mut columns = Columns::default();
        for record in (&mut *records).take(GROUP) {
            columns.add(&record.map_err(refused)?, names, &mut texts);
        }
        if columns.time.is_empty() {
            break;
        }
        let mut group = writer.next_row_group()?;
        columns.write(&mut group)?;
        group.close()?;
        writer.flush()?;
        out.write_all(writer.inner())?;
        writer.inner_mut().clear();
    }
    out.write_all(&writer.into_inner()?)?;
    Ok(())
}

fn schema() -> parquet::errors::Result<TypePtr> {
    let text = Some(LogicalType::String);
    let time = Some(LogicalType::timestamp(true, TimeUnit::MICROS));
    let column = |name, physical, logical, is_optional| {
        let repetition = if is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let column = Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical);
        column.build().map(Arc::new)
    };
    let columns = vec![
        column("time", Physical::INT64, time, false)?,
        column("wan_name", Physical::BYTE_ARRAY, text.clone(), false)?,
        column("source", Physical::BYTE_ARRAY, text.clone(), false)?,
        column("metric_name", Physical::BYTE_ARRAY, text.clone(), false)?,
        column("value", Physical::DOUBLE, None, false)?,
        column("state", Physical::BYTE_ARRAY, text.clone(), true)?,
        column("labels", Physical::BYTE_ARRAY, text.clone(), true)?,
        column("granularity", Physical::BYTE_ARRAY, text, false)?,
        column("min", Physical::DOUBLE, None, true)?,
        column("max", Physical::DOUBLE, None, true)?,
        column("count", Physical::INT64, None, true)?,
    ];
    Type::group_type_builder("history").with_fields(columns).build().map(Arc::new)
}

/// The rows of a group, in the order of the schema's columns.
#[derive(Default)]
struct Columns {
    time: Vec<i64>,
    wan_name: Vec<ByteArray>,
    source: Vec<ByteArray>,
    metric_name: Vec<ByteArray>,
    value: Vec<f64>,
    state: Optional<ByteArray>,
    labels: Optional<ByteArray>,
    granularity: Vec<ByteArray>,
    min: Optional<f64>,
    max: Optional<f64>,
    count: Optional<i64>,
}

/// A column that has no value in some rows.
struct Optional<T> {
    /// Of each row, 1 if it has a value.
    levels: Vec<i16>,
    values: Vec<T>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Optional { levels: Vec::new(), values: Vec::new() }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

impl Columns {
    fn add(&mut self, record: &Record, names: &Names, texts: &mut Texts) {
        let series = &record.series;
        self.time.push(time::micros(record));
        self.wan_name.push(texts.get(&series.wan_name));
        self.source.push(texts.get(&series.source));
        self.metric_name.push(texts.get(&series.metric_name));
        self.value.push(record.value);
        self.state.push(names.state(series, record.value).map(|state| texts.get(state)));
        self.labels.push(series.labels.as_deref().map(|labels| texts.get(labels)));
        self.granularity.push(texts.get(record.granularity.as_str()));
        self.min.push(record.rolled.map(|rolled| rolled.min));
        self.max.push(record.rolled.map(|rolled| rolled.max));
        let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.count.push(record.rolled.map(|rolled| count(rolled.count)));
    }

    fn write<W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> parquet::errors::Result<()> {
        column::<Int64Type, W>(group, &self.time, None)?;
        column::<ByteArrayType, W>(group, &self.wan_name, None)?;
        column::<ByteArrayType, W>(group, &self.source, None)?;
        column::<ByteArrayType, W>(group, &self.metric_name, None)?;
        column::<DoubleType, W>(group, &self.value, None)?;
        column::<ByteArrayType, W>(group, &self.state.values, Some(&self.state.levels))?;
        column::<ByteArrayType, W>(group, &self.labels.values, Some(&self.labels.levels))?;
        column::<ByteArrayType, W>(group, &self.granularity, None)?;
        column::<DoubleType, W>(group, &self.min.values, Some(&self.min.levels))?;
        column::<DoubleType, W>(group, &self.max.values, Some(&self.max.levels))?;
        column::<Int64Type, W>(group, &self.count.values, Some(&self.count.levels))
    }
}

/// Writes the next column.
fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> parquet::errors::Result<()> {
    // As many columns are written as the schema has.
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

/// Texts that come again and again, held once. Those of events come once, and are not kept for long.
#[derive(Default)]
struct Texts(HashMap<String, ByteArray>);

impl Texts {
    /// How many texts are held.
    const CAPACITY: usize = 1024;

    fn get(&mut self, text: &str) -> ByteArray {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        if self.0.len() >= Self::CAPACITY {
            self.0.clear();
        }
        let new = ByteArray::from(text);
        self.0.insert(text.to_owned(), new.clone());
        new
    }
}
