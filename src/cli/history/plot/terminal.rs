//! A chart in characters: dots of braille for levels, letters for states.

use std::env;
use std::io::{self, IsTerminal, Write};

use jiff::tz::TimeZone;

use super::axis::{self, Values};
use super::chart::{Chart, Group, Panel, Strip};
use super::cut;
use super::palette::{self, Colour};

/// Room for names and numbers on the left.
const GUTTER: usize = 18;
/// The narrowest terminal that is drawn for.
const NARROWEST: usize = 40;
/// Lines of text in a panel.
const ROWS: usize = 10;
/// Columns and rows of dots in a character.
const DOTS: [usize; 2] = [2, 4];
/// The bits of a braille character, by row and column of the dot.
const BRAILLE: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// How many columns of dots there are across.
pub(super) fn columns() -> usize {
    let asked = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = asked.or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0.into()));
    (width.unwrap_or(80).max(NARROWEST) - GUTTER) * DOTS[0]
}

/// Whether colours are welcome on standard output.
pub(super) fn has_colour() -> bool {
    let refuses = |key: &str, values: &[&str]| {
        env::var(key).is_ok_and(|value| values.is_empty() || values.contains(&value.as_str()))
    };
    io::stdout().is_terminal() && !refuses("NO_COLOR", &[]) && !refuses("TERM", &["dumb"])
}

/// Draws a chart.
pub(super) fn draw(chart: &Chart, has_colour: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let pen = Pen { has_colour };
    let (first, last) = chart.span.ends();
    writeln!(out, "{first} to {last}")?;
    for group in &chart.groups {
        writeln!(out, "\n{}", group.title)?;
        for panel in &group.panels {
            draw_panel(panel, chart, &pen, out)?;
        }
        if group.strips.is_empty() && group.panels.is_empty() {
            writeln!(out, "{:>GUTTER$}", "")?;
        }
        for strip in &group.strips {
            draw_strip(strip, chart, &pen, out)?;
        }
        draw_events(group, chart, &pen, out)?;
        draw_times(chart, out)?;
        draw_states(group, chart.columns / DOTS[0], &pen, out)?;
    }
    Ok(())
}

/// Writes with colour, if colours are welcome.
struct Pen {
    has_colour: bool,
}

impl Pen {
    fn ink(&self, text: &str, [r, g, b]: Colour) -> String {
        if self.has_colour {
            format!("\x1b[38;2;{r};{g};{b}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Dark on a ground of this colour.
    fn ground(&self, text: &str, [r, g, b]: Colour) -> String {
        if self.has_colour {
            format!("\x1b[30;48;2;{r};{g};{b}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Dots, of which eight are one character; a character has one colour.
struct Canvas {
    width: usize,
    cells: Vec<(u8, Colour)>,
}

impl Canvas {
    fn dot(&mut self, column: usize, row: usize, colour: Colour) {
        let at = row / DOTS[1] * self.width + column / DOTS[0];
        if let Some(cell) = self.cells.get_mut(at) {
            *cell = (cell.0 | BRAILLE[row % DOTS[1]][column % DOTS[0]], colour);
        }
    }

    fn row(&self, row: usize, pen: &Pen) -> String {
        let cells = self.cells.iter().skip(row * self.width).take(self.width);
        let text = cells.map(|&(dots, colour)| match char::from_u32(0x2800 + u32::from(dots)) {
            Some(braille) if dots != 0 => pen.ink(&braille.to_string(), colour),
            _ => " ".to_owned(),
        });
        text.collect()
    }
}

fn draw_panel(panel: &Panel, chart: &Chart, pen: &Pen, out: &mut dyn Write) -> io::Result<()> {
    let (min, max) = panel.range();
    let axis = Values::new(min, max, 4);
    let bottom = ROWS * DOTS[1] - 1;
    // Row 0 is at the top.
    let row =
        |value: f64| bottom - ((axis.share(value) * bottom as f64).round() as usize).min(bottom);
    let width = chart.columns / DOTS[0];
    let mut canvas = Canvas { width, cells: vec![(0, palette::INK); width * ROWS] };
    for (position, line) in panel.lines.iter().enumerate() {
        let colour = palette::line(position);
        for run in line.columns.runs() {
            let mut before: Option<(usize, f64)> = None;
            for (column, cell) in run {
                let (from, mean) = before.unwrap_or((column, cell.mean()));
                let mut rows = |column: usize, low: f64, high: f64| {
                    (row(high)..=row(low)).for_each(|row| canvas.dot(column, row, colour));
                };
                // From value to value without holes, however steep the way is.
                let mut last = mean;
                for between in from + 1..=column {
                    let share = (between - from) as f64 / (column - from) as f64;
                    let next = mean + share * (cell.mean() - mean);
                    rows(between, next.min(last), next.max(last));
                    last = next;
                }
                rows(column, cell.min, cell.max);
                before = Some((column, cell.mean()));
            }
        }
    }
    let names = panel.lines.iter().enumerate();
    let names = names.map(|(at, line)| {
        let name = format!("— {}", cut(&line.name, width - 2));
        (name.chars().count(), pen.ink(&name, palette::line(at)))
    });
    for (at, names) in lines(names, width).into_iter().enumerate() {
        let unit = if at == 0 { panel.unit } else { "" };
        writeln!(out, "{unit:>gutter$}  {names}", gutter = GUTTER - 2)?;
    }
    for text_row in 0..ROWS {
        let mark = axis.marks.iter().find(|&&mark| row(mark) / DOTS[1] == text_row);
        let (label, edge) = match mark {
            Some(&mark) => (super::super::names::number(mark), '┤'),
            None => (String::new(), '│'),
        };
        let dots = canvas.row(text_row, pen);
        let line = format!("{label:>gutter$} {edge}{dots}", gutter = GUTTER - 2);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn draw_strip(strip: &Strip, chart: &Chart, pen: &Pen, out: &mut dyn Write) -> io::Result<()> {
    let mut states: Vec<Option<f64>> = vec![None; chart.columns / DOTS[0]];
    for (columns, code) in strip.columns.worst() {
        let first = columns.start / DOTS[0];
        for state in states.iter_mut().take(columns.end.div_ceil(DOTS[0])).skip(first) {
            *state = Some(state.map_or(code, |other| other.max(code)));
        }
    }
    let letters = states.into_iter().map(|state| match state {
        None => " ".to_owned(),
        Some(code) => {
            let name = strip.state(code);
            pen.ground(&letter(name).to_string(), palette::state(name, code))
        }
    });
    let name = cut(&strip.name, GUTTER - 2);
    let letters: String = letters.collect();
    let line = format!("{name:>gutter$}  {letters}", gutter = GUTTER - 2);
    writeln!(out, "{}", line.trim_end())
}

fn letter(state: &str) -> char {
    state.chars().next().unwrap_or('?')
}

fn draw_events(group: &Group, chart: &Chart, pen: &Pen, out: &mut dyn Write) -> io::Result<()> {
    if group.events.is_empty() {
        return Ok(());
    }
    let width = chart.columns / DOTS[0];
    let mut marks = vec![' '; width];
    for (at, _) in &group.events {
        let column = (chart.span.share(*at) * width as f64) as usize;
        if let Some(mark) = marks.get_mut(column) {
            *mark = '▲';
        }
    }
    let marks: String = marks.into_iter().collect();
    let marks = pen.ink(marks.trim_end(), palette::EVENT);
    writeln!(out, "{:>gutter$}  {marks}", "events", gutter = GUTTER - 2)
}

fn draw_times(chart: &Chart, out: &mut dyn Write) -> io::Result<()> {
    let width = chart.columns / DOTS[0];
    let mut line = vec!['─'; width];
    let mut texts = vec![' '; width];
    for (at, text) in axis::times(chart.span, width / 10, &TimeZone::system()) {
        let column = ((chart.span.share(at) * width as f64) as usize).min(width - 1);
        line[column] = '┬';
        let first = column.saturating_sub(text.len() / 2).min(width.saturating_sub(text.len()));
        for (place, c) in texts.iter_mut().skip(first).zip(text.chars()) {
            *place = c;
        }
    }
    let (line, texts): (String, String) = (line.into_iter().collect(), texts.into_iter().collect());
    writeln!(out, "{:>gutter$} └{line}", "", gutter = GUTTER - 2)?;
    writeln!(out, "{:>GUTTER$}{}", "", texts.trim_end())
}

/// What the letters of the strips mean.
fn draw_states(group: &Group, width: usize, pen: &Pen, out: &mut dyn Write) -> io::Result<()> {
    let mut known: Vec<(f64, &str)> = Vec::new();
    for (code, name) in group.strips.iter().flat_map(|strip| &strip.states) {
        if !known.iter().any(|(_, other)| other == name) {
            known.push((*code, name));
        }
    }
    let known = known.into_iter().map(|(code, name)| {
        let letter = pen.ground(&letter(name).to_string(), palette::state(name, code));
        (name.chars().count() + 2, format!("{letter} {name}"))
    });
    let mut known = lines(known, width).into_iter().filter(|line| !line.is_empty());
    known.try_for_each(|line| writeln!(out, "{:>GUTTER$}{line}", ""))
}

/// Puts as many parts into a line as fit; each comes with its length in characters, which its colours don't
/// count for.
fn lines(parts: impl Iterator<Item = (usize, String)>, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for (length, text) in parts {
        if used > 0 && used + 2 + length > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push_str("  ");
            used += 2;
        }
        line.push_str(&text);
        used += length;
    }
    lines.push(line);
    lines
}
