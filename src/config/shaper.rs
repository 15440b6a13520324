//! `shaper` and `queues`: what applies autorate's rates.

use super::Shape;
use super::accept::{IDENTIFIER, INTERFACE, OneOf};
use super::router::{RouterOs, router_os};
use super::section::Section;

/// What applies the rates.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ShaperConfig {
    /// Decide and record, change nothing.
    DryRun,
    /// CAKE on this machine.
    LinuxCake {
        /// Where the download direction's qdisc is, often an IFB device.
        download_interface: String,
        /// Where the upload direction's qdisc is, the interface towards the internet.
        upload_interface: String,
    },
    /// Queues of a RouterOS router, as files of the original's shape have them. This version reads them but
    /// cannot drive them.
    RouterOsQueues {
        /// The download queue type's name.
        download: String,
        /// The upload queue type's name.
        upload: String,
        /// The router.
        router: RouterOs,
    },
}

#[derive(Clone, Copy)]
enum ShaperType {
    DryRun,
    LinuxCake,
}

const SHAPER_TYPES: &[(&str, ShaperType)] =
    &[("dry_run", ShaperType::DryRun), ("linux_cake", ShaperType::LinuxCake)];

/// Reads `shaper`, or `queues` in its place; `None` after reporting what is missing.
pub(super) fn read(root: &Section<'_>, shape: Shape) -> Option<ShaperConfig> {
    let section = root.section("shaper");
    let queues = root.section("queues");
    if shape.is_original() || (!section.is_present() && queues.is_present()) {
        let download = queues.need("download", &IDENTIFIER);
        let upload = queues.need("upload", &IDENTIFIER);
        let router = router_os(root, shape, 15.0);
        return Some(ShaperConfig::RouterOsQueues {
            download: download?,
            upload: upload?,
            router: router?,
        });
    }
    queues.no_effect("download", &IDENTIFIER);
    queues.no_effect("upload", &IDENTIFIER);
    let interfaces = ["download_interface", "upload_interface"];
    match section.need("type", &OneOf(SHAPER_TYPES))? {
        ShaperType::DryRun => {
            for key in interfaces {
                section.no_effect(key, &INTERFACE);
            }
            Some(ShaperConfig::DryRun)
        }
        ShaperType::LinuxCake => {
            let [download, upload] = interfaces.map(|key| section.need(key, &INTERFACE));
            let (download_interface, upload_interface) = (download?, upload?);
            if download_interface == upload_interface {
                let message = format!(
                    "found {upload_interface:?}; accepted: another interface than download_interface"
                );
                section.refuse("upload_interface", message, true);
            }
            Some(ShaperConfig::LinuxCake { download_interface, upload_interface })
        }
    }
}
