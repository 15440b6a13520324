//! A listening socket, and the one thread that serves all its connections.
#![expect(clippy::disallowed_methods, reason = "time-outs of connections are real time")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::message::{self, Head, LONGEST_HEAD};
use crate::{Request, Response, Status};

/// How many clients are served at once. Further ones wait in the system's queue.
pub const CONNECTIONS: usize = 16;
/// How long a client may take to send its request, to begin with the answer, and to hang up.
const PATIENCE: Duration = Duration::from_secs(2);
/// A client that reads fewer bytes a second of an answer is too slow.
const SLOWEST: usize = 128 * 1024;
/// How much is read at once of what nobody asked for.
const RUBBISH: u64 = 64 * 1024;

/// A socket that is ready to be served.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    /// Becomes readable when there are replies, and ends with the lifeline.
    bell: UnixStream,
    replies: Receiver<(u64, Response)>,
    answers: Answers,
}

/// Ends the service when it is dropped.
#[derive(Debug)]
pub struct Lifeline(Arc<UnixStream>);

impl Drop for Lifeline {
    fn drop(&mut self) {
        // It fails only if the other end is gone, and the service with it.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// The way back to the thread that writes answers.
#[derive(Clone, Debug)]
struct Answers {
    replies: Sender<(u64, Response)>,
    bell: Arc<UnixStream>,
}

/// The right to answer one request, on any thread and at any time.
///
/// Dropped without an answer, as by a panic, it is answered with status 500.
#[derive(Debug)]
pub struct Reply {
    answers: Answers,
    connection: u64,
    response: Option<Response>,
}

impl Reply {
    /// Answers. A client that is gone by now is no error.
    pub fn send(mut self, response: Response) {
        self.response = Some(response);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let response = self.response.take().unwrap_or_else(|| {
            Response::text(Status::InternalError, "The request could not be answered.\n")
        });
        if self.answers.replies.send((self.connection, response)).is_ok() {
            // It fails if the service has ended, or has so many bytes to read that it looks anyway.
            let _ = (&*self.answers.bell).write(&[1]);
        }
    }
}

impl Service {
    /// Prepares to serve a listening socket, until the lifeline is dropped.
    ///
    /// # Errors
    ///
    /// The system has no more descriptors.
    pub fn new(listener: TcpListener) -> io::Result<(Self, Lifeline)> {
        listener.set_nonblocking(true)?;
        let (bell, other_end) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        other_end.set_nonblocking(true)?;
        let other_end = Arc::new(other_end);
        let (sender, replies) = mpsc::channel();
        let answers = Answers { replies: sender, bell: Arc::clone(&other_end) };
        Ok((Service { listener, bell, replies, answers }, Lifeline(other_end)))
    }

    /// Serves on this thread. `handle` must not wait: an answer that takes time is another thread's to
    /// make, which it gives the [`Reply`].
    ///
    /// Returns when the lifeline is dropped, or the system refuses to wait for sockets.
    pub fn run(self, mut handle: impl FnMut(&Request<'_>, Reply)) {
        let mut connections: Vec<Connection> = Vec::new();
        let mut count = 0;
        // Without descriptors the listener stays readable, and waiting for it would be no wait.
        let mut deaf_until = Instant::now();
        loop {
            let now = Instant::now();
            connections.retain(|connection| connection.until.is_none_or(|until| now < until));
            let deaf = now < deaf_until;
            let listening = !deaf && connections.len() < CONNECTIONS;
            let mut sockets = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
            sockets.extend(connections.iter().map(|connection| {
                PollFd::new(connection.stream.as_fd(), connection.stage.waits_for())
            }));
            if listening {
                sockets.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
            }
            let times = connections.iter().filter_map(|connection| connection.until);
            let wait = times.chain(deaf.then_some(deaf_until)).min();
            match poll(&mut sockets, timeout(wait, now)) {
                Ok(_) => {}
                Err(Errno::EINTR | Errno::EAGAIN) => continue,
                Err(_) => return,
            }
            let mut ready = sockets.iter().map(|socket| socket.any().unwrap_or(true));
            if ready.next() == Some(true) && self.is_over() {
                return;
            }
            let ready: Vec<bool> = ready.take(connections.len()).collect();
            let now = Instant::now();
            let mut ready = ready.into_iter();
            connections.retain_mut(|connection| {
                if ready.next() != Some(true) {
                    return true;
                }
                let mut handle = |id, request: &Request<'_>| {
                    let answers = self.answers.clone();
                    handle(request, Reply { answers, connection: id, response: None });
                };
                match connection.advance(&mut handle, now) {
                    Ok(()) => false,
                    Err(error) => error.kind() == io::ErrorKind::WouldBlock,
                }
            });
            for (id, response) in self.replies.try_iter() {
                if let Some(waiting) = connections.iter_mut().find(|one| one.id == id) {
                    waiting.answer(response, now);
                }
            }
            if listening {
                match accept(&self.listener, count, now) {
                    Ok(connection) => {
                        count += u64::from(connection.is_some());
                        connections.extend(connection);
                    }
                    Err(_) => deaf_until = now + PATIENCE,
                }
            }
        }
    }

    /// Whether the lifeline was dropped. What was rung so far is heard by this.
    fn is_over(&self) -> bool {
        let mut rung = [0; 64];
        match (&self.bell).read(&mut rung) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// Until `wait`, rounded up so that it is over when the call returns; without one, for ever.
fn timeout(wait: Option<Instant>, now: Instant) -> PollTimeout {
    let Some(wait) = wait else { return PollTimeout::NONE };
    let left = wait.saturating_duration_since(now).as_millis() + 1;
    PollTimeout::from(u16::try_from(left).unwrap_or(u16::MAX))
}

/// A connection that waits to be taken, if there is one. That it is gone already is no error.
fn accept(listener: &TcpListener, id: u64, now: Instant) -> io::Result<Option<Connection>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(true)?;
            let stage = Stage::Reading(Vec::new());
            Ok(Some(Connection { id, stream, stage, until: Some(now + PATIENCE) }))
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
    id: u64,
    stream: TcpStream,
    stage: Stage,
    /// When its patience with the stage ends; `None` while it is we who take time.
    until: Option<Instant>,
}

enum Stage {
    /// The request so far.
    Reading(Vec<u8>),
    /// The answer is being made. For `HEAD` it will be sent without its body.
    Waiting { with_body: bool },
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
            // For the news that the client is gone, which come unasked.
            Stage::Waiting { .. } => PollFlags::empty(),
        }
    }
}

impl Connection {
    /// Does what can be done without waiting, for a socket that is ready. After `Ok` the connection has
    /// ended.
    ///
    /// # Errors
    ///
    /// `WouldBlock` means that the client, or whoever makes the answer, has to do something; everything
    /// else is the end too.
    fn advance(
        &mut self,
        handle: &mut impl FnMut(u64, &Request<'_>),
        now: Instant,
    ) -> io::Result<()> {
        loop {
            match &mut self.stage {
                Stage::Reading(received) => {
                    let room = LONGEST_HEAD.saturating_sub(received.len()) as u64;
                    let read = (&self.stream).take(room).read_to_end(received);
                    match message::read(received) {
                        Head::Partial => return read.map(drop),
                        Head::Refused(response) => self.write(response.into_bytes(true), now),
                        Head::Request(request) => {
                            let with_body = request.method != "HEAD";
                            handle(self.id, &request);
                            self.stage = Stage::Waiting { with_body };
                            self.until = None;
                            return Err(io::ErrorKind::WouldBlock.into());
                        }
                    }
                }
                // Nothing was waited for but the end of the connection.
                Stage::Waiting { .. } => return Ok(()),
                Stage::Writing(answer, sent) => {
                    while let Some(rest) = answer.get(*sent..).filter(|rest| !rest.is_empty()) {
                        match self.stream.write(rest)? {
                            0 => return Err(io::ErrorKind::WriteZero.into()),
                            written => *sent += written,
                        }
                    }
                    self.stream.shutdown(Shutdown::Write)?;
                    self.stage = Stage::Draining;
                    self.until = Some(now + PATIENCE);
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

    /// Begins with the answer that was waited for.
    fn answer(&mut self, response: Response, now: Instant) {
        if let Stage::Waiting { with_body } = self.stage {
            self.write(response.into_bytes(with_body), now);
        }
    }

    fn write(&mut self, answer: Vec<u8>, now: Instant) {
        let needed = Duration::from_secs((answer.len() / SLOWEST) as u64);
        self.until = Some(now + PATIENCE + needed);
        self.stage = Stage::Writing(answer, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::thread;

    use super::*;

    /// Serves until the lifeline is dropped: `/slow` waits in the queue that is given, all else is
    /// answered at once.
    fn start() -> (SocketAddr, Receiver<Reply>, Lifeline) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (service, lifeline) = Service::new(listener).unwrap();
        let (slow, waiting) = mpsc::channel();
        thread::spawn(move || {
            service.run(|request, reply| match request.path {
                "/slow" => slow.send(reply).unwrap(),
                _ => reply.send(Response::text(Status::Ok, "fast")),
            });
        });
        (address, waiting, lifeline)
    }

    fn ask(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        // Far beyond anything that should happen here.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\n\r\n").unwrap();
        stream
    }

    fn answer(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn answers_that_take_time_delay_no_others() {
        let (address, waiting, _lifeline) = start();
        let slow: Vec<TcpStream> = (0..CONNECTIONS - 1).map(|_| ask(address, "/slow")).collect();
        let replies: Vec<Reply> = waiting.iter().take(slow.len()).collect();
        for _ in 0..3 {
            assert!(answer(ask(address, "/fast")).ends_with("\r\n\r\nfast"));
        }
        for (number, reply) in replies.into_iter().enumerate() {
            reply.send(Response::text(Status::Ok, &number.to_string()));
        }
        let mut bodies: Vec<String> = slow.into_iter().map(answer).collect();
        assert!(bodies.iter().all(|text| text.starts_with("HTTP/1.1 200 OK\r\n")), "{bodies:?}");
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), CONNECTIONS - 1, "each got its own");
    }

    #[test]
    fn a_reply_that_is_lost_is_an_internal_error() {
        let (address, waiting, _lifeline) = start();
        let stream = ask(address, "/slow");
        drop(waiting.recv().unwrap());
        assert!(answer(stream).starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
    }

    #[test]
    fn an_answer_for_a_client_that_is_gone_is_nobodys() {
        let (address, waiting, _lifeline) = start();
        let gone = ask(address, "/slow");
        let reply = waiting.recv().unwrap();
        drop(gone);
        assert!(answer(ask(address, "/fast")).ends_with("fast"));
        reply.send(Response::text(Status::Ok, "late"));
        assert!(answer(ask(address, "/fast")).ends_with("fast"));
    }

    #[test]
    fn the_lifeline_ends_connections_and_replies_alike() {
        let (address, waiting, lifeline) = start();
        let stream = ask(address, "/slow");
        let reply = waiting.recv().unwrap();
        drop(lifeline);
        assert_eq!(answer(stream), "");
        reply.send(Response::text(Status::Ok, "late"));
        // The service has returned, and dropped what held the other end of this.
        assert!(waiting.recv().is_err());
    }
}
