//! Sends probes and collects answers on one thread: what the prober and the start-up choice share.
//!
//! It knows sockets and poll, but no schedule: callers say what to send and how long to wait.
#![expect(clippy::disallowed_methods, reason = "probes are timed where they are sent")]

use super::connect::{Attempt, Progress};
use super::counters::Counters;
use super::outstanding::{Outstanding, Verdict};
use super::packet::Family;
use super::sample::{Sample, Target};
use super::socket::{EchoSocket, Received};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A first packet of a handshake is sent again after a second; a later answer would time the repetition.
const MAX_CONNECT_TIME: Duration = Duration::from_secs(1);

/// Packets read from a socket before the schedule is looked at again, so that a flood can't hold it up.
const MAX_READS: usize = 64;

/// Probes in flight and the sockets they need.
pub(super) struct Engine {
    sockets: Vec<EchoSocket>,
    outstanding: Outstanding,
    /// At most one for each target.
    attempts: Vec<Attempt>,
    samples: Vec<Sample>,
    timeout: Duration,
    counters: Arc<Counters>,
}

impl Engine {
    /// An engine without ICMP sockets; answers count up to `timeout` after their probe.
    pub(super) fn new(timeout: Duration, counters: Arc<Counters>) -> Self {
        Engine {
            sockets: Vec::new(),
            // Every `RandomState` has keys of its own, seeded by the operating system.
            outstanding: Outstanding::new(RandomState::new().hash_one(0), timeout),
            attempts: Vec::new(),
            samples: Vec::new(),
            timeout,
            counters,
        }
    }

    /// Opens the ICMP socket that `to` needs, unless it is open.
    pub(super) fn open_for(&mut self, to: IpAddr) -> Result<(), Errno> {
        let family = family_of(to);
        if self.socket(family).is_none() {
            self.sockets.push(EchoSocket::open(family)?);
        }
        Ok(())
    }

    /// Sends an echo request. Without a socket of its family it does nothing.
    pub(super) fn echo(&mut self, target: Target, to: IpAddr) {
        let Some(index) = self.socket(family_of(to)) else { return };
        let Some(socket) = self.sockets.get(index) else { return };
        let echo = self.outstanding.depart(target, to, Instant::now());
        match socket.send(&echo, to) {
            Ok(()) => Counters::count(&self.counters.sent),
            Err(_) => Counters::count(&self.counters.failed),
        }
    }

    /// Starts a TCP connect, unless one to the same target is still on its way.
    pub(super) fn connect(&mut self, target: Target, to: SocketAddr) {
        if self.attempts.iter().all(|attempt| attempt.target() != target) {
            Counters::count(&self.counters.sent);
            let progress = Attempt::start(target, to);
            self.note(progress);
        }
    }

    /// Waits for answers until `until`, or until the other end of `stop` is closed. True when that happened.
    ///
    /// It returns as soon as anything is there.
    pub(super) fn wait(&mut self, until: Instant, stop: Option<BorrowedFd<'_>>) -> bool {
        self.give_up_connects(Instant::now());
        if !self.samples.is_empty() {
            return false;
        }
        let (stopped, ready) = self.poll(until, stop);
        for index in 0..self.sockets.len() {
            self.read(index);
        }
        for (attempt, ready) in std::mem::take(&mut self.attempts).into_iter().zip(ready) {
            self.note(if ready { attempt.resume() } else { Progress::Waiting(attempt) });
        }
        stopped
    }

    /// What was answered since the last call.
    pub(super) fn samples(&mut self) -> impl Iterator<Item = Sample> + '_ {
        self.samples.drain(..)
    }

    fn socket(&self, family: Family) -> Option<usize> {
        self.sockets.iter().position(|socket| socket.family() == family)
    }

    /// Whether `stop` was closed, and for each connect whether it came to an end.
    fn poll(&self, until: Instant, stop: Option<BorrowedFd<'_>>) -> (bool, Vec<bool>) {
        let connects = self.attempts.iter().map(|a| PollFd::new(a.as_fd(), PollFlags::POLLOUT));
        let sockets = self.sockets.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN));
        let stop = stop.map(|stop| PollFd::new(stop, PollFlags::POLLIN));
        let mut fds: Vec<PollFd<'_>> = connects.chain(sockets).chain(stop).collect();
        // Poll counts whole milliseconds; rounding up is what keeps it from spinning through the last one.
        let left = until.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
        // A signal interrupts; then nothing is ready, and the caller looks at its schedule and comes again.
        let _ = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        let stopped = fds.get(self.attempts.len() + self.sockets.len()).is_some_and(ready);
        (stopped, fds.iter().take(self.attempts.len()).map(ready).collect())
    }

    fn read(&mut self, index: usize) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        let keeps_identifier = socket.keeps_identifier();
        for _ in 0..MAX_READS {
            let received = match socket.receive() {
                Ok(Some(received)) => received,
                Ok(None) => continue,
                Err(_) => break,
            };
            let Received { echo, from, read_at, .. } = received;
            let sent = self.outstanding.sent_at(echo.sequence);
            let arrived = sent.map_or(read_at, |sent| received.arrived(sent));
            let counters = &self.counters;
            match self.outstanding.arrive(echo, from, arrived, keeps_identifier) {
                Verdict::Answer(sample) => {
                    Counters::count(&counters.answered);
                    self.samples.push(sample);
                }
                Verdict::Late => Counters::count(&counters.late),
                Verdict::Duplicate => Counters::count(&counters.duplicate),
                Verdict::Foreign => Counters::count(&counters.foreign),
            }
        }
    }

    fn note(&mut self, progress: Progress) {
        match progress {
            Progress::Waiting(attempt) => self.attempts.push(attempt),
            Progress::Answered(sample) => {
                if self.longest_connect() < sample.arrived.saturating_duration_since(sample.sent) {
                    return Counters::count(&self.counters.late);
                }
                Counters::count(&self.counters.answered);
                self.samples.push(sample);
            }
            Progress::Failed => Counters::count(&self.counters.failed),
        }
    }

    fn give_up_connects(&mut self, now: Instant) {
        let longest = self.longest_connect();
        self.attempts.retain(|attempt| now.saturating_duration_since(attempt.sent()) < longest);
    }

    fn longest_connect(&self) -> Duration {
        self.timeout.min(MAX_CONNECT_TIME)
    }
}

fn family_of(ip: IpAddr) -> Family {
    if ip.is_ipv4() { Family::V4 } else { Family::V6 }
}
