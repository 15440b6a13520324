//! A surface that is an SVG document. Text is set in whatever monospaced font the viewer has.

use std::fmt::Write;

use super::palette::Colour;
use super::picture::{Anchor, Surface};

/// The document so far.
pub(super) struct Svg {
    text: String,
}

impl Svg {
    /// An empty picture of this size.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Svg {
            text: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
                 viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, DejaVu Sans Mono, \
                 monospace\" font-size=\"10\">\n"
            ),
        }
    }

    /// The document.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // A `String` takes everything.
        let _ = self.text.write_fmt(element);
        self.text.push('\n');
    }
}

impl Surface for Svg {
    fn rectangle(&mut self, [x, y, width, height]: [f64; 4], colour: Colour) {
        let fill = hex(colour);
        let (x, y) = (short(x), short(y));
        self.add(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>"
        ));
    }

    fn bars(&mut self, bars: &[[f64; 3]], colour: Colour) {
        if bars.is_empty() {
            return;
        }
        let path: String = bars
            .iter()
            .map(|[x, top, bottom]| {
                format!("M{} {}V{}", short(x + 0.5), short(*top), short(*bottom))
            })
            .collect();
        let stroke = hex(colour);
        self.add(format_args!("<path d=\"{path}\" stroke=\"{stroke}\" stroke-opacity=\"0.45\"/>"));
    }

    fn line(&mut self, points: &[[f64; 2]], colour: Colour) {
        let points: Vec<String> =
            points.iter().map(|[x, y]| format!("{},{}", short(*x), short(*y))).collect();
        let (points, stroke) = (points.join(" "), hex(colour));
        self.add(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"1.4\" \
             stroke-linejoin=\"round\"/>"
        ));
    }

    fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, text: &str, colour: Colour) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, fill, text) = (short(x), short(y), hex(colour), escaped(text));
        self.add(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{text}</text>"
        ));
    }

    fn mark(&mut self, [x, y]: [f64; 2], meaning: &str, colour: Colour) {
        let (left, right, bottom) = (short(x - 4.0), short(x + 4.0), short(y + 9.0));
        let (x, y, fill, meaning) = (short(x), short(y), hex(colour), escaped(meaning));
        self.add(format_args!(
            "<path d=\"M{x} {y}L{right} {bottom}H{left}Z\" fill=\"{fill}\"><title>{meaning}</title></path>"
        ));
    }
}

fn hex([r, g, b]: Colour) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A length to a tenth of a pixel.
fn short(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no way to write other control characters.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
