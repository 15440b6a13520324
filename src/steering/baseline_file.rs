//! The baseline in an autorate state file of the original's shape. Parses text; reads no file.

use serde_json::Value;

/// The `ewma.baseline_rtt` of a state file, in ms; `None` when the text has none.
///
/// It may be written as a number, as text that is a number, or as `true`, which is 1. Whether the value
/// can be believed is for the controller to say, which knows the bounds; so is a value that is not finite.
pub fn baseline_from_state(text: &str) -> Option<f64> {
    let state: Value = serde_json::from_str(text).ok()?;
    match state.get("ewma")?.get("baseline_rtt")? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(value: &str) -> Option<f64> {
        baseline_from_state(&format!(r#"{{"ewma": {{"baseline_rtt": {value}}}}}"#))
    }

    #[test]
    fn number_may_be_written_as_text() {
        assert_eq!(baseline("24.5"), Some(24.5));
        assert_eq!(baseline("24"), Some(24.0));
        assert_eq!(baseline(r#"" 2.4e1 ""#), Some(24.0));
        assert_eq!(baseline("true"), Some(1.0));
    }

    #[test]
    fn anything_else_is_no_baseline() {
        for value in ["null", r#""abc""#, r#""""#, "[24]", "{}"] {
            assert_eq!(baseline(value), None, "{value}");
        }
        for text in ["", "{", "[]", "24", r#"{"download": {}}"#, r#"{"ewma": 24}"#] {
            assert_eq!(baseline_from_state(text), None, "{text}");
        }
    }
}
