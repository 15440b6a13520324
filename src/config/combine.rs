//! Several files as one process: what a file leaves open is decided by the others.

use std::path::Path;

use wanctl_sink::{Issue, Registry};

use super::sinks;
use super::steering::{CakeUse, SteeringFile};
use super::{
    AutorateConfig, BaselineSource, Config, FileConfig, Note, ShaperConfig, SteeringConfig,
};
use crate::steering::Contributor;

/// Puts files together.
///
/// # Errors
///
/// Two autorate controllers for one WAN, two steering controllers that watch one WAN, `cake_aware` without
/// a CAKE to read, and everything that is wrong with the sinks.
pub fn combine(files: Vec<FileConfig>, registry: &Registry) -> Result<Config, Vec<Issue>> {
    let mut config = Config { autorate: vec![], steering: vec![], sinks: vec![], notes: vec![] };
    let mut sources = Vec::new();
    let mut issues = Vec::new();
    let mut steering_files = Vec::new();
    for file in files {
        sources.push(file.sinks);
        config.notes.extend(file.notes);
        if let Some(autorate) = file.autorate {
            let wan = &autorate.wan_name;
            if let Some(first) = config.autorate.iter().find(|other| other.wan_name == *wan) {
                issues.push(twice("wan_name", wan, "autorate", &first.file, &autorate.file));
            }
            config.autorate.push(autorate);
        }
        steering_files.extend(file.steering);
    }
    for SteeringFile { config: mut steering, baseline_is_default, cake } in steering_files {
        let wan = &steering.policy.primary_wan;
        if let Some(first) = config.steering.iter().find(|other| other.policy.primary_wan == *wan) {
            issues.push(twice(
                "topology.primary_wan",
                wan,
                "steering",
                &first.file,
                &steering.file,
            ));
        }
        if baseline_is_default && config.autorate.iter().any(|autorate| autorate.wan_name == *wan) {
            steering.baseline = BaselineSource::InProcess(wan.clone());
        }
        let has_cake = config.autorate.iter().any(|one| drives_cake(one, wan));
        match cake {
            CakeUse::Needed if !has_cake => issues.push(no_cake(&steering.file)),
            CakeUse::IfThere => steering.policy.cake_aware = has_cake,
            CakeUse::Settled | CakeUse::Needed => {}
        }
        config.notes.extend(out_of_reach(&steering));
        config.steering.push(steering);
    }
    match sinks::resolve(&sources, registry, &mut config.notes) {
        Ok(sinks) => config.sinks = sinks,
        Err(found) => issues.extend(found),
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

fn twice(path: &str, wan: &str, controller: &str, first: &Path, second: &Path) -> Issue {
    let accepted = format!(
        "a WAN without {controller} controller ({} has one for it already)",
        first.display()
    );
    Issue { stricter: true, ..Issue::value(path, format!("{wan:?}"), accepted) }.in_file(second)
}
