//! As much of HTTP/1.1 as a scrape, a health check and a query need: one request, one answer, and the
//! connection ends.
//!
//! One thread serves all connections of a listener. Sockets don't block, a client has seconds to send its
//! request and to take the answer, and there are never more than [`CONNECTIONS`] at once, so that no client
//! keeps others waiting for long. What is served is the handler's business: it gets a [`Request`] and a
//! [`Reply`], which it uses at once or hands to another thread, while other requests are answered.
//!
//! It has neither TLS nor passwords, keeps no connection open for another request, and reads no bodies.

mod message;
mod server;

pub use message::{Request, Response, Status};
pub use server::{CONNECTIONS, Lifeline, Reply, Service};
