//! Colours: a traffic light's for congestion, a scale from pale to red for other states.

/// Red, green and blue.
pub(super) type Colour = [u8; 3];

pub(super) const PAPER: Colour = [255, 255, 255];
pub(super) const INK: Colour = [40, 44, 52];
pub(super) const FAINT: Colour = [226, 229, 233];
pub(super) const EVENT: Colour = [120, 60, 140];

/// The colour of the line at this position in its panel.
pub(super) fn line(position: usize) -> Colour {
    const LINES: [Colour; 6] = [
        [31, 119, 180],
        [230, 126, 34],
        [39, 146, 81],
        [142, 92, 178],
        [140, 86, 75],
        [23, 150, 170],
    ];
    LINES[position % LINES.len()]
}

/// The colour of a state.
pub(super) fn state(name: &str, code: f64) -> Colour {
    const CODES: [Colour; 6] = [
        [205, 216, 228],
        [107, 160, 210],
        [170, 150, 205],
        [245, 190, 110],
        [222, 98, 70],
        [150, 40, 60],
    ];
    match name {
        "GREEN" => [76, 175, 100],
        "YELLOW" => [240, 205, 60],
        "SOFT_RED" => [240, 145, 50],
        "RED" => [214, 50, 50],
        _ => CODES[(code.max(0.0) as usize).min(CODES.len() - 1)],
    }
}
