//! The status socket: whoever connects gets one JSON document and the end of the stream.
//!
//! Nothing is read from a client, so that nothing can be asked for. One client is served at a time, on a
//! thread that shares nothing with control but atomics.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tracing::{debug, info, warn};

use super::report::Reporter;

/// Where a daemon listens, and `wanctl status` asks, when nothing else is said.
pub const DEFAULT_SOCKET: &str = "/run/wanctl/status.sock";

/// How long a client waits for its turn at most, while there is no other one.
const EVERY: Duration = Duration::from_millis(100);
/// A report fits into the socket's buffer, so that only a broken client waits at all.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket that was bound. Dropped, it is taken away.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Its device and inode.
    identity: (u64, u64),
}

impl Listener {
    /// Listens at this path, or says why not: a daemon without the right to it does all the rest.
    pub(super) fn open(path: &Path) -> Option<Self> {
        match Self::bind(path) {
            Ok(listener) => {
                info!(socket = %path.display(), "`wanctl status` can ask this daemon.");
                Some(listener)
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                warn!(
                    socket = %path.display(),
                    "Another daemon answers at the status socket; `--status-socket` gives this one its own."
                );
                None
            }
            Err(error) => {
                info!(socket = %path.display(), %error, "There is no status socket.");
                None
            }
        }
    }

    /// Binds the socket in place of one that no daemon answers at any more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AddrInUse`] when a daemon answers there or is about to; something that is no socket;
    /// what the system refuses.
    fn bind(path: &Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        }
        // Two daemons that start at once must not both find a socket that nobody answers at.
        let _lock = Flock::lock(File::open(folder)?, FlockArg::LockExclusiveNonblock).map_err(
            |(_, errno)| match errno {
                Errno::EWOULDBLOCK => io::Error::from(ErrorKind::AddrInUse),
                other => other.into(),
            },
        )?;
        make_way(path)?;
        let socket = UnixListener::bind(path)?;
        let found = fs::symlink_metadata(path)?;
        let listener =
            Listener { socket, path: path.to_owned(), identity: (found.dev(), found.ino()) };
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listener.socket.set_nonblocking(true)?;
        Ok(listener)
    }

    fn serve(&self, reporter: &Reporter<'_>, over: &AtomicBool) {
        while !over.load(Ordering::Acquire) {
            match self.socket.accept() {
                Ok((client, _)) => {
                    if let Err(error) = answer(client, reporter) {
                        debug!(%error, "A client of the status socket got no report.");
                    }
                }
                Err(error) => {
                    if error.kind() != ErrorKind::WouldBlock {
                        debug!(%error, "The status socket takes no client.");
                    }
                    thread::park_timeout(EVERY);
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Somebody may have taken it away, and somebody else may listen there now.
        let is_own = |found: fs::Metadata| (found.dev(), found.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(is_own) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes away the socket of a daemon that is gone.
fn make_way(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        // A connection to a file of another type is refused as well.
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "there is something else"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

fn answer(mut client: UnixStream, reporter: &Reporter<'_>) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_write_timeout(Some(PATIENCE))?;
    client.write_all(&reporter.report()?)
}

/// A socket that is served until this is dropped.
pub(super) struct Server<'scope> {
    over: Arc<AtomicBool>,
    thread: Option<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope> Server<'scope> {
    /// Serves on a thread of its own.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        listener: Listener,
        reporter: &'scope Reporter<'scope>,
    ) -> io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = thread::Builder::new()
            .name("status".to_owned())
            .spawn_scoped(scope, move || listener.serve(reporter, &told))?;
        Ok(Server { over, thread: Some(thread) })
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // Its panic has been logged, and must not become one of the main thread.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_is_its_owners_alone_and_goes_with_its_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/status.sock");
        let listener = Listener::bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()) & !0o755, 0);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.sock");
        // Bound and not taken away, as after a kill.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = Listener::bind(&path).unwrap();
        let second = Listener::bind(&path).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).is_ok());
        drop(first);
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        assert_eq!(Listener::bind(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_socket_that_another_daemon_put_there_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.sock");
        let first = Listener::bind(&path).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        let second = Listener::bind(&path).unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).is_ok());
        drop(second);
    }
}
