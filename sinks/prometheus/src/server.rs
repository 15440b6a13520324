//! The thread that answers scrapes. It doesn't know what it serves.

use std::io;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use wanctl_http::{Lifeline, Request, Response, Service};

/// Answers connections until it is dropped.
pub(crate) struct Server {
    /// `None` only while it ends.
    lifeline: Option<Lifeline>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves what `answer` makes of each request.
    ///
    /// # Errors
    ///
    /// The system has no resources for a thread or its sockets.
    pub(crate) fn start(
        listener: TcpListener,
        answer: impl Fn(&Request<'_>) -> Response + Send + 'static,
    ) -> io::Result<Self> {
        let (service, lifeline) = Service::new(listener)?;
        let thread = thread::Builder::new()
            .name("prometheus".to_owned())
            .spawn(move || service.run(|request, reply| reply.send(answer(request))))?;
        Ok(Server { lifeline: Some(lifeline), thread: Some(thread) })
    }

    /// Whether connections are answered.
    pub(crate) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifeline = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}
