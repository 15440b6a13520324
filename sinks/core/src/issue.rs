//! What is wrong with a configuration, said so that it can be mended.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing wrong with a configuration file.
///
/// It names the file, the key path, the value found and what is accepted:
/// `wan.yaml: sinks.trace.settings.path: found 7; accepted: a file path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The file, where one was read.
    pub file: Option<PathBuf>,
    /// The key path, dots between (`sinks.trace.settings.path`); empty for the file as a whole.
    pub path: String,
    /// What is wrong, without a full stop.
    pub message: String,
    /// A rule of ours that the original did not have; see the configuration reference.
    pub stricter: bool,
}

impl Issue {
    /// Something wrong at a key path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Issue { file: None, path: path.into(), message: message.into(), stricter: false }
    }

    /// A value that is not accepted.
    pub fn value(
        path: impl Into<String>,
        found: impl fmt::Display,
        accepted: impl fmt::Display,
    ) -> Self {
        Issue::new(path, format!("found {found}; accepted: {accepted}"))
    }

    /// A key that nobody knows, with the nearest known one.
    pub fn unknown_key(path: impl Into<String>, key: &str, known: &[&str]) -> Self {
        let mut message = String::from("unknown key");
        if let Some(near) = nearest(key, known) {
            message.push_str(&format!("; did you mean `{near}`?"));
        }
        let mut known = known.to_vec();
        known.sort_unstable();
        message.push_str(&format!(" (accepted: {})", known.join(", ")));
        Issue::new(path, message)
    }

    /// The same issue, in this file.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// The same issue below a key: `path` becomes `prefix.path`.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.path = match (prefix.is_empty(), self.path.is_empty()) {
            (true, _) => self.path,
            (false, true) => prefix.to_owned(),
            (false, false) => format!("{prefix}.{}", self.path),
        };
        self
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// The known word that is most like `word`, if one is close.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issue_names_file_path_value_and_what_is_accepted() {
        let issue = Issue::value("rotate.keep", "many", "a whole number")
            .below("sinks.trace.settings")
            .in_file(Path::new("wan.yaml"));
        assert_eq!(
            issue.to_string(),
            "wan.yaml: sinks.trace.settings.rotate.keep: found many; accepted: a whole number"
        );
    }

    #[test]
    fn an_unknown_key_suggests_the_nearest_one() {
        let issue = Issue::unknown_key("pth", "pth", &["path", "format"]);
        assert_eq!(
            issue.to_string(),
            "pth: unknown key; did you mean `path`? (accepted: format, path)"
        );
    }
}
