//! Answers over HTTP, where `health_check` says so: the status of the program, and its history.
//!
//! | path | what | answered on |
//! |---|---|---|
//! | `/health` | what `wanctl status --json` prints | the listener's thread, at once |
//! | `/metrics/history` | rows of the history file | a thread of its own, one query after the other |
//!
//! It is for reading only and has no passwords, which is why it listens on this machine alone unless it is
//! told otherwise. A daemon that can't listen does all the rest.

#[cfg(feature = "sqlite")]
mod history;
#[cfg(feature = "sqlite")]
mod params;

use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};

use serde_json::json;
use tracing::{error, info, warn};
use wanctl_http::{Lifeline, Reply, Request, Response, Service, Status};
use wanctl_sink::{Applied, SinkSpec};

use super::report::Reporter;
use crate::config::{self, Listen};

/// Which file the history is in now.
#[derive(Clone, Debug, Default)]
pub(super) struct HistoryFile(Arc<Mutex<Option<PathBuf>>>);

impl HistoryFile {
    /// That of the sinks the program starts with.
    pub(super) fn of(sinks: &[SinkSpec]) -> Self {
        let path = config::history_file(sinks).map(|(_, path)| path);
        HistoryFile(Arc::new(Mutex::new(path)))
    }

    /// Follows a reload. A sink that goes on as it was goes on with its file.
    pub(super) fn follow(&self, sinks: &[SinkSpec], applied: &Applied) {
        let found = config::history_file(sinks);
        let is_refused = |name| {
            let path = format!("sinks.{name}");
            applied.refused.iter().any(|issue| issue.path == path)
        };
        if !found.as_ref().is_some_and(|(name, _)| is_refused(name)) {
            let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *current = found.map(|(_, path)| path);
        }
    }

    /// The file; `None` if there is no sqlite sink.
    #[cfg(feature = "sqlite")]
    fn path(&self) -> Option<PathBuf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Listens at each of these addresses, until what is returned is dropped.
pub(super) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    addresses: &[Listen],
    reporter: &'scope Reporter<'scope>,
    history: &HistoryFile,
) -> Vec<Lifeline> {
    if addresses.is_empty() {
        return Vec::new();
    }
    let routes = Routes::new(reporter, history);
    let start = |address| match serve(scope, address, routes.clone()) {
        Ok(lifeline) => Some(lifeline),
        Err(error) => {
            warn!(%address, %error, "Can't listen at the address of health_check; all the rest goes on.");
            None
        }
    };
    addresses.iter().filter_map(start).collect()
}

fn serve<'scope>(
    scope: &'scope Scope<'scope, '_>,
    address: &Listen,
    routes: Routes<'scope>,
) -> std::io::Result<Lifeline> {
    let listener = TcpListener::bind((address.host.as_str(), address.port))?;
    let is_local = listener.local_addr()?.ip().is_loopback();
    let (service, lifeline) = Service::new(listener)?;
    let serve = move || {
        // What was logged when it happened must not become a panic of the main thread.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            service.run(|request, reply| routes.answer(request, reply));
        }));
    };
    thread::Builder::new().name("http".to_owned()).spawn_scoped(scope, serve)?;
    info!(%address, "Status and history are answered over HTTP.");
    if !is_local {
        warn!(%address, "Whoever reaches this address can read status and history: there is no password.");
    }
    Ok(lifeline)
}

/// What is at which path.
#[derive(Clone)]
struct Routes<'a> {
    reporter: &'a Reporter<'a>,
    #[cfg(feature = "sqlite")]
    queries: history::Queries,
}

impl<'a> Routes<'a> {
    #[cfg(feature = "sqlite")]
    fn new(reporter: &'a Reporter<'a>, history: &HistoryFile) -> Self {
        Routes { reporter, queries: history::Queries::new(history.clone()) }
    }

    #[cfg(not(feature = "sqlite"))]
    fn new(reporter: &'a Reporter<'a>, _: &HistoryFile) -> Self {
        Routes { reporter }
    }

    fn answer(&self, request: &Request<'_>, reply: Reply) {
        match request.path {
            "/health" | "/metrics/history" if !request.is_read() => {
                reply.send(refusal(Status::MethodNotAllowed, "Method not allowed"));
            }
            "/health" => reply.send(self.health()),
            #[cfg(feature = "sqlite")]
            "/metrics/history" => {
                let now = self.reporter.clock.stamp().unix_seconds();
                self.queries.answer(request.query, now, reply);
            }
            _ => reply.send(refusal(Status::NotFound, "Not found")),
        }
    }

    fn health(&self) -> Response {
        match self.reporter.report() {
            Ok(report) => Response::json(Status::Ok, report),
            Err(error) => {
                error!(%error, "The status can't be told.");
                refusal(Status::InternalError, &error.to_string())
            }
        }
    }
}

/// An answer that says what is wrong.
fn refusal(status: Status, message: &str) -> Response {
    Response::json(status, json!({ "error": message }).to_string().into_bytes())
}
