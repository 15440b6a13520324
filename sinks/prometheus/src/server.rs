//! The listening socket, and one thread that serves all connections.
//!
//! Sockets don't block, so a client that sends nothing keeps nobody waiting, and no thread but this one
//! has to end. It doesn't know what it serves.
#![expect(clippy::disallowed_methods, reason = "time-outs of connections are real time")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::http::LONGEST_HEAD;

/// How many clients are served at once. Further ones wait in the system's queue.
pub(crate) const CONNECTIONS: usize = 16;
/// How long a client may take to send its request, to read the answer, and to hang up.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much is read at once of what nobody asked for.
const RUBBISH: u64 = 64 * 1024;

/// Answers connections until it is dropped.
pub(crate) struct Server {
    /// Its end tells the thread to end.
    lifeline: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves what `answer` makes of the bytes received so far; `None` means that it needs more.
    ///
    /// # Errors
    ///
    /// The system has no resources for a thread or its sockets.
    pub(crate) fn start(
        listener: TcpListener,
        answer: impl Fn(&[u8], Instant) -> Option<Vec<u8>> + Send + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (lifeline, other_end) = UnixStream::pair()?;
        let thread = thread::Builder::new()
            .name("prometheus".to_owned())
            .spawn(move || serve(&listener, &other_end, answer))?;
        Ok(Server { lifeline, thread: Some(thread) })
    }

    /// Whether connections are answered.
    pub(crate) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It fails only if the other end is gone, and the thread with it.
        let _ = self.lifeline.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: &TcpListener,
    lifeline: &UnixStream,
    answer: impl Fn(&[u8], Instant) -> Option<Vec<u8>>,
) {
    let mut connections: Vec<Connection> = Vec::new();
    // Without descriptors the listener stays readable, and waiting for it would be no wait.
    let mut deaf_until = Instant::now();
    loop {
        let now = Instant::now();
        connections.retain(|connection| now < connection.until);
        let deaf = now < deaf_until;
        let listening = !deaf && connections.len() < CONNECTIONS;
        let mut sockets = vec![PollFd::new(lifeline.as_fd(), PollFlags::POLLIN)];
        if listening {
            sockets.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
        }
        sockets.extend(connections.iter().map(|connection| {
            PollFd::new(connection.stream.as_fd(), connection.stage.waits_for())
        }));
        let times = connections.iter().map(|connection| connection.until);
        let wait = times.chain(deaf.then_some(deaf_until)).min();
        match poll(&mut sockets, timeout(wait, now)) {
            Ok(_) => {}
            Err(Errno::EINTR | Errno::EAGAIN) => continue,
            // The writer notices, and is opened again.
            Err(_) => return,
        }
        if sockets.first().and_then(PollFd::any).unwrap_or(true) {
            return;
        }
        let now = Instant::now();
        if listening {
            match accept(listener, now) {
                Ok(connection) => connections.extend(connection),
                Err(_) => deaf_until = now + PATIENCE,
            }
        }
        connections.retain_mut(|connection| match connection.advance(&answer, now) {
            Ok(()) => false,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        });
    }
}

/// Until `wait`, rounded up so that it is over when the call returns; without one, for ever.
fn timeout(wait: Option<Instant>, now: Instant) -> PollTimeout {
    let Some(wait) = wait else { return PollTimeout::NONE };
    let left = wait.saturating_duration_since(now).as_millis() + 1;
    PollTimeout::from(u16::try_from(left).unwrap_or(u16::MAX))
}

/// A connection that waits to be taken, if there is one. That it is gone already is no error.
fn accept(listener: &TcpListener, now: Instant) -> io::Result<Option<Connection>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(true)?;
            let stage = Stage::Reading(Vec::new());
            Ok(Some(Connection { stream, stage, until: now + PATIENCE }))
        }
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted => Ok(None),
            _ => Err(error),
        },
    }
}

/// One client.
struct Connection {
    stream: TcpStream,
    stage: Stage,
    /// When its patience with the stage ends.
    until: Instant,
}

enum Stage {
    /// The request so far.
    Reading(Vec<u8>),
    /// The answer, and how much of it was sent.
    Writing(Vec<u8>, usize),
    /// Until the client hangs up: to close before it has sent everything would reset the connection, and
    /// the answer might be lost.
    Draining,
}

impl Stage {
    fn waits_for(&self) -> PollFlags {
        match self {
            Stage::Reading(_) | Stage::Draining => PollFlags::POLLIN,
            Stage::Writing(..) => PollFlags::POLLOUT,
        }
    }
}

impl Connection {
    /// Does what can be done without waiting. After `Ok` the connection has ended.
    ///
    /// # Errors
    ///
    /// `WouldBlock` means that the client has to do something; everything else is the end too.
    fn advance(
        &mut self,
        answer: &impl Fn(&[u8], Instant) -> Option<Vec<u8>>,
        now: Instant,
    ) -> io::Result<()> {
        loop {
            match &mut self.stage {
                Stage::Reading(received) => {
                    let room = LONGEST_HEAD.saturating_sub(received.len()) as u64;
                    let read = (&self.stream).take(room).read_to_end(received);
                    match answer(received, now) {
                        Some(answer) => self.enter(Stage::Writing(answer, 0), now),
                        None => return read.map(drop),
                    }
                }
                Stage::Writing(answer, sent) => {
                    while let Some(rest) = answer.get(*sent..).filter(|rest| !rest.is_empty()) {
                        match self.stream.write(rest)? {
                            0 => return Err(io::ErrorKind::WriteZero.into()),
                            written => *sent += written,
                        }
                    }
                    self.stream.shutdown(Shutdown::Write)?;
                    self.enter(Stage::Draining, now);
                }
                Stage::Draining => {
                    let read = io::copy(&mut (&self.stream).take(RUBBISH), &mut io::sink())?;
                    // At the end of a portion others have their turn.
                    return if read == RUBBISH {
                        Err(io::ErrorKind::WouldBlock.into())
                    } else {
                        Ok(())
                    };
                }
            }
        }
    }

    fn enter(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.until = now + PATIENCE;
    }
}
