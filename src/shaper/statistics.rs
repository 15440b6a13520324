//! CAKE's own counters, read over netlink, which needs no privilege.

use std::io;

use nix::net::if_::if_nametoindex;

use super::netlink::Netlink;

/// Reads the root queueing discipline of one interface.
pub struct QueueStatistics {
    netlink: Netlink,
    interface: String,
}

/// What a discipline counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueCounters {
    /// Packets dropped since the discipline was made.
    pub dropped: u32,
    /// Packets queued now.
    pub queued: u32,
}

impl QueueStatistics {
    /// Prepares to read an interface, which need not exist yet.
    ///
    /// # Errors
    ///
    /// No netlink.
    pub fn open(interface: &str) -> io::Result<Self> {
        Ok(QueueStatistics { netlink: Netlink::open()?, interface: interface.to_owned() })
    }

    /// The counters now.
    ///
    /// # Errors
    ///
    /// No such interface, or no discipline of somebody's making at its root.
    pub fn read(&mut self) -> io::Result<QueueCounters> {
        let index = if_nametoindex(self.interface.as_str())?;
        let index = i32::try_from(index).map_err(io::Error::other)?;
        let root = self.netlink.root(index)?;
        let (queued, dropped) =
            root.and_then(|qdisc| qdisc.queue).ok_or(io::ErrorKind::NotFound)?;
        Ok(QueueCounters { dropped, queued })
    }
}
