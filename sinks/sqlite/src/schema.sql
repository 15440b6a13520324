-- Labels are '' where there are none, because NULLs are never equal in a unique key.
CREATE TABLE series (
    id          INTEGER PRIMARY KEY,
    wan_name    TEXT NOT NULL,
    metric_name TEXT NOT NULL,
    source      TEXT NOT NULL,
    labels      TEXT NOT NULL,
    UNIQUE (metric_name, wan_name, source, labels)
) STRICT;

-- Seconds and microseconds stand apart, so that a range of `timestamp` is a range of the key.
CREATE TABLE samples (
    series_id INTEGER NOT NULL,
    sec       INTEGER NOT NULL,
    us        INTEGER NOT NULL,
    value     REAL NOT NULL,
    PRIMARY KEY (series_id, sec, us)
) STRICT, WITHOUT ROWID;

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

-- CROSS JOIN holds the planner to "find the series, then read its range".
CREATE VIEW metrics (timestamp, wan_name, metric_name, value, labels, granularity, source, micros) AS
SELECT x.sec, s.wan_name, s.metric_name, x.value, nullif(s.labels, ''), 'raw', s.source, x.us
FROM series AS s CROSS JOIN samples AS x ON x.series_id = s.id
UNION ALL
SELECT e.sec, e.wan_name, e.metric_name, e.value, nullif(e.labels, ''), 'raw', e.source, e.us
FROM events AS e;
