//! Other programs read history while it is written.

use std::path::Path;
use std::process::Command;

use super::rows;
use super::support::{BOTH, Place, poll};

#[test]
fn history_can_be_read_with_sql_while_it_is_written() {
    let place = Place::new();
    let config = place.write("wan.yaml", &format!("{BOTH}storage: {{ db_path: history.db }}\n"));
    let database = place.work().join("history.db");
    let mut daemon = place.start(place.command("run --config {}", &config));

    poll("the first row", || {
        assert!(daemon.is_running());
        (rows::cycles(&rows::so_far(&database), "autorate") > 0).then_some(())
    });
    let db = rows::open(&database);
    let mut statement =
        db.prepare("SELECT metric_name, value FROM metrics WHERE granularity = 'raw'").unwrap();
    let mut count = || {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, f64>(1)?));
        let rows: Result<Vec<_>, _> = statement.query_map([], row).unwrap().collect();
        rows.unwrap().len()
    };
    let before = count();
    poll("a newer row", || (count() > before).then_some(()));
    let labels: String = db
        .query_row(
            "SELECT labels FROM metrics WHERE metric_name='wanctl_config_snapshot'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let labels: serde_json::Value = serde_json::from_str(&labels).unwrap();
    assert_eq!(labels["trigger"], "startup");
    by_the_sqlite_shell(&database);

    assert!(daemon.is_running(), "readers do not disturb it");
    daemon.signal("TERM");
    daemon.finish().success();
}

fn by_the_sqlite_shell(database: &Path) {
    let mut shell = Command::new("sqlite3");
    let query = "SELECT metric_name, value FROM metrics WHERE metric_name='wanctl_rate_upload_mbps' LIMIT 1";
    let Ok(output) = shell.arg("-readonly").arg(database).arg(query).output() else {
        return eprintln!("skipped: there is no sqlite3 program");
    };
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.trim(), "wanctl_rate_upload_mbps|20.0", "{err}");
}
