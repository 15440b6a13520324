-- A bundle is up to eight series that are written together: a cycle is one row of `frames`.
CREATE TABLE bundles (
    id        INTEGER PRIMARY KEY,
    -- Minutes before this second are rolled up.
    rolled_to INTEGER NOT NULL DEFAULT 0,
    -- Raw rows before this second have expired.
    raw_from  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Labels are '' where there are none, because NULLs are never equal in a unique key.
CREATE TABLE series (
    id          INTEGER PRIMARY KEY,
    -- The place in frames: column `v0` to `v7` of the bundle's rows.
    bundle_id   INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    wan_name    TEXT NOT NULL,
    metric_name TEXT NOT NULL,
    source      TEXT NOT NULL,
    labels      TEXT NOT NULL,
    -- A whole number n in frames stands for n / scale; a real number stands for itself.
    scale       REAL NOT NULL,
    -- How an interval is summed up: mean, mode, last or none.
    rollup      TEXT NOT NULL,
    UNIQUE (metric_name, wan_name, source, labels),
    UNIQUE (bundle_id, position)
) STRICT;

-- The hot window. Seconds and microseconds stand apart, so that a range of `timestamp` is a range of the key.
CREATE TABLE frames (
    bundle_id INTEGER NOT NULL,
    sec       INTEGER NOT NULL,
    us        INTEGER NOT NULL,
    v0 ANY, v1 ANY, v2 ANY, v3 ANY, v4 ANY, v5 ANY, v6 ANY, v7 ANY,
    PRIMARY KEY (bundle_id, sec, us)
) STRICT, WITHOUT ROWID;

-- Older raw rows, compressed: all frames of a bundle from second to second. Ranges of one bundle never overlap.
CREATE TABLE chunks (
    id        INTEGER PRIMARY KEY,
    bundle_id INTEGER NOT NULL,
    first_sec INTEGER NOT NULL,
    last_sec  INTEGER NOT NULL,
    frames    INTEGER NOT NULL,
    samples   INTEGER NOT NULL,
    data      BLOB NOT NULL,
    UNIQUE (bundle_id, first_sec, last_sec)
) STRICT;

CREATE TABLE rollups (
    -- The length of the interval: 60, 300 or 3600.
    seconds   INTEGER NOT NULL,
    series_id INTEGER NOT NULL,
    -- Its first second, a multiple of its length.
    start     INTEGER NOT NULL,
    value     REAL NOT NULL,
    min       REAL NOT NULL,
    max       REAL NOT NULL,
    count     INTEGER NOT NULL,
    -- Of a state: how often each code occurred, as a JSON object ({"0":1180,"1":20}).
    states    TEXT,
    PRIMARY KEY (seconds, series_id, start)
) STRICT, WITHOUT ROWID;

-- Minutes that got a row after they were rolled up, and have to be once more.
CREATE TABLE stale (
    bundle_id INTEGER NOT NULL,
    start     INTEGER NOT NULL,
    PRIMARY KEY (bundle_id, start)
) STRICT, WITHOUT ROWID;

-- The time by which rows were old when the file was maintained last, in Unix seconds.
CREATE TABLE upkeep (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    now INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    id          INTEGER PRIMARY KEY,
    sec         INTEGER NOT NULL,
    us          INTEGER NOT NULL,
    wan_name    TEXT NOT NULL,
    metric_name TEXT NOT NULL,
    source      TEXT NOT NULL,
    value       REAL NOT NULL,
    labels      TEXT NOT NULL,
    UNIQUE (metric_name, sec, us, wan_name, source, labels, value)
) STRICT;

CREATE INDEX events_by_time ON events (sec);

-- How far files of the original have been imported: every row up to this one, by time and id, and by path.
CREATE TABLE imports (
    path      TEXT PRIMARY KEY,
    last_sec  INTEGER NOT NULL,
    last_id   INTEGER NOT NULL,
    -- What that row says, by which the file is known again; NULL if it could not be told.
    last_row  TEXT,
    -- How many of its rows were read.
    rows      INTEGER NOT NULL,
    -- From this second on, longer intervals may have to be made of imported ones; NULL once they are.
    unfilled  INTEGER
) STRICT, WITHOUT ROWID;

-- What other programs read. CROSS JOIN holds the planner to "find the series, then read its range".
CREATE VIEW metrics (
    timestamp, wan_name, metric_name, value, labels, granularity, source, micros, min, max, count
) AS
SELECT f.sec, s.wan_name, s.metric_name, iif(typeof(f.v0) = 'integer', f.v0 / s.scale, f.v0),
    nullif(s.labels, ''), 'raw', s.source, f.us, NULL, NULL, NULL
FROM series AS s CROSS JOIN frames AS f ON f.bundle_id = s.bundle_id
WHERE s.position = 0 AND f.v0 IS NOT NULL
UNION ALL
SELECT f.sec, s.wan_name, s.metric_name, iif(typeof(f.v1) = 'integer', f.v1 / s.scale, f.v1),
    nullif(s.labels, ''), 'raw', s.source, f.us, NULL, NULL, NULL
FROM series AS s CROSS JOIN frames AS f ON f.bundle_id = s.bundle_id
WHERE s.position = 1 AND f.v1 IS NOT NULL
UNION ALL
SELECT f.sec, s.wan_name, s.metric_name, iif(typeof(f.v2) = 'integer', f.v2 / s.scale, f.v2),
    nullif(s.labels, ''), 'raw', s.source, f.us, NULL, NULL, NULL
FROM series AS s CROSS JOIN frames AS f ON f.bundle_id = s.bundle_id
WHERE s.position = 2 AND f.v2 IS NOT NULL
UNION ALL
SELECT f.sec, s.wan_name, s.metric_name, iif(typeof(f.v3) = 'integer', f.v3 / s.scale, f.v3),
    nullif(s.labels, ''), 'raw', s.source, f.us, NULL, NULL, NULL
FROM series AS s CROSS JOIN frames AS f ON f.bundle_id = s.bundle_id
WHERE s.position = 3 AND f.v3 IS NOT NULL
UNION ALL
SELECT f.sec, s.wan_name, s.metric_name, iif(typeof(f.v4) = 'integer', f.v4 / s.scale, f.v4),
    nullif(s.labels, ''), 'raw', s.source, f.us, NULL, NULL, NULL
FROM series AS s CROSS JOIN frames AS f ON f.bundle_id = s.bundle_id
WHERE s.position = 4 AND f.v4 IS NOT NULL
UNION ALL
SELECT f.sec, s.wan_name, s.metric_name, iif(typeof(f.v5) = 'integer', f.v5 / s.scale, f.v5),
    nullif(s.labels, ''), 'raw', s.source, f.us, NULL, NULL, NULL
FROM series AS s CROSS JOIN frames AS f ON f.bundle_id = s.bundle_id
WHERE s.position = 5 AND f.v5 IS NOT NULL
UNION ALL
SELECT f.sec, s.wan_name, s.metric_name, iif(typeof(f.v6) = 'integer', f.v6 / s.scale, f.v6),
    nullif(s.labels, ''), 'raw', s.source, f.us, NULL, NULL, NULL
FROM series AS s CROSS JOIN frames AS f ON f.bundle_id = s.bundle_id
WHERE s.position = 6 AND f.v6 IS NOT NULL
UNION ALL
SELECT f.sec, s.wan_name, s.metric_name, iif(typeof(f.v7) = 'integer', f.v7 / s.scale, f.v7),
    nullif(s.labels, ''), 'raw', s.source, f.us, NULL, NULL, NULL
FROM series AS s CROSS JOIN frames AS f ON f.bundle_id = s.bundle_id
WHERE s.position = 7 AND f.v7 IS NOT NULL
UNION ALL
SELECT r.start, s.wan_name, s.metric_name, r.value,
    nullif(s.labels, ''), '1m', s.source, 0, r.min, r.max, r.count
FROM series AS s CROSS JOIN rollups AS r ON r.seconds = 60 AND r.series_id = s.id
UNION ALL
SELECT r.start, s.wan_name, s.metric_name, r.value,
    nullif(s.labels, ''), '5m', s.source, 0, r.min, r.max, r.count
FROM series AS s CROSS JOIN rollups AS r ON r.seconds = 300 AND r.series_id = s.id
UNION ALL
SELECT r.start, s.wan_name, s.metric_name, r.value,
    nullif(s.labels, ''), '1h', s.source, 0, r.min, r.max, r.count
FROM series AS s CROSS JOIN rollups AS r ON r.seconds = 3600 AND r.series_id = s.id
UNION ALL
SELECT e.sec, e.wan_name, e.metric_name, e.value,
    nullif(e.labels, ''), 'raw', e.source, e.us, NULL, NULL, NULL
FROM events AS e;
