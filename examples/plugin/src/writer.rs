//! One connection for each batch, within the deadline of the call.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use wanctl_sink::{Batch, Deadline, FaultClass, SecretError, SinkError, SinkWriter, Written};

use crate::{GraphiteConfig, line};

pub(crate) struct GraphiteWriter {
    config: GraphiteConfig,
    /// The lines of the batch at hand, kept for its capacity.
    lines: String,
}

impl GraphiteWriter {
    pub(crate) fn new(config: GraphiteConfig) -> Self {
        GraphiteWriter { config, lines: String::new() }
    }

    /// The key with its dot; looked up for each connection, so a changed file needs no restart.
    pub(crate) fn key(&self) -> Result<String, SecretError> {
        match &self.config.api_key {
            Some(key) => Ok(format!("{}.", key.reveal()?)),
            None => Ok(String::new()),
        }
    }

    /// Sends lines, and waits until Carbon has read them all.
    fn send(&self, lines: &str, deadline: Deadline) -> Result<(), SinkError> {
        let address = &self.config.address;
        let failed = |doing: &str, error: io::Error| match error.kind() {
            // What a socket says when its time is up.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let message = format!("can't {doing} {address} in time");
                SinkError::new(FaultClass::Cancelled, message).caused_by(error)
            }
            _ => SinkError::io(&format!("can't {doing} {address}"), error),
        };
        let stream = connect(address, deadline).map_err(|error| failed("connect to", error))?;
        let mut timed = Timed { stream, deadline };
        timed.write_all(lines.as_bytes()).map_err(|error| failed("write to", error))?;
        timed.stream.shutdown(Shutdown::Write).map_err(|error| failed("write to", error))?;
        let mut answer = [0; 64];
        while 0 < timed.read(&mut answer).map_err(|error| failed("finish writing to", error))? {}
        Ok(())
    }
}

impl SinkWriter for GraphiteWriter {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        let start = match self.key() {
            Ok(key) => key + &self.config.prefix,
            Err(error) => return Written::Failed(error.into()),
        };
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        let mut rejected = Vec::new();
        for (position, row) in batch.rows().enumerate() {
            if let Err(reason) = line::append(&mut lines, &start, &row) {
                rejected.push((position, reason));
            }
        }
        let sent = if lines.is_empty() { Ok(()) } else { self.send(&lines, deadline) };
        self.lines = lines;
        match sent {
            Err(error) => Written::Failed(error),
            Ok(()) if rejected.is_empty() => Written::All,
            Ok(()) => Written::Rejected(rejected),
        }
    }

    /// Connects and hangs up. Carbon takes that as no data.
    fn probe(&mut self, deadline: Deadline) -> Result<(), SinkError> {
        self.key()?;
        self.send("", deadline)
    }
}

/// Connects to the first address that answers. Looking up a name takes as long as the system lets it.
fn connect(address: &str, deadline: Deadline) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The time left as a timeout, which must not be zero.
fn left(deadline: Deadline) -> io::Result<Duration> {
    let left = deadline.remaining();
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A stream on which no call lasts longer than to the deadline, however many calls there are.
struct Timed {
    stream: TcpStream,
    deadline: Deadline,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
