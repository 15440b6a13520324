//! Chunks come back as they were, or not at all.

use proptest::prelude::*;

use super::*;

const ALL: [usize; WIDTH] = [0, 1, 2, 3, 4, 5, 6, 7];

fn values(samples: usize) -> BoxedStrategy<Values> {
    let real = any::<f64>().prop_filter("a number", |value| !value.is_nan());
    prop_oneof![
        prop::collection::vec(any::<i64>(), samples).prop_map(Values::Whole),
        prop::collection::vec(-20..20_i64, samples).prop_map(Values::Whole),
        prop::collection::vec(real, samples).prop_map(Values::Real),
    ]
    .boxed()
}

/// Boxed, because the state of eight columns is too much for the stack of a test's thread.
fn column(frames: usize) -> BoxedStrategy<Option<Column>> {
    let sparse = prop::collection::vec(any::<bool>(), frames).prop_flat_map(|present| {
        let samples = present.iter().filter(|present| **present).count();
        values(samples).prop_map(move |values| Column { present: Some(present.clone()), values })
    });
    let dense = values(frames).prop_map(|values| Column { present: None, values });
    prop::option::of(prop_oneof![sparse, dense].boxed()).boxed()
}

fn chunk() -> BoxedStrategy<Chunk> {
    let sized = |frames: usize| {
        let micros = prop_oneof![
            prop::collection::vec(any::<i64>(), frames),
            (1..100_000_i64).prop_map(move |step| (0..frames as i64).map(|at| at * step).collect()),
        ];
        (micros, prop::array::uniform8(column(frames)))
            .prop_map(|(micros, columns)| Chunk { micros, columns })
    };
    (0..300_usize).prop_flat_map(sized).boxed()
}

proptest! {
    #[test]
    fn comes_back_as_it_was(chunk in chunk()) {
        let data = chunk.encode().unwrap();
        prop_assert_eq!(&Chunk::decode(&data, &ALL).unwrap(), &chunk);
        let samples = |column: &Option<Column>| column.as_ref().map_or(0, |it| it.values.len());
        let info = ChunkInfo { frames: chunk.frames(), samples: chunk.columns.each_ref().map(samples) };
        prop_assert_eq!(ChunkInfo::of(&data).unwrap(), info);
    }

    #[test]
    fn a_column_that_is_not_wanted_is_left_out(chunk in chunk(), wanted in any::<[bool; WIDTH]>()) {
        let positions: Vec<usize> = ALL.into_iter().filter(|position| wanted[*position]).collect();
        let decoded = Chunk::decode(&chunk.encode().unwrap(), &positions).unwrap();
        let mut expected = chunk;
        for (column, wanted) in expected.columns.iter_mut().zip(wanted) {
            column.take_if(|_| !wanted);
        }
        prop_assert_eq!(decoded, expected);
    }

    #[test]
    fn bytes_that_were_never_a_chunk_are_refused(
        mut data in prop::collection::vec(any::<u8>(), 0..400),
        frames in 0..40_u32,
    ) {
        prop_assert!(Chunk::decode(&data, &ALL).is_err());
        // As hostile as can be: a good CRC, and a number of frames that is accepted.
        if let Some(head) = data.first_chunk_mut() {
            *head = [VERSION];
        }
        if let Some(counted) = data.get_mut(5..9) {
            counted.copy_from_slice(&frames.to_le_bytes());
        }
        sign(&mut data);
        let _ = Chunk::decode(&data, &ALL);
    }

    #[test]
    fn damage_with_a_good_checksum_is_survived(
        chunk in chunk(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut data = chunk.encode().unwrap();
        let at = at.index(data.len());
        data[at] = byte;
        sign(&mut data);
        if let Ok(decoded) = Chunk::decode(&data, &ALL) {
            prop_assert!(decoded.frames() <= MAX_FRAMES);
            prop_assert!(decoded.columns.iter().flatten().all(|column| column.fits(decoded.frames())));
        }
    }
}

/// Puts the right CRC into a blob.
fn sign(data: &mut [u8]) {
    let crc = crc32fast::hash(data.get(Head::CHECKED..).unwrap_or_default());
    if let Some(stored) = data.get_mut(1..Head::CHECKED) {
        stored.copy_from_slice(&crc.to_le_bytes());
    }
}

fn small() -> Chunk {
    let mut columns = <[Option<Column>; WIDTH]>::default();
    columns[0] = Some(Column { present: None, values: Values::Whole(vec![2400, 2401, 2399]) });
    columns[7] = Some(Column {
        present: Some(vec![false, true, true]),
        values: Values::Real(vec![0.5, -3.25]),
    });
    Chunk { micros: vec![1_000_000, 1_050_012, 1_100_007], columns }
}

#[test]
fn every_byte_that_changes_is_noticed() {
    let data = small().encode().unwrap();
    for at in 0..data.len() {
        for change in 1..=u8::MAX {
            let mut damaged = data.clone();
            damaged[at] ^= change;
            assert!(Chunk::decode(&damaged, &ALL).is_err(), "byte {at} changed by {change:#x}");
        }
    }
}

#[test]
fn a_blob_cut_short_anywhere_is_noticed() {
    let data = small().encode().unwrap();
    for len in 0..data.len() {
        assert!(Chunk::decode(&data[..len], &[]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_later_version_is_named() {
    let mut data = small().encode().unwrap();
    data[0] = 2;
    let error = Chunk::decode(&data, &ALL).unwrap_err();
    assert_eq!(error.to_string(), "the chunk has version 2, which is not known");
}

#[test]
fn a_claim_of_many_frames_allocates_nothing() {
    let mut data = small().encode().unwrap();
    data[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
    sign(&mut data);
    assert!(matches!(Chunk::decode(&data, &ALL), Err(ChunkError::Damaged)));
    assert!(matches!(ChunkInfo::of(&data), Err(ChunkError::Damaged)));
}

#[test]
fn frames_and_columns_that_do_not_fit_are_refused() {
    let mut uneven = small();
    uneven.micros.push(1_150_000);
    assert!(matches!(uneven.encode(), Err(ChunkError::Uneven { position: 0, frames: 4 })));
    let long = Chunk { micros: vec![0; MAX_FRAMES + 1], ..Chunk::default() };
    assert!(matches!(long.encode(), Err(ChunkError::TooLong { .. })));
}

/// Normally distributed numbers that are the same in every run.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Twenty cycles a second of one WAN: times in 0.01 ms, rates in bit/s, states. Load comes and goes.
fn signal(frames: usize) -> Chunk {
    let mut noise = Noise(88_172_645_463_325_252);
    let (mut micros, mut all) = (Vec::new(), [const { Vec::new() }; 6]);
    let (mut baseline, mut rate, mut load) = (2400.0_f64, 900.0_f64, 0.0_f64);
    for at in 0..frames {
        // A cycle begins on time, or a little late.
        let late = (4.1 + 0.5 * noise.normal()).exp();
        micros.push(1_790_000_000_000_000 + at as i64 * 50_000 + late as i64);
        if noise.uniform() < 0.002 {
            load = if load == 0.0 { 1.0 } else { 0.0 };
        }
        // Reflectors answer in steps of 0.1 ms; one in fifty answers late.
        let spike = if noise.uniform() < 0.02 { 800.0 * noise.uniform() } else { 0.0 };
        let rtt = 2400.0 + 600.0 * load + 60.0 * noise.normal() + spike;
        let rtt = (rtt / 10.0).round() * 10.0;
        baseline += (rtt - baseline) * 0.002;
        let state = i64::from(load == 1.0) + i64::from(400.0 < rtt - baseline);
        rate = if state == 0 { (rate + 1.0).min(940.0) } else { (rate * 0.98).max(550.0) };
        let bits = (rate * 1e6).round() as i64;
        let row = [rtt as i64, baseline.round() as i64, (rtt - baseline).round() as i64, bits];
        for (column, value) in all.iter_mut().zip(row.into_iter().chain([state, 0])) {
            column.push(value);
        }
    }
    let mut columns = <[Option<Column>; WIDTH]>::default();
    for (column, values) in columns.iter_mut().zip(all) {
        *column = Some(Column { present: None, values: Values::Whole(values) });
    }
    Chunk { micros, columns }
}

#[test]
fn a_signal_takes_about_half_a_byte_a_sample() {
    let chunk = signal(8192);
    let data = chunk.encode().unwrap();
    let each = data.len() as f64 / (6.0 * 8192.0);
    assert!(each < 0.6, "{each} bytes a sample");
    assert_eq!(Chunk::decode(&data, &ALL).unwrap(), chunk);
}

#[test]
fn a_column_that_never_changes_takes_a_few_bytes() {
    let one = |columns| Chunk { micros: (0..8192).collect(), columns }.encode().unwrap().len();
    let constant = Column { present: None, values: Values::Whole(vec![3; 8192]) };
    let mut columns = <[Option<Column>; WIDTH]>::default();
    let without = one(columns.clone());
    columns[4] = Some(constant);
    assert!(one(columns) - without < 40);
}

#[test]
fn an_outage_of_one_series_takes_a_few_bytes() {
    let mut present = vec![true; 8192];
    present[1000..3000].fill(false);
    let column = |present| {
        let values = Values::Whole(vec![3; 6192]);
        let mut columns = <[Option<Column>; WIDTH]>::default();
        columns[2] = Some(Column { present: Some(present), values });
        Chunk { micros: (0..8192).collect(), columns }
    };
    let chunk = column(present);
    let data = chunk.encode().unwrap();
    assert!(data.len() < 300, "{} bytes", data.len());
    assert_eq!(Chunk::decode(&data, &[2]).unwrap(), chunk);
}
