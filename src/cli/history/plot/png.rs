//! A surface of dots, and those as PNG: red, green and blue, a byte each.

use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use super::font;
use super::palette::{Colour, PAPER};
use super::picture::{Anchor, CHARACTER, Surface};

/// Dots along a pixel, for sharp lines on dense screens and on paper.
const SCALE: f64 = 2.0;
/// Half the width of a line, in dots.
const HALF_LINE: f64 = 1.4;

/// The picture so far.
pub(super) struct Png {
    width: usize,
    height: usize,
    dots: Vec<Colour>,
}

impl Png {
    /// An empty picture of this size in pixels.
    pub(super) fn new(width: f64, height: f64) -> Self {
        let (width, height) = ((width * SCALE) as usize, (height * SCALE) as usize);
        Png { width, height, dots: vec![PAPER; width * height] }
    }

    /// The file's bytes.
    ///
    /// # Errors
    ///
    /// None that a picture of ours can cause.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        for row in self.dots.chunks(self.width) {
            // Each row begins with how it is predicted: not at all.
            packed.write_all(&[0])?;
            packed.write_all(row.as_flattened())?;
        }
        let side = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let mut header = Vec::new();
        header.extend(side(self.width)?.to_be_bytes());
        header.extend(side(self.height)?.to_be_bytes());
        // Eight bits a colour, three colours, the only packing there is, no filter, not interlaced.
        header.extend([8, 2, 0, 0, 0]);
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let parts: [(&[u8; 4], &[u8]); 3] =
            [(b"IHDR", &header), (b"IDAT", &packed.finish()?), (b"IEND", &[])];
        for (kind, data) in parts {
            file.extend(side(data.len())?.to_be_bytes());
            file.extend(kind);
            file.extend(data);
            let mut sum = Crc::new();
            sum.update(kind);
            sum.update(data);
            file.extend(sum.sum().to_be_bytes());
        }
        Ok(file)
    }

    /// Covers this share of a dot, 0 to 1, with a colour.
    fn blend(&mut self, x: i64, y: i64, colour: Colour, share: f64) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x >= self.width {
            return;
        }
        if let Some(dot) = self.dots.get_mut(y * self.width + x) {
            for (part, new) in dot.iter_mut().zip(colour) {
                *part = (f64::from(*part) * (1.0 - share) + f64::from(new) * share).round() as u8;
            }
        }
    }

    /// Covers a rectangle, in dots: left, top, right, bottom.
    fn fill(&mut self, [left, top, right, bottom]: [f64; 4], colour: Colour, share: f64) {
        for y in top.round() as i64..bottom.round() as i64 {
            for x in left.round() as i64..right.round() as i64 {
                self.blend(x, y, colour, share);
            }
        }
    }

    /// A straight line between two dots, with smooth edges.
    fn segment(&mut self, [ax, ay]: [f64; 2], [bx, by]: [f64; 2], colour: Colour) {
        let reach = HALF_LINE + 1.0;
        let (dx, dy) = (bx - ax, by - ay);
        let length = (dx * dx + dy * dy).max(f64::MIN_POSITIVE);
        for y in (ay.min(by) - reach) as i64..=(ay.max(by) + reach) as i64 {
            for x in (ax.min(bx) - reach) as i64..=(ax.max(bx) + reach) as i64 {
                let (px, py) = (x as f64 + 0.5 - ax, y as f64 + 0.5 - ay);
                let along = ((px * dx + py * dy) / length).clamp(0.0, 1.0);
                let distance = (px - along * dx).hypot(py - along * dy);
                let share = (HALF_LINE + 0.5 - distance).clamp(0.0, 1.0);
                if share > 0.0 {
                    self.blend(x, y, colour, share);
                }
            }
        }
    }
}

impl Surface for Png {
    fn rectangle(&mut self, [x, y, width, height]: [f64; 4], colour: Colour) {
        let area = [x, y, x + width, y + height].map(|length| length * SCALE);
        self.fill(area, colour, 1.0);
    }

    fn bars(&mut self, bars: &[[f64; 3]], colour: Colour) {
        for [x, top, bottom] in bars {
            let area = [*x, *top, x + 1.0, *bottom].map(|length| length * SCALE);
            self.fill(area, colour, 0.45);
        }
    }

    fn line(&mut self, points: &[[f64; 2]], colour: Colour) {
        for pair in points.windows(2) {
            if let [from, to] = pair {
                self.segment(from.map(|at| at * SCALE), to.map(|at| at * SCALE), colour);
            }
        }
    }

    fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, text: &str, colour: Colour) {
        let width = text.chars().count() as f64 * CHARACTER;
        let left = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        // A dot of the font is a square of this many dots.
        let size = CHARACTER * SCALE / font::ADVANCE as f64;
        let top = (y * SCALE).round() - font::ASCENT as f64 * size;
        for (position, c) in text.chars().enumerate() {
            let left = ((left + position as f64 * CHARACTER) * SCALE).round();
            for (column, bits) in font::glyph(c).into_iter().enumerate() {
                for row in (0..8).filter(|row| bits >> row & 1 == 1) {
                    let (x, y) = (left + column as f64 * size, top + f64::from(row) * size);
                    self.fill([x, y, x + size, y + size], colour, 1.0);
                }
            }
        }
    }

    fn mark(&mut self, [x, y]: [f64; 2], _meaning: &str, colour: Colour) {
        for row in 0..18 {
            let half = f64::from(row) * 4.0 / 9.0;
            let (x, y) = (x * SCALE, y * SCALE + f64::from(row));
            self.fill([x - half, y, x + half + 1.0, y + 1.0], colour, 1.0);
        }
    }
}
