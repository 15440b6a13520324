//! Passwords and tokens: where they come from, and that nobody sees them.
//!
//! A configuration may name the place of a secret instead of holding it. The place is looked up when the
//! secret is used, so reading a configuration needs neither the environment nor the file. This is the
//! only module of the crate that touches either.

use std::path::PathBuf;
use std::{env, fmt, fs, io};

use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::{FaultClass, SinkError};

/// A password, a token, or the place where it is. `Debug` and `Display` print `(hidden)`.
///
/// | written | means |
/// |---|---|
/// | `env:NAME` | the environment variable, which must be set |
/// | `file:PATH` | the file's text without line ends after it |
/// | `${NAME}` | the environment variable, empty when it is not set |
/// | anything else | the secret itself |
///
/// It is a field of a sink's settings like any other, and can be read but not written by serde:
///
/// ```
/// use wanctl_sink::{Secret, Settings};
///
/// #[derive(Debug, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct InfluxConfig {
///     token: Secret,
/// }
///
/// let settings = Settings::from_yaml("token: hunter2").unwrap();
/// let config: InfluxConfig = settings.parse().unwrap();
/// assert_eq!(format!("{config:?}"), "InfluxConfig { token: (hidden) }");
/// assert_eq!(config.token.reveal().unwrap(), "hunter2");
/// ```
///
/// ```compile_fail
/// fn needs<T: serde::Serialize>() {}
/// needs::<wanctl_sink::Secret>();
/// ```
///
/// Two secrets are equal if they are written alike.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Here(String),
    Variable(String),
    VariableOrEmpty(String),
    File(PathBuf),
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable is not set, or is not text.
    #[error("environment variable {0} is not set here")]
    NotSet(String),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A person has to put the secret in its place, so the class is [`FaultClass::Config`].
impl From<SecretError> for SinkError {
    fn from(error: SecretError) -> Self {
        SinkError::new(FaultClass::Config, error.to_string()).caused_by(error)
    }
}

impl Secret {
    /// From the text of a configuration file.
    pub fn new(text: &str) -> Self {
        let place = if let Some(name) = text.strip_prefix("env:") {
            Place::Variable(name.to_owned())
        } else if let Some(path) = text.strip_prefix("file:") {
            Place::File(PathBuf::from(path))
        } else if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            Place::VariableOrEmpty(name.to_owned())
        } else {
            Place::Here(text.to_owned())
        };
        Secret(place)
    }

    /// The secret itself, for the request that needs it and nothing else.
    ///
    /// Looks at the environment or the file each time, so it is called where a destination is connected,
    /// not for each batch. Keep the answer no longer than the connection: a file that was changed is then
    /// read again when the destination is opened after it refused the old secret.
    ///
    /// # Errors
    ///
    /// `env:NAME` when the variable is not set; `file:PATH` when the file cannot be read. `?` makes a
    /// [`SinkError`] of the class [`Config`](FaultClass::Config) of both.
    pub fn reveal(&self) -> Result<String, SecretError> {
        match &self.0 {
            Place::Here(text) => Ok(text.clone()),
            Place::VariableOrEmpty(name) => Ok(env::var(name).unwrap_or_default()),
            Place::Variable(name) => env::var(name).map_err(|_| SecretError::NotSet(name.clone())),
            Place::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(source) => Err(SecretError::Unreadable { path: path.clone(), source }),
            },
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Serde's own message for a wrong type shows the value, which may be a secret without quotes.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Found {
            Text(String),
            Other(IgnoredAny),
        }
        match Found::deserialize(deserializer)? {
            Found::Text(text) => Ok(Secret::new(&text)),
            Found::Other(_) => Err(D::Error::custom(
                "found (hidden); accepted: text, with quotes if it looks like a number: env:NAME, \
                 file:PATH or the secret itself",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    const PLANTED: &str = "hunter2-planted";

    /// A field whose name does not sound like a secret, so only the type can hide it.
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        login: Secret,
    }

    fn parse(yaml: &str) -> Result<Config, String> {
        Settings::from_yaml(yaml).unwrap().parse().map_err(|issue| issue.to_string())
    }

    #[test]
    fn a_secret_in_settings_is_read_and_not_shown() {
        let config = parse(&format!("login: {PLANTED}")).unwrap();
        assert_eq!(config.login.reveal().unwrap(), PLANTED);
        assert_eq!(format!("{config:?}"), "Config { login: (hidden) }");
        assert_eq!(config.login.to_string(), "(hidden)");
        assert_eq!(config.login.clone(), Secret::new(PLANTED));
        assert_ne!(config.login, Secret::new("env:NAME"));
    }

    #[test]
    fn a_secret_of_a_wrong_type_is_refused_without_its_value() {
        for (value, shows) in [
            ("4711", "4711"),
            ("47.11", "47.11"),
            ("true", "true"),
            ("[hunter2-planted]", PLANTED),
            ("{ password: hunter2-planted }", PLANTED),
            ("!secret hunter2-planted", PLANTED),
        ] {
            for key in ["login", "token"] {
                let said = parse(&format!("{key}: {value}")).unwrap_err();
                assert!(said.contains(key), "{said}");
                assert!(!said.contains(shows), "{said}");
            }
        }
        let said = parse("login: 4711").unwrap_err();
        assert!(said.contains("with quotes if it looks like a number"), "{said}");
    }

    #[test]
    fn a_misspelt_key_that_sounds_secret_is_named_without_its_value() {
        let said = parse(&format!("login_token: {PLANTED}")).unwrap_err();
        assert!(said.contains("unknown field `login_token`, expected `login`"), "{said}");
        assert!(!said.contains(PLANTED), "{said}");
    }

    #[test]
    fn a_secret_in_a_file_is_read_again_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let secret = Secret::new(&format!("file:{}", path.display()));
        for text in ["old", "new"] {
            fs::write(&path, format!("{text}\r\n")).unwrap();
            assert_eq!(secret.reveal().unwrap(), text);
        }
    }

    #[test]
    fn a_secret_that_cannot_be_had_is_for_a_person_to_mend() {
        for (text, names) in [
            ("env:WANCTL_TEST_UNSET", "WANCTL_TEST_UNSET"),
            ("file:/nonexistent/token", "/nonexistent/token"),
        ] {
            let error = SinkError::from(Secret::new(text).reveal().unwrap_err());
            assert_eq!(error.class, FaultClass::Config);
            assert!(error.to_string().contains(names), "{error}");
        }
    }
}
