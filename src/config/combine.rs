//! Several files as one process: what a file leaves open is decided by the others.

use std::path::Path;

use serde_yaml::Mapping;
use wanctl_sink::{Issue, Registry, Resource, SinkSpec};

use super::accept::{Filled, IDENTIFIER};
use super::section::Reader;
use super::steering::{CakeUse, SteeringFile};
use super::{
    AutorateConfig, BaselineSource, Config, FileConfig, Listen, Note, ShaperConfig, SinkSource,
    SteeringConfig, Written,
};
use super::{destinations, sinks};
use crate::steering::Contributor;

/// What other files must not have as well, known even of a file with mistakes.
pub(super) struct Outline {
    /// The WAN of the autorate controller.
    autorate: Option<String>,
    /// The WAN that the steering controller watches.
    steering: Option<String>,
    pub(super) sinks: SinkSource,
}

impl Outline {
    pub(super) fn of_config(config: &FileConfig) -> Self {
        Outline {
            autorate: config.autorate.as_ref().map(|autorate| autorate.wan_name.clone()),
            steering: config.steering().map(|steering| steering.policy.primary_wan.clone()),
            sinks: config.sinks.clone(),
        }
    }

    /// Of a file with mistakes, which are reported elsewhere.
    pub(super) fn of_document(map: &Mapping, file: &Path) -> Self {
        let reader = Reader::default();
        let root = reader.root(map);
        let wan = root.get("wan_name", &IDENTIFIER);
        Outline {
            autorate: wan.filter(|_| root.has("continuous_monitoring")),
            steering: root.section("topology").get("primary_wan", &Filled("the name of a WAN")),
            sinks: destinations::read(&root, file),
        }
    }
}

/// Two controllers of one kind for one WAN.
pub(super) fn clashes(files: &[Outline]) -> Vec<Issue> {
    let mut issues = Vec::new();
    for (index, second) in files.iter().enumerate() {
        let mut refuse = |path: &str, message: String| {
            let issue = Issue { stricter: true, ..Issue::new(path, message) };
            issues.push(issue.in_file(&second.sinks.file));
        };
        let before = || files.iter().take(index);
        if let Some(wan) = &second.autorate
            && let Some(first) = before().find(|first| first.autorate.as_ref() == Some(wan))
        {
            let first = first.sinks.file.display();
            let message =
                format!("{wan:?} is also the WAN of {first}; give one of them another name");
            refuse("wan_name", message);
        }
        if let Some(wan) = &second.steering
            && let Some(first) = before().find(|first| first.steering.as_ref() == Some(wan))
        {
            let first = first.sinks.file.display();
            let message =
                format!("{wan:?} is also the primary WAN of {first}; only one file can steer it");
            refuse("topology.primary_wan", message);
        }
    }
    issues
}

/// Puts files together.
///
/// # Errors
///
/// Two autorate controllers for one WAN, two steering controllers that watch one WAN, `cake_aware` without
/// a CAKE to read, everything that is wrong with the sinks, and a `health_check` at the address of one.
pub fn combine(files: Vec<FileConfig>, registry: &Registry) -> Result<Config, Vec<Issue>> {
    let mut config = Config {
        autorate: vec![],
        steering: vec![],
        sinks: vec![],
        health_check: vec![],
        notes: vec![],
        written: Written::default(),
    };
    let mut sources = Vec::new();
    let outlines: Vec<Outline> = files.iter().map(Outline::of_config).collect();
    let mut issues = clashes(&outlines);
    let mut steering_files = Vec::new();
    let mut listeners = Vec::new();
    for file in files {
        let name = file.sinks.file.clone();
        listeners.extend(file.health_check.map(|listen| (name, listen)));
        sources.push(file.sinks);
        config.notes.extend(file.notes);
        config.written.extend(file.written);
        config.autorate.extend(file.autorate);
        steering_files.extend(file.steering);
    }
    for SteeringFile { config: mut steering, baseline_is_default, cake } in steering_files {
        let wan = &steering.policy.primary_wan;
        if baseline_is_default && config.autorate.iter().any(|autorate| autorate.wan_name == *wan) {
            steering.baseline = BaselineSource::InProcess(wan.clone());
        }
        let has_cake = config.autorate.iter().any(|one| drives_cake(one, wan));
        match cake {
            CakeUse::Needed if !has_cake => issues.push(no_cake(&steering.file)),
            CakeUse::IfThere => steering.policy.cake_aware = has_cake,
            CakeUse::Settled | CakeUse::Needed => {}
        }
        if steering.baseline == BaselineSource::Own && !config.autorate.is_empty() {
            let message =
                "no autorate controller here has this WAN, so steering learns its own baseline";
            let (file, path) = (steering.file.clone(), "topology.primary_wan".to_owned());
            config.notes.push(Note { file, path, message: message.to_owned() });
        }
        config.notes.extend(out_of_reach(&steering));
        config.steering.push(steering);
    }
    match sinks::resolve(&sources, registry, &mut config.notes) {
        Ok(sinks) => config.sinks = sinks,
        Err(found) => issues.extend(found),
    }
    for (file, listen) in listeners {
        issues.extend(taken(&listen, &config.sinks).map(|issue| issue.in_file(&file)));
        if !config.health_check.contains(&listen) {
            config.health_check.push(listen);
        }
    }
    if issues.is_empty() { Ok(config) } else { Err(issues) }
}

fn drives_cake(autorate: &AutorateConfig, wan: &str) -> bool {
    autorate.wan_name == wan && matches!(autorate.shaper, ShaperConfig::LinuxCake { .. })
}

fn no_cake(file: &Path) -> Issue {
    let accepted = "false, or true with router.type routeros_rest or shaper.type linux_cake of topology.primary_wan, which have a CAKE to read";
    Issue { stricter: true, ..Issue::value("mode.cake_aware", "true", accepted) }.in_file(file)
}

/// A sink that listens where `health_check` wants to.
fn taken(listen: &Listen, sinks: &[SinkSpec]) -> Option<Issue> {
    let wanted = Resource::TcpListener(listen.to_string());
    let sink = sinks.iter().find(|sink| sink.config.claims().contains(&wanted))?;
    let message = format!("{wanted} is already taken (sinks.{})", sink.name);
    Some(Issue { stricter: true, ..Issue::new("health_check.port", message) })
}

/// Scoring that can't ever steer, because most points are CAKE's to give.
fn out_of_reach(steering: &SteeringConfig) -> Option<Note> {
    let policy = &steering.policy;
    let threshold = policy.confidence.as_ref()?.steer_threshold;
    let most = Contributor::RttSevere(f64::MAX).points();
    if policy.cake_aware || threshold <= f64::from(most) {
        return None;
    }
    let message = format!(
        "can never steer: without cake_aware a score has at most {most} points, and confidence.steer_threshold is {threshold}"
    );
    let path = "mode.use_confidence_scoring".to_owned();
    Some(Note { file: steering.file.clone(), path, message })
}
