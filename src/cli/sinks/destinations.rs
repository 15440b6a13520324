//! Whether the files and ports that a sink claims can be had, without opening or creating any file.

use std::net::TcpListener;
use std::path::Path;

use nix::unistd::{AccessFlags, eaccess};

use super::doctor::{Finding, Level};
use crate::sink::Resource;

/// Looks at one claim of a sink.
pub(super) fn examine(sink: &str, claim: &Resource) -> Finding {
    let (level, message, remedy) = match claim {
        Resource::File(path) => file(path),
        Resource::TcpListener(address) => listener(address),
        other => (Level::Ok, format!("claims {other}"), String::new()),
    };
    Finding { level, subject: format!("sink {sink}"), message, remedy }
}

type Found = (Level, String, String);

/// A file that is there must be writable; for one that is not, the nearest folder that is.
fn file(path: &Path) -> Found {
    let shown = path.display();
    if path.is_dir() {
        let remedy = "name a file in it, or another path".to_owned();
        return (Level::Error, format!("{shown} is a folder, not a file"), remedy);
    }
    let writable = AccessFlags::W_OK;
    if path.exists()
        && let Err(error) = eaccess(path, writable)
    {
        let remedy = format!("let the user who runs wanctl write {shown}, or name another path");
        return (Level::Error, format!("{shown} can't be written: {error}"), remedy);
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    let Some(nearest) = parent.ancestors().find(|folder| folder.symlink_metadata().is_ok()) else {
        let remedy = "name an absolute path".to_owned();
        return (Level::Error, format!("{shown} is in no folder"), remedy);
    };
    let folder = nearest.display();
    if !nearest.is_dir() {
        let remedy = format!("move {folder} aside, or name another path");
        return (Level::Error, format!("{shown} can't exist: {folder} is not a folder"), remedy);
    }
    if let Err(error) = eaccess(nearest, writable | AccessFlags::X_OK) {
        let remedy = format!("let the user who runs wanctl write {folder}, or name another path");
        return (Level::Error, format!("folder {folder} can't be written: {error}"), remedy);
    }
    if nearest != parent {
        let parent = parent.display();
        let remedy = format!("mkdir -p {parent}, unless the sink does it; file and sqlite do");
        return (Level::Warning, format!("folder {parent} is not there yet"), remedy);
    }
    (Level::Ok, format!("{shown} can be written"), String::new())
}

/// A port is free if it can be bound; it is let go at once.
fn listener(address: &str) -> Found {
    match TcpListener::bind(address) {
        Ok(_) => (Level::Ok, format!("TCP address {address} is free"), String::new()),
        Err(error) => {
            let port = address.rsplit(':').next().unwrap_or(address);
            let remedy = format!(
                "`ss -ltnp sport = :{port}` shows who has it; if that is wanctl itself, all is well, \
                 else stop it or listen elsewhere"
            );
            (Level::Error, format!("can't listen on {address}: {error}"), remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_port_that_somebody_has_is_an_error_and_a_free_one_is_not() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let claim = Resource::TcpListener(address.clone());
        let found = examine("prometheus", &claim);
        assert_eq!(found.level, Level::Error);
        assert!(found.message.contains(&address), "{}", found.message);
        drop(taken);
        assert_eq!(examine("prometheus", &claim).level, Level::Ok);
    }

    #[test]
    fn a_file_goes_by_the_nearest_folder_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("regular");
        fs::write(&file, "").unwrap();
        for (path, level) in [
            ("regular", Level::Ok),
            ("new.db", Level::Ok),
            ("a/b/new.db", Level::Warning),
            ("regular/new.db", Level::Error),
            ("", Level::Error),
        ] {
            let found = examine("history", &Resource::file(folder.path().join(path)));
            assert_eq!(found.level, level, "{path}: {}", found.message);
            assert_eq!(found.remedy.is_empty(), level == Level::Ok, "{path}: {}", found.remedy);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is created");
    }
}
