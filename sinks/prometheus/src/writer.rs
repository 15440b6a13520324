//! Puts rows where scrapes find them.
#![expect(clippy::disallowed_methods, reason = "a series gets old by real time")]

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wanctl_sink::{Batch, Deadline, FaultClass, Identity, Kind, SinkError, SinkWriter, Written};

use crate::latest::Latest;
use crate::server::Server;
use crate::{PrometheusConfig, exposition, http};

/// Keeps the newest values, and the server that shows them for as long as it lives.
pub(crate) struct PrometheusWriter {
    latest: Arc<Mutex<Latest>>,
    /// `None` after the end.
    server: Option<Server>,
}

impl PrometheusWriter {
    /// Listens where the configuration says, and serves.
    ///
    /// # Errors
    ///
    /// An address that is taken or not allowed is a fault of the configuration; what may heal, such as a
    /// name that can't be resolved yet, is not. After the deadline nobody listens.
    pub(crate) fn open(config: &PrometheusConfig, deadline: Deadline) -> Result<Self, SinkError> {
        let doing = format!("can't listen on {}", config.address());
        let addresses: Vec<SocketAddr> = (config.host.as_str(), config.port)
            .to_socket_addrs()
            .map_err(|error| SinkError::io(&doing, error))?
            .collect();
        // A look-up takes its time. The port may be that of the writer in the place of this one by now.
        if deadline.is_over() {
            return Err(SinkError::new(FaultClass::Cancelled, "no time left to listen"));
        }
        TcpListener::bind(&*addresses)
            .and_then(|listener| PrometheusWriter::serve(listener, config.max_series))
            .map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => {
                    let message = format!("{doing}: the port is in use already");
                    SinkError::new(FaultClass::Config, message).caused_by(error)
                }
                _ => SinkError::io(&doing, error),
            })
    }

    /// Serves up to `max_series` series to those who connect to the listener.
    ///
    /// # Errors
    ///
    /// The system has no resources for a thread or its sockets.
    pub(crate) fn serve(listener: TcpListener, max_series: usize) -> io::Result<Self> {
        let latest = Arc::new(Mutex::new(Latest::new(max_series)));
        let shown = Arc::clone(&latest);
        let server = Server::start(listener, move |request| {
            let fresh = |format| exposition::render(lock(&shown).fresh(Instant::now()), format);
            http::answer(request, fresh)
        })?;
        Ok(PrometheusWriter { latest, server: Some(server) })
    }

    fn check_server(&self) -> Result<(), SinkError> {
        match &self.server {
            Some(server) if server.is_running() => Ok(()),
            _ => Err(SinkError::new(FaultClass::Bug, "the thread that answers scrapes has ended")),
        }
    }
}

impl SinkWriter for PrometheusWriter {
    fn write(&mut self, batch: &Batch<'_>, deadline: Deadline) -> Written {
        if deadline.is_over() && !batch.is_empty() {
            return Written::Failed(SinkError::new(FaultClass::Cancelled, "no time left to write"));
        }
        if let Err(error) = self.check_server() {
            return Written::Failed(error);
        }
        let now = Instant::now();
        let mut latest = lock(&self.latest);
        let mut rejected = Vec::new();
        for (position, row) in batch.rows().enumerate() {
            // The state an event tells of is in the next frame too, and its other labels are free text.
            let Identity::Series { schema, series } = row.identity else { continue };
            if row.metric().kind == Kind::Event {
                continue;
            }
            if let Err(refusal) = latest.set(schema, series, row.value, now) {
                rejected.push((position, refusal.to_string()));
            }
        }
        if rejected.is_empty() { Written::All } else { Written::Rejected(rejected) }
    }

    fn probe(&mut self, _: Deadline) -> Result<(), SinkError> {
        self.check_server()
    }

    fn close(&mut self, _: Deadline) -> Result<(), SinkError> {
        self.server = None;
        Ok(())
    }
}

/// A panic while holding the lock leaves values that are older or newer, all of them valid.
fn lock(latest: &Mutex<Latest>) -> MutexGuard<'_, Latest> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}
