//! Which kinds of sinks this program has.
//!
//! A kind registers itself when its crate is *linked*. A crate that stands in `Cargo.toml` but is named
//! nowhere in the code is not linked: write `use my_sink as _;` in the program. There is no loading of
//! plugins at run time.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Issue, Settings, SinkConfig, issue, metric};

/// The version of the contract between this crate and sinks. It changes when the traits do.
pub const ABI: u32 = 1;

/// A kind of sink, as registered by [`register_sink!`](crate::register_sink).
#[derive(Clone, Copy)]
pub struct SinkDescriptor {
    /// The name in the configuration (`type:`), lower case.
    pub kind: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    /// The crate that registered it.
    pub crate_name: &'static str,
    /// That crate's version.
    pub crate_version: &'static str,
    /// The [`ABI`] it was built against.
    pub abi: u32,
    /// An example of a configuration, complete and valid, as it would stand below `sinks:`.
    pub sample: &'static str,
    /// Reads `settings:`.
    pub parse: ParseSettings,
}

/// Turns `settings:` into a configured sink, or says everything that is wrong with them, with paths
/// relative to `settings`.
pub type ParseSettings = fn(&Settings) -> Result<Box<dyn SinkConfig>, Vec<Issue>>;

impl fmt::Debug for SinkDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.kind, self.crate_name, self.crate_version)
    }
}

inventory::collect!(SinkDescriptor);

/// The known kinds, sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, SinkDescriptor>,
}

impl Registry {
    /// Every kind that is linked into this program.
    ///
    /// # Errors
    ///
    /// Two crates that claim one kind, crates built against another [`ABI`], and two crates that declare one
    /// metric differently: all of them, with the names of the crates.
    pub fn linked() -> Result<Self, Vec<Issue>> {
        let mut registry = Registry::default();
        let mut issues: Vec<Issue> = metric::conflicts()
            .into_iter()
            .map(|(name, first, second)| {
                Issue::new(
                    "",
                    format!("metric `{name}` is declared differently by {first} and {second}"),
                )
            })
            .collect();
        for descriptor in inventory::iter::<SinkDescriptor> {
            if let Err(issue) = registry.add(*descriptor) {
                issues.push(issue);
            }
        }
        if issues.is_empty() { Ok(registry) } else { Err(issues) }
    }

    /// This registry and one kind more, for programs that refuse link-time registration.
    ///
    /// # Errors
    ///
    /// As [`linked`](Self::linked).
    pub fn with(mut self, descriptor: SinkDescriptor) -> Result<Self, Issue> {
        self.add(descriptor)?;
        Ok(self)
    }

    fn add(&mut self, new: SinkDescriptor) -> Result<(), Issue> {
        if new.abi != ABI {
            let message = format!("{new:?} was built for sink ABI {}; accepted: {ABI}", new.abi);
            return Err(Issue::new("", message));
        }
        if let Some(old) = self.kinds.insert(new.kind, new) {
            // The order of registration is unspecified, so name the crates in a fixed one.
            let mut crates = [old, new].map(|d| format!("{} {}", d.crate_name, d.crate_version));
            crates.sort();
            let message = format!(
                "sink kind `{}` is claimed by two crates: {}",
                new.kind,
                crates.join(" and ")
            );
            return Err(Issue::new("", message));
        }
        Ok(())
    }

    /// The kinds, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &SinkDescriptor> {
        self.kinds.values()
    }

    /// The kind of this name.
    ///
    /// # Errors
    ///
    /// An unknown name; the issue lists the known ones.
    pub fn get(&self, kind: &str) -> Result<&SinkDescriptor, Issue> {
        self.kinds.get(kind).ok_or_else(|| {
            let known: Vec<&str> = self.kinds.keys().copied().collect();
            let mut message = format!("unknown kind `{kind}`");
            if let Some(near) = issue::nearest(kind, &known) {
                message.push_str(&format!("; did you mean `{near}`?"));
            }
            Issue::new("", format!("{message} (linked kinds: {})", known.join(", ")))
        })
    }

    /// Whether this program has all these kinds, for a program to ask when it starts.
    ///
    /// ```
    /// let registry = wanctl_sink::Registry::linked().unwrap();
    /// // This program says `use my_kafka_sink as _;` nowhere, so it does not have the kind.
    /// let issues = registry.require(&["kafka"]).unwrap_err();
    /// assert!(issues[0].message.starts_with("unknown kind `kafka`"));
    /// assert!(issues[0].message.contains("use the_crate as _;"));
    /// ```
    ///
    /// # Errors
    ///
    /// Each kind that is missing, with what to do about a crate that was not linked.
    pub fn require(&self, kinds: &[&str]) -> Result<(), Vec<Issue>> {
        let missing = |kind: &&str| {
            let issue = self.get(kind).err()?;
            let message = format!("{}; {NOT_LINKED}", issue.message);
            Some(Issue { message, ..issue })
        };
        let issues: Vec<Issue> = kinds.iter().filter_map(missing).collect();
        if issues.is_empty() { Ok(()) } else { Err(issues) }
    }
}

/// Asserts that this program has these kinds of sinks: one line in the tests of a program.
///
/// A crate that stands in `Cargo.toml` but is named nowhere in the code is not linked, and nothing fails
/// until somebody configures its kind. This fails before, and says what to write.
///
/// ```
/// # wanctl_sink::register_sink! {
/// #     "influx" => Influx, summary: "For this test", sample: "",
/// # }
/// # #[derive(Clone, Debug, serde::Deserialize)]
/// # struct Influx {}
/// # impl wanctl_sink::SinkConfig for Influx {
/// #     fn open(
/// #         &self,
/// #         _: &wanctl_sink::OpenContext,
/// #     ) -> Result<Box<dyn wanctl_sink::SinkWriter>, wanctl_sink::SinkError> {
/// #         unimplemented!()
/// #     }
/// # }
/// # fn main() {
/// wanctl_sink::assert_linked!("influx");
/// # }
/// ```
///
/// It tells what is linked into the test itself. Put it where the `use my_sink as _;` lines are: for those in
/// `main.rs` into a test module of `main.rs`, because a file in `tests/` does not link the program.
///
/// # Panics
///
/// For each kind that is missing, and if the registry is not in order (see [`Registry::linked`]).
#[macro_export]
macro_rules! assert_linked {
    ($($kind:expr),+ $(,)?) => {
        if let ::std::result::Result::Err(issues) =
            $crate::Registry::linked().and_then(|registry| registry.require(&[$($kind),+]))
        {
            let issues: ::std::vec::Vec<::std::string::String> =
                issues.iter().map(::std::string::ToString::to_string).collect();
            ::std::panic!("{}", issues.join("\n"));
        }
    };
}

/// Why a kind may be missing although its crate was written down.
const NOT_LINKED: &str = "a crate that no code names is not linked: put it below [dependencies] of the \
                          program's Cargo.toml and write `use the_crate as _;` in the program";

/// Registers a kind of sink at link time.
///
/// The configuration type implements [`SinkConfig`] and serde's `Deserialize` (with
/// `#[serde(deny_unknown_fields)]`), and is what `settings:` is read into.
///
/// ```
/// use wanctl_sink::{OpenContext, SinkConfig, SinkError, SinkWriter};
///
/// #[derive(Clone, Debug, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct InfluxConfig {
///     url: String,
/// }
///
/// impl SinkConfig for InfluxConfig {
///     fn open(&self, _: &OpenContext) -> Result<Box<dyn SinkWriter>, SinkError> {
///         unimplemented!("connect to {}", self.url)
///     }
/// }
///
/// wanctl_sink::register_sink! {
///     "influx" => InfluxConfig,
///     summary: "Sends samples to an InfluxDB server",
///     sample: "influx: { type: influx, settings: { url: 'http://127.0.0.1:8086' } }",
/// }
///
/// # fn main() {
/// let registry = wanctl_sink::Registry::linked().unwrap();
/// assert!(registry.get("influx").is_ok());
/// # }
/// ```
///
/// Registering a kind twice in one crate does not compile; two crates that claim one kind do not link.
#[macro_export]
macro_rules! register_sink {
    ($kind:literal => $config:ty, summary: $summary:expr, sample: $sample:expr $(,)?) => {
        const _: () = {
            // One symbol per kind: a second claimant fails to build, instead of shadowing the first.
            #[used]
            #[unsafe(export_name = concat!("wanctl.sink.kind.", $kind))]
            static CLAIM: u8 = 0;

            $crate::private::inventory::submit! {
                $crate::SinkDescriptor {
                    kind: $kind,
                    summary: $summary,
                    crate_name: env!("CARGO_PKG_NAME"),
                    crate_version: env!("CARGO_PKG_VERSION"),
                    abi: $crate::ABI,
                    sample: $sample,
                    parse: |settings| {
                        let config: $config = settings.parse_all()?;
                        Ok(::std::boxed::Box::new(config))
                    },
                }
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTOR: SinkDescriptor = SinkDescriptor {
        kind: "file",
        summary: "For tests",
        crate_name: "test",
        crate_version: "1.0.0",
        abi: ABI,
        sample: "",
        parse: |_| Err(vec![Issue::new("", "never parsed")]),
    };

    fn registry() -> Registry {
        Registry::default().with(DESCRIPTOR).unwrap()
    }

    #[test]
    fn two_crates_that_claim_one_kind_are_both_named() {
        let other = SinkDescriptor { crate_name: "other", crate_version: "2.0.0", ..DESCRIPTOR };
        let issue = registry().with(other).unwrap_err();
        assert_eq!(
            issue.message,
            "sink kind `file` is claimed by two crates: other 2.0.0 and test 1.0.0"
        );
    }

    #[test]
    fn a_crate_built_for_another_abi_is_refused_by_name() {
        for abi in [ABI - 1, ABI + 1] {
            let skewed = SinkDescriptor { kind: "influx", abi, ..DESCRIPTOR };
            let issue = registry().with(skewed).unwrap_err();
            assert_eq!(
                issue.message,
                format!("influx (test 1.0.0) was built for sink ABI {abi}; accepted: {ABI}")
            );
        }
    }

    #[test]
    fn an_assertion_of_kinds_that_are_not_linked_says_what_to_write() {
        let panic = std::panic::catch_unwind(|| assert_linked!("influx", "kafka")).unwrap_err();
        let said = panic.downcast_ref::<String>().unwrap();
        for part in ["`influx`", "`kafka`", "[dependencies]", "`use the_crate as _;`"] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn kinds_that_are_linked_satisfy_a_requirement() {
        assert_eq!(registry().require(&["file"]), Ok(()));
        assert_eq!(registry().require(&[]), Ok(()));
    }

    #[test]
    fn every_missing_kind_is_named_with_the_forgotten_line() {
        let issues = registry().require(&["influx", "file", "fill"]).unwrap_err();
        let [influx, fill] = &issues[..] else { panic!("{issues:?}") };
        for (issue, part) in [(influx, "`influx`"), (fill, "did you mean `file`?")] {
            assert!(issue.message.contains(part), "{issue}");
            assert!(issue.message.contains("(linked kinds: file)"), "{issue}");
            assert!(issue.message.contains("`use the_crate as _;`"), "{issue}");
        }
    }
}
