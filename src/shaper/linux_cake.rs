//! CAKE on this host's interfaces, one for each direction, over netlink.
//!
//! A root CAKE that is there is adopted: only its rate is changed, so everything else somebody gave it stays. On an
//! interface without one, a CAKE with the kernel's defaults takes the root's place.

use super::netlink::{Netlink, Qdisc};
use super::{Applied, Rates, Shaper, ShaperError};
use crate::units::Rate;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_ECHO, NLM_F_REPLACE};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use std::io;

const BITS_PER_BYTE: u64 = 8;

/// Change what is there, and answer what is there then.
const CHANGE: u16 = NLM_F_ECHO;

/// Take the place of whatever is there.
const CREATE: u16 = NLM_F_ECHO | NLM_F_CREATE | NLM_F_REPLACE;

/// A pair of interfaces with CAKE. Dropping it leaves the rates as they are.
pub struct LinuxCake {
    netlink: Netlink,
    download: Interface,
    upload: Interface,
}

struct Interface {
    name: String,
    /// Known while CAKE is in place; an error forgets it.
    index: Option<i32>,
}

impl LinuxCake {
    /// Looks the interfaces up, and changes nothing.
    ///
    /// `download_interface` is where packets leave towards the subscriber, often an IFB;
    /// `upload_interface` is where they leave towards the internet.
    ///
    /// # Errors
    ///
    /// An interface that does not exist, or no netlink.
    pub fn new(download_interface: &str, upload_interface: &str) -> Result<Self, ShaperError> {
        let interface = |name: &str| Interface { name: name.to_owned(), index: None };
        let (download, upload) = (interface(download_interface), interface(upload_interface));
        download.look_up()?;
        upload.look_up()?;
        let netlink = Netlink::open().map_err(|source| upload.failed(source))?;
        Ok(LinuxCake { netlink, download, upload })
    }
}

impl Shaper for LinuxCake {
    fn apply(&mut self, rates: Rates) -> Result<Applied, ShaperError> {
        let download = self.download.apply(&mut self.netlink, rates.download);
        let upload = self.upload.apply(&mut self.netlink, rates.upload);
        Ok(Applied { rates: Rates { download: download?, upload: upload? } })
    }

    fn check(&mut self) -> Result<String, ShaperError> {
        let download = self.download.inspect(&mut self.netlink)?;
        let upload = self.upload.inspect(&mut self.netlink)?;
        Ok(format!("download: {download}; upload: {upload}"))
    }

    fn describe(&self) -> String {
        format!("CAKE on {} (download) and {} (upload)", self.download.name, self.upload.name)
    }
}

impl Interface {
    /// Sets the rate, and answers the one in effect.
    fn apply(&mut self, netlink: &mut Netlink, wanted: Rate) -> Result<Rate, ShaperError> {
        let bytes_per_second = wanted.whole_bps() / BITS_PER_BYTE;
        // CAKE takes 0 for no limit.
        if bytes_per_second == 0 {
            return Err(ShaperError::BadRate { interface: self.name.clone(), rate: wanted });
        }
        // Until the kernel has confirmed the rate, the interface counts as unknown: it may have gone and come
        // back with another index, or somebody may have taken its CAKE away.
        let (index, flags) = match self.index.take() {
            Some(index) => (index, CHANGE),
            None => self.prepare(netlink)?,
        };
        let qdisc = netlink.set_cake(index, bytes_per_second, flags);
        let qdisc = qdisc.map_err(|source| match Errno::from_raw(errno_of(&source)) {
            Errno::ENOENT if flags == CREATE => {
                ShaperError::NoCake { interface: self.name.clone() }
            }
            _ => self.failed(source),
        })?;
        let found = qdisc.and_then(|qdisc| qdisc.cake_rate).unwrap_or_default();
        if found != bytes_per_second {
            let (interface, found) = (self.name.clone(), rate_of(found));
            return Err(ShaperError::NotInEffect { interface, wanted, found });
        }
        self.index = Some(index);
        Ok(rate_of(found))
    }

    /// Decides between adopting and making a CAKE.
    fn prepare(&self, netlink: &mut Netlink) -> Result<(i32, u16), ShaperError> {
        let index = self.look_up()?;
        let root = netlink.root(index).map_err(|source| self.failed(source))?;
        let interface = &self.name;
        match root {
            Some(Qdisc { kind, .. }) if kind == "cake" => {
                tracing::info!(interface, "CAKE is there; only its rate will change.");
                Ok((index, CHANGE))
            }
            other => {
                let replaced = other.map(|root| root.kind);
                tracing::warn!(interface, replaced, "CAKE is not there; making one at the root.");
                Ok((index, CREATE))
            }
        }
    }

    /// What stands at the root, in words.
    fn inspect(&self, netlink: &mut Netlink) -> Result<String, ShaperError> {
        let root = netlink.root(self.look_up()?).map_err(|source| self.failed(source))?;
        let name = &self.name;
        Ok(match root {
            Some(Qdisc { cake_rate: Some(0), .. }) => format!("{name} has CAKE without a limit"),
            Some(Qdisc { cake_rate: Some(rate), .. }) => {
                format!("{name} has CAKE at {}", rate_of(rate))
            }
            Some(Qdisc { kind, .. }) => format!("{name} has {kind}, which CAKE will replace"),
            None => format!("{name} has no queueing discipline, and will have CAKE"),
        })
    }

    fn look_up(&self) -> Result<i32, ShaperError> {
        let index = if_nametoindex(self.name.as_str()).ok();
        let index = index.and_then(|index| i32::try_from(index).ok());
        index.ok_or_else(|| ShaperError::NoInterface { interface: self.name.clone() })
    }

    fn failed(&self, source: io::Error) -> ShaperError {
        let interface = self.name.clone();
        match Errno::from_raw(errno_of(&source)) {
            Errno::EPERM => ShaperError::Forbidden { interface },
            Errno::ENODEV => ShaperError::NoInterface { interface },
            _ => ShaperError::Kernel { interface, source },
        }
    }
}

fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or_default()
}

fn rate_of(bytes_per_second: u64) -> Rate {
    Rate::from_bps(bytes_per_second as f64 * BITS_PER_BYTE as f64)
}
