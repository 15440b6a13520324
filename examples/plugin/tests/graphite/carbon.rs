//! A Carbon on loopback that behaves as it is told.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// What it does with a connection.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    /// Reads everything, then hangs up.
    Reads,
    /// Hangs up with the lines unread, which resets the connection.
    Resets,
    /// Takes the connection and never reads.
    Hangs,
    /// Ends the double.
    Ends,
}

/// A running double.
pub(crate) struct Carbon {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

struct State {
    mode: Mode,
    text: String,
    /// Connections that hang.
    held: Vec<TcpStream>,
}

impl Carbon {
    /// One that reads.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State { mode: Mode::Reads, text: String::new(), held: Vec::new() };
        let carbon = Carbon { address, state: Arc::new(Mutex::new(state)) };
        let state = Arc::clone(&carbon.state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mode = state.lock().unwrap().mode;
                match mode {
                    Mode::Reads => {
                        let mut text = String::new();
                        // What a client takes back is no text.
                        if stream.read_to_string(&mut text).is_ok() {
                            state.lock().unwrap().text.push_str(&text);
                        }
                    }
                    Mode::Resets => {
                        // Returns when there is something to leave unread.
                        let _ = stream.peek(&mut [0]);
                    }
                    Mode::Hangs => state.lock().unwrap().held.push(stream),
                    Mode::Ends => return,
                }
            }
        });
        carbon
    }

    /// Treats connections like this from now on.
    pub(crate) fn becomes(&self, mode: Mode) {
        let mut state = self.state();
        state.mode = mode;
        state.held.clear();
    }

    /// All that it has read.
    pub(crate) fn text(&self) -> String {
        self.state().text.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Carbon {
    fn drop(&mut self) {
        self.becomes(Mode::Ends);
        // Wakes it up.
        let _ = TcpStream::connect(&self.address);
    }
}
