//! A line as autorate sees it, made up but like a real one, and the same in every run.
//!
//! Twenty times a second a round trip is measured on a cable line: noise that wanders, spikes, a queue that
//! grows while the shaper lets in more than the line carries. A controller follows: baseline and load are
//! EWMAs, rates go down with the state and up in steps, states have hysteresis. What is measured is rounded
//! to 0.01 ms, rates are whole bit/s. A tick comes some dozens of microseconds late, sometimes some hundreds.
//!
//! It knows neither sinks nor files.
#![allow(dead_code, reason = "each bench uses its part")]

use std::f64::consts::TAU;

/// Ticks a second.
pub(crate) const HZ: i64 = 20;
/// Ticks a day.
pub(crate) const DAY: usize = 86_400 * HZ as usize;
/// How many values a tick has.
pub(crate) const VALUES: usize = 6;

/// One cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tick {
    /// When, in microseconds of Unix time.
    pub(crate) micros: i64,
    /// Round trip, baseline and delta in ms, download and upload rate in Mbit/s, state of the download.
    pub(crate) values: [f64; VALUES],
}

/// The ticks, without an end.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    random: Random,
    next_micros: i64,
    /// Wandering noise, ms.
    noise: f64,
    /// What is left of the last spike, ms.
    spike: f64,
    /// What the line carries, as a share of what it carries at best.
    capacity: f64,
    load: Load,
    /// Queue of the download and of the upload, ms.
    queues: [f64; 2],
    baseline: f64,
    smoothed: f64,
    rates: [f64; 2],
    state: u8,
    /// Cycles without load in a row.
    green: u32,
}

/// What somebody is transferring.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// Of what the line carries, downloads and uploads want this much.
    shares: [f64; 2],
    ticks_left: u32,
}

/// Mbit/s: what shapers let in at most and at least, and the step up.
const CEILINGS: [f64; 2] = [940.0, 38.0];
const FLOORS: [f64; 2] = [200.0, 8.0];
const STEPS: [f64; 2] = [10.0, 1.0];
/// Mbit/s that the line carries at best.
const LINE: [f64; 2] = [880.0, 35.0];
/// Delta in ms from which the state is YELLOW, SOFT_RED, RED.
const LIMITS: [f64; 3] = [12.0, 45.0, 80.0];
/// How many cycles without load are GREEN again.
const GREEN_NEEDED: u32 = 5;

impl Signal {
    /// Begins at a Unix second.
    pub(crate) fn new(start: i64) -> Self {
        Signal {
            random: Random { state: 0x5eed_0f11, spare: None },
            next_micros: start * 1_000_000,
            noise: 0.0,
            spike: 0.0,
            capacity: 1.0,
            load: Load::default(),
            queues: [0.0; 2],
            baseline: 24.0,
            smoothed: 24.0,
            rates: CEILINGS,
            state: 0,
            green: 0,
        }
    }

    fn measure(&mut self) -> f64 {
        let random = &mut self.random;
        if self.load.ticks_left == 0 {
            self.load.shares = [0.0; 2];
            // One transfer in ten minutes, of a minute on average.
            if random.uniform() < 1.0 / 12_000.0 {
                let is_upload = random.uniform() < 0.25;
                let share = 0.6 + random.uniform();
                self.load.shares = if is_upload { [0.1, share] } else { [share, 0.1] };
                self.load.ticks_left = (20.0 + 1_200.0 * random.exponential()) as u32;
            }
        } else {
            self.load.ticks_left -= 1;
        }
        self.capacity = (self.capacity + 0.002 * random.normal() + 0.001 * (0.92 - self.capacity))
            .clamp(0.7, 1.0);
        for (direction, queue) in self.queues.iter_mut().enumerate() {
            let carried = LINE[direction] * self.capacity;
            let wanted = self.load.shares[direction] * LINE[direction];
            let offered = wanted.min(self.rates[direction]);
            // In 50 ms a queue grows by what is too much of them.
            *queue = (*queue + 50.0 * (offered / carried - 1.0)).clamp(0.0, 250.0);
        }
        self.noise = 0.9 * self.noise + 0.25 * random.normal();
        self.spike *= 0.3;
        if random.uniform() < 0.01 {
            self.spike += 6.0 * random.exponential();
        }
        let jitter = self.noise.abs() + 0.3 * random.normal().abs();
        hundredths(23.6 + jitter + self.spike + self.queues.iter().sum::<f64>())
    }

    fn decide(&mut self, delta: f64) {
        let worst = LIMITS.iter().filter(|limit| delta > **limit).count() as u8;
        if worst > 0 {
            (self.state, self.green) = (worst, 0);
        } else {
            self.green += 1;
            if self.green >= GREEN_NEEDED {
                self.state = 0;
            }
        }
        for (direction, rate) in self.rates.iter_mut().enumerate() {
            let (floor, ceiling) = (FLOORS[direction], CEILINGS[direction]);
            *rate = match self.state {
                0 if self.green.is_multiple_of(GREEN_NEEDED) => *rate + STEPS[direction],
                0 => *rate,
                1 => *rate * 0.99,
                2 => *rate * 0.96,
                _ => *rate * 0.85,
            };
            *rate = ((*rate).clamp(floor, ceiling) * 1e6).trunc() / 1e6;
        }
    }
}

impl Iterator for Signal {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        let rtt = self.measure();
        self.smoothed += 0.1 * (rtt - self.smoothed);
        if self.smoothed - self.baseline < 3.0 {
            self.baseline += 0.001 * (rtt - self.baseline);
        }
        let delta = self.smoothed - self.baseline;
        self.decide(delta);
        // Half of the ticks are at most 60 µs late, and hardly one a millisecond.
        let late = (60.0 * (0.6 * self.random.normal()).exp()).min(20_000.0) as i64;
        let micros = self.next_micros + late;
        self.next_micros += 1_000_000 / HZ;
        let [download, upload] = self.rates;
        let values = [
            rtt,
            hundredths(self.baseline),
            hundredths(delta),
            download,
            upload,
            f64::from(self.state),
        ];
        Some(Tick { micros, values })
    }
}

/// Rounded as measurements are: to 0.01, and never to a negative zero.
fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0 + 0.0
}

/// xorshift64*, and what can be made of it.
#[derive(Clone, Debug)]
struct Random {
    state: u64,
    /// Normal numbers come in pairs.
    spare: Option<f64>,
}

impl Random {
    /// From 0 to 1, both excluded.
    fn uniform(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        (bits as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Mean 0, deviation 1.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sin, cos) = (TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}
