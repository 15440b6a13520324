//! A chart on a surface: where panels, strips, axes and legends stand.

use jiff::tz::TimeZone;

use super::axis::{self, Values};
use super::chart::{Chart, Group, Panel, Strip};
use super::cut;
use super::palette::{self, Colour};
use super::png::Png;
use super::svg::Svg;
use crate::cli::history::names;

/// Room for names and numbers on the left, if they are not longer than usual; all lengths are pixels of a
/// usual screen.
const LEFT: f64 = 124.0;
/// Room on the right, for half of the last time.
const RIGHT: f64 = 28.0;
/// Between a name and what it is the name of.
const GAP: f64 = 8.0;
/// The most characters of a name on the left.
const LONGEST: usize = 48;
/// A line of a legend.
const LINE: f64 = 14.0;
/// How many columns series have in a picture, each a pixel wide.
pub(super) const COLUMNS: usize = 1056;

const HEAD: f64 = 34.0;
const TITLE: f64 = 26.0;
const LEGEND: f64 = 20.0;
const HEADER: f64 = 26.0;
const PANEL: f64 = 170.0;
const STRIP: f64 = 16.0;
const BETWEEN: f64 = 6.0;
const AXIS: f64 = 24.0;
const FOOT: f64 = 16.0;
/// The width of a character.
pub(super) const CHARACTER: f64 = 6.0;
/// With more events than this, lines through the panels would hide what they explain.
const MOST_LINES: usize = 50;

/// Which end of a text is at its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// What can be drawn on.
pub(super) trait Surface {
    /// A filled rectangle: left, top, width, height.
    fn rectangle(&mut self, area: [f64; 4], colour: Colour);
    /// Pale vertical bars a pixel wide: left, top, bottom.
    fn bars(&mut self, bars: &[[f64; 3]], colour: Colour);
    /// A line through points.
    fn line(&mut self, points: &[[f64; 2]], colour: Colour);
    /// Text that stands on `at`.
    fn text(&mut self, at: [f64; 2], anchor: Anchor, text: &str, colour: Colour);
    /// A mark with its tip at `at`, and what it means.
    fn mark(&mut self, at: [f64; 2], meaning: &str, colour: Colour);
}

/// A chart as SVG.
pub(super) fn svg(chart: &Chart) -> String {
    let mut svg = Svg::new(width(chart), height(chart));
    draw(chart, &mut svg);
    svg.finish()
}

/// A chart as PNG.
///
/// # Errors
///
/// Those of the encoder.
pub(super) fn png(chart: &Chart) -> anyhow::Result<Vec<u8>> {
    let mut png = Png::new(width(chart), height(chart));
    draw(chart, &mut png);
    Ok(png.finish()?)
}

/// Where the columns begin: right of the longest name.
fn left(chart: &Chart) -> f64 {
    let strips = chart.groups.iter().flat_map(|group| &group.strips);
    let longest = strips.map(|strip| strip.name.chars().count()).max().unwrap_or_default();
    LEFT.max(longest.min(LONGEST) as f64 * CHARACTER + 2.0 * GAP)
}

fn width(chart: &Chart) -> f64 {
    left(chart) + COLUMNS as f64 + RIGHT
}

fn height(chart: &Chart) -> f64 {
    let group = |group: &Group| {
        let strips = group.strips.len() + usize::from(!group.events.is_empty());
        let legend = if group.strips.is_empty() { 0.0 } else { LEGEND };
        let panels = group.panels.iter().map(|panel| header(panel) + PANEL + BETWEEN);
        let panels = panels.sum::<f64>();
        TITLE + panels + strips as f64 * (STRIP + BETWEEN) + AXIS + legend
    };
    HEAD + chart.groups.iter().map(group).sum::<f64>() + FOOT
}

/// The height of what is above a panel: its legend.
fn header(panel: &Panel) -> f64 {
    let mut flow = Flow::default();
    let last = panel.lines.iter().map(|line| flow.next(&line.name).1).last();
    HEADER + last.unwrap_or_default() as f64 * LINE
}

/// Where the entries of a legend stand, of which as many share a line as fit.
#[derive(Default)]
struct Flow {
    line: usize,
    right: f64,
}

impl Flow {
    /// How far from the left, and in which line.
    fn next(&mut self, name: &str) -> (f64, usize) {
        let width = 15.0 + name.chars().count().min(LONGEST) as f64 * CHARACTER;
        if self.right > 0.0 && self.right + width > COLUMNS as f64 {
            *self = Flow { line: self.line + 1, right: 0.0 };
        }
        let left = self.right;
        self.right += width + 3.0 * CHARACTER;
        (left, self.line)
    }
}

fn draw(chart: &Chart, on: &mut dyn Surface) {
    let (first, last) = chart.span.ends();
    let left = left(chart);
    on.rectangle([0.0, 0.0, width(chart), height(chart)], palette::PAPER);
    on.text([left, 22.0], Anchor::Start, &format!("{first} to {last}"), palette::INK);
    let mut top = HEAD;
    for group in &chart.groups {
        top = Drawing { chart, group, left, on: &mut *on }.group(top);
    }
}

/// One group in the making.
struct Drawing<'a> {
    chart: &'a Chart,
    group: &'a Group,
    left: f64,
    on: &'a mut dyn Surface,
}

impl Drawing<'_> {
    /// Draws the group below `top`, and returns where it ends.
    fn group(&mut self, mut top: f64) -> f64 {
        self.on.text([self.left, top + 16.0], Anchor::Start, &self.group.title, palette::INK);
        top += TITLE;
        for panel in &self.group.panels {
            self.panel(panel, top);
            top += header(panel) + PANEL + BETWEEN;
        }
        for strip in &self.group.strips {
            self.strip(strip, top);
            top += STRIP + BETWEEN;
        }
        if !self.group.events.is_empty() {
            self.name("events", top);
            for (at, meaning) in &self.group.events {
                self.on.mark([self.x(*at), top + 2.0], meaning, palette::EVENT);
            }
            top += STRIP + BETWEEN;
        }
        for (at, text) in self.times() {
            self.on.rectangle([self.x(at), top - BETWEEN, 1.0, 5.0], palette::INK);
            self.on.text([self.x(at), top + 12.0], Anchor::Middle, &text, palette::INK);
        }
        self.on.rectangle([self.left, top - BETWEEN, COLUMNS as f64, 1.0], palette::INK);
        top += AXIS;
        if self.group.strips.is_empty() { top } else { self.states(top) }
    }

    fn times(&self) -> Vec<(i64, String)> {
        axis::times(self.chart.span, 12, &TimeZone::system())
    }

    fn x(&self, at: i64) -> f64 {
        self.left + self.chart.span.share(at).clamp(0.0, 1.0) * COLUMNS as f64
    }

    fn name(&mut self, name: &str, top: f64) {
        self.on.text([self.left - GAP, top + 12.0], Anchor::End, name, palette::INK);
    }

    fn panel(&mut self, panel: &Panel, top: f64) {
        let (min, max) = panel.range();
        let axis = Values::new(min, max, 5);
        let (top, legend) = (top + header(panel), top + 14.0);
        let y = |value: f64| top + (1.0 - axis.share(value)) * PANEL;
        for &mark in &axis.marks {
            self.on.rectangle([self.left, y(mark), COLUMNS as f64, 1.0], palette::FAINT);
            let text = names::number(mark);
            self.on.text([self.left - GAP, y(mark) + 4.0], Anchor::End, &text, palette::INK);
        }
        for (at, _) in self.times() {
            self.on.rectangle([self.x(at), top, 1.0, PANEL], palette::FAINT);
        }
        if self.group.events.len() <= MOST_LINES {
            for (at, _) in &self.group.events {
                let pale = palette::EVENT.map(|part| part / 3 + 165);
                self.on.rectangle([self.x(*at), top, 1.0, PANEL], pale);
            }
        }
        self.on.text([self.left - GAP, legend], Anchor::End, panel.unit, palette::INK);
        let mut flow = Flow::default();
        for (position, line) in panel.lines.iter().enumerate() {
            let colour = palette::line(position);
            for run in line.columns.runs() {
                let left = |column: usize| self.left + column as f64;
                let bars = run.iter().filter(|(_, cell)| cell.max > cell.min);
                let bars = bars.map(|&(at, cell)| [left(at), y(cell.max), y(cell.min)]);
                self.on.bars(&bars.collect::<Vec<_>>(), colour);
                let mut points: Vec<[f64; 2]> =
                    run.iter().map(|(at, cell)| [left(*at) + 0.5, y(cell.mean())]).collect();
                if let [[x, y]] = points[..] {
                    // A line of one point would not be seen.
                    points = vec![[x - 0.5, y], [x + 0.5, y]];
                }
                self.on.line(&points, colour);
            }
            let (right, below) = flow.next(&line.name);
            self.key([self.left + right, legend + below as f64 * LINE], &line.name, colour);
        }
    }

    fn strip(&mut self, strip: &Strip, top: f64) {
        self.name(&cut(&strip.name, LONGEST), top);
        for (columns, code) in strip.columns.worst() {
            let colour = palette::state(strip.state(code), code);
            let (left, width) = (self.left + columns.start as f64, columns.len() as f64);
            self.on.rectangle([left, top, width, STRIP], colour);
        }
    }

    /// Says which colour is which state, and returns where that ends.
    fn states(&mut self, top: f64) -> f64 {
        let mut said: Vec<&str> = Vec::new();
        let mut flow = Flow::default();
        for (code, name) in self.group.strips.iter().flat_map(|strip| &strip.states) {
            if !said.contains(&name.as_str()) {
                let (right, below) = flow.next(name);
                let at = [self.left + right, top + 10.0 + below as f64 * LINE];
                self.key(at, name, palette::state(name, *code));
                said.push(name);
            }
        }
        top + LEGEND
    }

    /// A sample of a colour and what it means.
    fn key(&mut self, [left, base]: [f64; 2], name: &str, colour: Colour) {
        self.on.rectangle([left, base - 8.0, 10.0, 8.0], colour);
        self.on.text([left + 15.0, base], Anchor::Start, &cut(name, LONGEST), palette::INK);
    }
}
