//! A Carbon on loopback that behaves as it is told.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Far beyond anything that should happen here.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it does with a connection.
#[derive(Clone, Copy)]
pub(crate) enum Carbon {
    /// Reads everything, then hangs up.
    Reads,
    /// Hangs up with the lines unread, which resets the connection.
    Resets,
    /// Takes the connection and never reads.
    Hangs,
}

/// A running double.
pub(crate) struct Double {
    pub(crate) address: String,
    connections: Receiver<Connection>,
}

struct Connection {
    text: String,
    /// One that hangs stays open for as long as the double.
    _stream: Option<TcpStream>,
}

impl Double {
    /// Treats one connection after another like this, then takes no more.
    pub(crate) fn start(behaviour: &[Carbon]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, connections) = channel();
        let behaviour = behaviour.to_vec();
        thread::spawn(move || {
            for carbon in behaviour {
                let (mut stream, _) = listener.accept().unwrap();
                let mut text = String::new();
                let stream = match carbon {
                    Carbon::Reads => {
                        stream.read_to_string(&mut text).unwrap();
                        None
                    }
                    Carbon::Resets => {
                        // Returns when there is something to leave unread.
                        stream.peek(&mut [0]).unwrap();
                        None
                    }
                    Carbon::Hangs => Some(stream),
                };
                let _ = sender.send(Connection { text, _stream: stream });
            }
        });
        Double { address, connections }
    }

    /// What the next connection brought.
    pub(crate) fn next(&self) -> String {
        self.connections.recv_timeout(PATIENCE).expect("Carbon got no connection").text
    }
}
