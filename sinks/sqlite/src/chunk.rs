//! Sealed rows of one bundle as a blob: the instants first, then column by column, compressed.
//!
//! One column is read without decompressing the others. What the numbers mean, and which rows belong
//! together, is not known here; nor is anything read from or written to the file.
//!
//! # The blob
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version: 1 |
//! | 4 | CRC-32 of all that follows |
//! | 4 | frames |
//! | 4 | length of the instants |
//! | 8 × 13 | of each column: kind (0 none, 1 whole numbers, 2 real ones), samples, length of the presence, length of the values |
//! | … | the instants, then the presence and values of each column in turn |
//!
//! Numbers are little-endian and lengths are in bytes. Instants, presence and values are each one
//! standalone [pco](https://docs.rs/pco) file, or nothing at all if they are no numbers. A presence is
//! the lengths of runs of frames, those that have a sample and those that lack it by turns; without one
//! every frame has a sample.

use pco::ChunkConfig;
use pco::data_types::Number;
use pco::errors::PcoError;
use pco::standalone::{simple_compress, simple_decompress_into};

use crate::places::WIDTH;

/// The most frames in a chunk; it bounds what a damaged one can make us allocate.
pub(crate) const MAX_FRAMES: usize = 1 << 20;

const VERSION: u8 = 1;

/// Consecutive frames of one bundle.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chunk {
    /// Unix time of each frame in microseconds, ascending.
    pub(crate) micros: Vec<i64>,
    /// By position in the bundle; `None` if no frame has a sample of that series.
    pub(crate) columns: [Option<Column>; WIDTH],
}

/// The samples of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// Whether each frame has a sample; `None` if all have.
    pub(crate) present: Option<Vec<bool>>,
    /// The samples of those frames that have one, in their order.
    pub(crate) values: Values,
}

/// Samples as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Numbers that stand for themselves divided by the scale of the series.
    Whole(Vec<i64>),
    /// Values as they are, divided already.
    Real(Vec<f64>),
}

impl Values {
    /// The number of samples.
    pub(crate) fn len(&self) -> usize {
        match self {
            Values::Whole(whole) => whole.len(),
            Values::Real(real) => real.len(),
        }
    }
}

/// What the head of a blob says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChunkInfo {
    pub(crate) frames: usize,
    /// The number of samples of each column.
    pub(crate) samples: [usize; WIDTH],
}

/// Why a chunk can't be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChunkError {
    /// More than [`MAX_FRAMES`].
    #[error("{frames} frames are too many for a chunk")]
    TooLong { frames: usize },
    /// The presence or the values of a column don't fit the number of frames.
    #[error("column {position} does not fit the {frames} frames of the chunk")]
    Uneven { position: usize, frames: usize },
    /// A later version of this program made it.
    #[error("the chunk has version {version}, which is not known")]
    Version { version: u8 },
    /// The bytes are not those that were written.
    #[error("the chunk is damaged")]
    Damaged,
    /// A series of numbers can't be compressed, or is no pco file.
    #[error("the numbers of the chunk are damaged")]
    Numbers(#[from] PcoError),
}

impl Chunk {
    /// The number of frames.
    pub(crate) fn frames(&self) -> usize {
        self.micros.len()
    }

    /// The blob.
    ///
    /// # Errors
    ///
    /// The chunk is too long, or a column does not fit the frames.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ChunkError> {
        let frames = self.frames();
        if MAX_FRAMES < frames {
            return Err(ChunkError::TooLong { frames });
        }
        let instants = pack(&self.micros)?;
        let mut head = Vec::new();
        head.extend((frames as u32).to_le_bytes());
        head.extend((instants.len() as u32).to_le_bytes());
        let mut body = instants;
        for (position, column) in self.columns.iter().enumerate() {
            let Some(column) = column else {
                head.extend([0; Entry::LEN]);
                continue;
            };
            if !column.fits(frames) {
                return Err(ChunkError::Uneven { position, frames });
            }
            let presence = match &column.present {
                None => Vec::new(),
                Some(present) => pack(&runs(present))?,
            };
            let (kind, values) = match &column.values {
                Values::Whole(whole) => (Entry::WHOLE, pack(whole)?),
                Values::Real(real) => (Entry::REAL, pack(real)?),
            };
            head.push(kind);
            for count in [column.values.len(), presence.len(), values.len()] {
                head.extend((count as u32).to_le_bytes());
            }
            body.extend(presence);
            body.extend(values);
        }
        let rest = [head, body].concat();
        let crc = crc32fast::hash(&rest);
        Ok([&[VERSION], crc.to_le_bytes().as_slice(), rest.as_slice()].concat())
    }

    /// The frames in a blob, with those columns only whose positions are `wanted`.
    ///
    /// # Errors
    ///
    /// The blob is damaged in any way, or of an unknown version.
    pub(crate) fn decode(data: &[u8], wanted: &[usize]) -> Result<Chunk, ChunkError> {
        let (head, mut body) = Head::read(data)?;
        if crc32fast::hash(data.get(Head::CHECKED..).unwrap_or_default()) != head.crc {
            return Err(ChunkError::Damaged);
        }
        let frames = head.frames;
        let micros = unpack(take(&mut body, head.instants)?, frames)?;
        let mut columns = <[Option<Column>; WIDTH]>::default();
        for ((position, column), entry) in columns.iter_mut().enumerate().zip(&head.entries) {
            let presence = take(&mut body, entry.presence)?;
            let values = take(&mut body, entry.values)?;
            if entry.kind == Entry::NONE || !wanted.contains(&position) {
                continue;
            }
            let decoded = Column {
                present: match presence {
                    [] => None,
                    runs => Some(presences(runs, frames)?),
                },
                values: match entry.kind {
                    Entry::WHOLE => Values::Whole(unpack(values, entry.samples)?),
                    _ => Values::Real(unpack(values, entry.samples)?),
                },
            };
            if !decoded.fits(frames) {
                return Err(ChunkError::Damaged);
            }
            *column = Some(decoded);
        }
        Ok(Chunk { micros, columns })
    }
}

impl Column {
    fn fits(&self, frames: usize) -> bool {
        let samples = match &self.present {
            None => frames,
            Some(present) if present.len() != frames => return false,
            Some(present) => present.iter().filter(|present| **present).count(),
        };
        self.values.len() == samples
    }
}

impl ChunkInfo {
    /// Reads the head of a blob, and no more: damage elsewhere is not seen.
    ///
    /// # Errors
    ///
    /// The head makes no sense, or is of an unknown version.
    pub(crate) fn of(data: &[u8]) -> Result<Self, ChunkError> {
        let (head, _) = Head::read(data)?;
        Ok(ChunkInfo { frames: head.frames, samples: head.entries.map(|entry| entry.samples) })
    }
}

/// All that comes before the instants.
struct Head {
    crc: u32,
    frames: usize,
    instants: usize,
    entries: [Entry; WIDTH],
}

/// What the head says about a column; lengths in bytes.
#[derive(Clone, Copy, Default)]
struct Entry {
    kind: u8,
    samples: usize,
    presence: usize,
    values: usize,
}

impl Entry {
    const NONE: u8 = 0;
    const WHOLE: u8 = 1;
    const REAL: u8 = 2;
    /// Bytes in the blob.
    const LEN: usize = 13;
}

impl Head {
    /// Where the bytes begin that the CRC is of.
    const CHECKED: usize = 5;

    /// The head, and what follows it.
    fn read(mut data: &[u8]) -> Result<(Head, &[u8]), ChunkError> {
        let [version] = array(&mut data)?;
        if version != VERSION {
            return Err(ChunkError::Version { version });
        }
        let crc = u32::from_le_bytes(array(&mut data)?);
        let frames = count(&mut data)?;
        let instants = count(&mut data)?;
        let mut entries = [Entry::default(); WIDTH];
        for entry in &mut entries {
            let [kind] = array(&mut data)?;
            let (samples, presence) = (count(&mut data)?, count(&mut data)?);
            *entry = Entry { kind, samples, presence, values: count(&mut data)? };
        }
        let sensible = |entry: &Entry| entry.kind <= Entry::REAL && entry.samples <= frames;
        if MAX_FRAMES < frames || !entries.iter().all(sensible) {
            return Err(ChunkError::Damaged);
        }
        Ok((Head { crc, frames, instants, entries }, data))
    }
}

fn take<'a>(data: &mut &'a [u8], len: usize) -> Result<&'a [u8], ChunkError> {
    let (taken, rest) = data.split_at_checked(len).ok_or(ChunkError::Damaged)?;
    *data = rest;
    Ok(taken)
}

fn array<const N: usize>(data: &mut &[u8]) -> Result<[u8; N], ChunkError> {
    let (taken, rest) = data.split_first_chunk().ok_or(ChunkError::Damaged)?;
    *data = rest;
    Ok(*taken)
}

fn count(data: &mut &[u8]) -> Result<usize, ChunkError> {
    Ok(u32::from_le_bytes(array(data)?) as usize)
}

fn pack<T: Number>(numbers: &[T]) -> Result<Vec<u8>, ChunkError> {
    match numbers {
        [] => Ok(Vec::new()),
        numbers => Ok(simple_compress(numbers, &ChunkConfig::default())?),
    }
}

/// Exactly as many numbers as expected.
fn unpack<T: Number>(data: &[u8], expected: usize) -> Result<Vec<T>, ChunkError> {
    let numbers = unpack_at_most(data, expected)?;
    if numbers.len() == expected { Ok(numbers) } else { Err(ChunkError::Damaged) }
}

/// Memory is bounded by what the caller accepts, not by what the data claim.
fn unpack_at_most<T: Number>(data: &[u8], most: usize) -> Result<Vec<T>, ChunkError> {
    if data.is_empty() {
        return Ok(Vec::new());
    }
    let mut numbers = vec![T::default(); most];
    let progress = simple_decompress_into(data, &mut numbers)?;
    if !progress.finished {
        return Err(ChunkError::Damaged);
    }
    numbers.truncate(progress.n_processed);
    Ok(numbers)
}

/// Lengths of runs of `true` and `false` by turns, `true` first.
fn runs(present: &[bool]) -> Vec<u32> {
    let mut runs = Vec::new();
    if present.first() != Some(&true) {
        runs.push(0);
    }
    runs.extend(present.chunk_by(|one, next| one == next).map(|run| run.len() as u32));
    runs
}

fn presences(data: &[u8], frames: usize) -> Result<Vec<bool>, ChunkError> {
    let mut present = Vec::with_capacity(frames);
    let mut has_sample = true;
    for run in unpack_at_most::<u32>(data, frames + 1)? {
        let end = present.len() + run as usize;
        if frames < end {
            return Err(ChunkError::Damaged);
        }
        present.resize(end, has_sample);
        has_sample = !has_sample;
    }
    Ok(present)
}

#[cfg(test)]
mod tests;
