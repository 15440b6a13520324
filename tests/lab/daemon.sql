-- Judges a run of daemon.sh: reads its history.db, marks, samples, facts and log, prints what was measured
-- and each check with the word passed or FAILED.

.bail on
.mode ascii
.separator "\t" "\n"
CREATE TABLE marks (phase TEXT, at REAL);
CREATE TABLE samples (at REAL, qdiscs TEXT);
CREATE TABLE facts (name TEXT, value INTEGER);
CREATE TABLE log (line TEXT);
.import marks marks
.import samples samples
.import facts facts
.import log log
ATTACH 'history.db' AS history;

-- What tests/lab/daemon.yaml says of the rates.
CREATE TABLE limits AS SELECT 'download' AS direction, 2.0 AS floor, 20.0 AS ceiling
    UNION ALL SELECT 'upload', 1.0, 8.0;

-- In each phase, values count once they have settled, until shortly before the change that ends it.
CREATE TABLE phases AS SELECT phase, at AS began,
    at + CASE WHEN phase IN ('lost', 'silent') THEN 0.6 ELSE 2.0 END AS settled,
    coalesce(lead(at) OVER (ORDER BY at), 1e12) AS ended FROM marks;

-- One row for each cycle of a controller.
CREATE TABLE cycles AS SELECT source, timestamp + micros / 1e6 AS at,
    max(value) FILTER (WHERE metric_name = 'wanctl_rtt_ms') AS rtt,
    max(value) FILTER (WHERE metric_name = 'wanctl_rtt_baseline_ms') AS baseline,
    max(value) FILTER (WHERE metric_name = 'wanctl_rtt_delta_ms') AS delta,
    max(value) FILTER (WHERE metric_name = 'wanctl_rate_download_mbps') AS download,
    max(value) FILTER (WHERE metric_name = 'wanctl_rate_upload_mbps') AS upload,
    max(value) FILTER (WHERE metric_name = 'wanctl_state' AND labels ->> 'direction' = 'download') AS zone,
    max(value) FILTER (WHERE metric_name = 'wanctl_state' AND labels ->> 'direction' = 'upload') AS upload_zone,
    max(value) FILTER (WHERE metric_name = 'wanctl_state' AND labels ->> 'source' = 'steering') AS congestion,
    max(value) FILTER (WHERE metric_name = 'wanctl_steering_enabled') AS steered,
    max(value) FILTER (WHERE metric_name = 'wanctl_probe_outcome') AS probe
FROM history.metrics
WHERE granularity = 'raw' AND wan_name = 'lab' AND metric_name <> 'wanctl_config_snapshot' AND labels ->> 'reason' IS NULL
GROUP BY source, timestamp, micros;

CREATE TABLE settled AS SELECT phase, cycles.*,
    row_number() OVER (PARTITION BY phase, source, rtt IS NULL ORDER BY rtt) AS place,
    count(*) OVER (PARTITION BY phase, source, rtt IS NULL) AS of
FROM cycles JOIN phases ON settled <= at AND at < ended - 0.2;

CREATE VIEW medians AS SELECT phase, source, rtt FROM settled WHERE rtt IS NOT NULL AND place = (of + 1) / 2;

-- CAKE's rates in Mbit/s, which the kernel has in bytes a second.
CREATE TABLE cake AS SELECT phase, at, began, settled, ended, direction, floor, ceiling,
    (SELECT json_extract(value, '$.options.bandwidth') * 8 / 1e6 FROM json_each(qdiscs)
     WHERE value ->> 'kind' = 'cake'
     AND value ->> 'dev' = CASE direction WHEN 'download' THEN 'ifb-wan' ELSE 'wan' END) AS rate
FROM samples CROSS JOIN limits JOIN phases ON began <= at AND at < ended;

CREATE VIEW cake_ends AS SELECT DISTINCT phase, direction, floor, ceiling,
    min(rate) OVER whole AS lowest, last_value(rate) OVER whole AS last FROM cake
WINDOW whole AS (PARTITION BY phase, direction ORDER BY at
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING);

CREATE TABLE transitions AS SELECT timestamp + micros / 1e6 AS at, value, labels FROM history.metrics
WHERE metric_name = 'wanctl_steering_enabled' AND labels ->> 'reason' <> '' ORDER BY 1;

CREATE TABLE checks (what TEXT, wanted TEXT, found TEXT, ok INTEGER);

-- (a) The measured round trip is the link's.
INSERT INTO checks
SELECT printf('%s: median RTT while %s, ms', source, phase), printf('%d to %d', low, low + 5), rtt,
    rtt BETWEEN low AND low + 5
FROM (SELECT 'autorate' AS source UNION ALL SELECT 'steering')
CROSS JOIN (SELECT 'idle' AS phase, 20 AS low UNION ALL SELECT 'raised', 120
    UNION ALL SELECT 'lowered', 20 UNION ALL SELECT 'back', 20)
LEFT JOIN medians USING (source, phase);

-- (b) Autorate answers the delay, and the kernel's CAKE does what autorate decided.
INSERT INTO checks SELECT 'download zone while idle at its end', 'GREEN (0)', zone, zone = 0
FROM settled WHERE phase = 'idle' AND source = 'autorate' ORDER BY at DESC LIMIT 1;
INSERT INTO checks SELECT 'worst download zone while raised', 'RED (3)', max(zone), max(zone) = 3
FROM settled WHERE phase = 'raised';
INSERT INTO checks SELECT printf('CAKE %s at the end of idle, Mbit/s', direction), 'the ceiling', last,
    last = ceiling
FROM limits LEFT JOIN cake_ends USING (direction, ceiling) WHERE phase = 'idle';
INSERT INTO checks SELECT printf('CAKE %s lowest while raised, Mbit/s', direction), 'the floor', lowest,
    lowest BETWEEN floor AND floor * 1.1
FROM cake_ends WHERE phase = 'raised';
INSERT INTO checks SELECT printf('CAKE %s at the end of lowered, Mbit/s', direction),
    'from twice the floor to below the ceiling', last, floor * 2 <= last AND last < ceiling
FROM cake_ends WHERE phase = 'lowered';
-- Between the time of a sample and that of the row lie a fork of tc, and a wait for the shaper's thread.
INSERT INTO checks SELECT printf('samples of CAKE %s with a rate not recorded at the time', direction),
    '0 of 30 or more', printf('%d of %d', sum(strays), count(*)), sum(strays) = 0 AND 30 <= count(*)
FROM (SELECT direction, NOT EXISTS (SELECT 1 FROM cycles WHERE source = 'autorate'
        AND cycles.at BETWEEN cake.at - 0.5 AND cake.at + 1
        AND abs(rate - CASE direction WHEN 'download' THEN download ELSE upload END) < 1e-5) AS strays FROM cake)
GROUP BY direction;

-- (c) Steering goes over and comes back, and says so.
INSERT INTO checks SELECT 'changes of route',
    '1 raised LAB_GOOD > LAB_DEGRADED, 0 lowered LAB_DEGRADED > LAB_GOOD', found,
    found = '1 raised LAB_GOOD > LAB_DEGRADED, 0 lowered LAB_DEGRADED > LAB_GOOD'
FROM (SELECT group_concat(printf('%d %s %s > %s', value, phase, labels ->> 'from_state', labels ->> 'to_state'), ', ')
    AS found FROM transitions JOIN phases ON began <= at AND at < ended);
INSERT INTO checks SELECT 'reasons of the changes', '2, each naming both states',
    group_concat(labels ->> 'reason', ', '), count(*) = 2 AND min(
    labels ->> 'reason' = printf('Transitioned from %s to %s', labels ->> 'from_state', labels ->> 'to_state'))
FROM transitions;
INSERT INTO checks SELECT 'cycles whose route is not that of the change before', '0', count(*), count(*) = 0
FROM cycles WHERE source = 'steering' AND steered <> coalesce((SELECT value FROM transitions
    WHERE transitions.at <= cycles.at ORDER BY transitions.at DESC LIMIT 1), 0);

-- (d) It ends in order, and nothing is missing.
INSERT INTO checks SELECT 'exit code', '0', value, value = 0 FROM facts WHERE name = 'exit code';
INSERT INTO checks SELECT 'lines of the log that say SIGTERM', '1', count(*), count(*) = 1
FROM log WHERE line ->> 'message' = 'Stopping.' AND line ->> 'signal' = 'SIGTERM';
INSERT INTO checks SELECT 'the closed sink: lost, evicted, rejected',
    '0, 0, 0', group_concat(found), count(*) = 1 AND min(found) = '0, 0, 0'
FROM (SELECT printf('%d, %d, %d', line ->> 'lost', line ->> 'evicted', line ->> 'rejected') AS found
    FROM log WHERE line ->> 'message' = 'Sink closed.');
INSERT INTO checks SELECT 'rows in the history', printf('the %d delivered', delivered), rows, rows = delivered
FROM (SELECT count(*) AS rows FROM history.metrics WHERE granularity = 'raw'),
    (SELECT max(line ->> 'delivered') AS delivered FROM log WHERE line ->> 'message' = 'Sink closed.');
-- An answer in a cycle has its three times, a cycle without one has no round trip.
INSERT INTO checks SELECT 'autorate: cycles with too few rows or too many', '0', count(*), count(*) = 0
FROM cycles WHERE source = 'autorate' AND (
    download IS NULL OR upload IS NULL OR zone IS NULL OR upload_zone IS NULL OR probe IS NULL
    OR (rtt IS NOT NULL) <> (probe <= 1) OR (rtt IS NOT NULL AND (baseline IS NULL OR delta IS NULL)));
INSERT INTO checks SELECT 'steering: cycles with too few rows or too many', '0', count(*), count(*) = 0
FROM cycles WHERE source = 'steering' AND (
    steered IS NULL OR congestion IS NULL OR probe IS NULL
    OR (rtt IS NOT NULL) <> (probe = 0) OR (rtt IS NOT NULL AND (baseline IS NULL OR delta IS NULL)));
INSERT INTO checks SELECT printf('%s: cycles, percent of those due', source), '95 or more', percent, 95 <= percent
FROM (SELECT source, round(100.0 * count(*) * CASE source WHEN 'autorate' THEN 0.05 ELSE 0.5 END
        / (SELECT max(at) - min(at) FROM marks), 1) AS percent
    FROM cycles WHERE at BETWEEN (SELECT min(at) FROM marks) AND (SELECT max(at) FROM marks) GROUP BY source);

-- (e) A link that is lost is called that; nothing is made up, and the rates stay.
INSERT INTO checks SELECT printf('%s: cycles with a round trip while %s', source, phase), '0 of some',
    printf('%d of %d', count(rtt), count(*)), count(rtt) = 0 AND 0 < count(*)
FROM settled WHERE phase IN ('lost', 'silent') GROUP BY phase, source;
INSERT INTO checks SELECT printf('autorate''s probes while %s', phase), wanted, found, found = wanted
FROM (SELECT 'lost' AS phase, 'PENDING LOST' AS wanted UNION ALL SELECT 'silent', 'PENDING GATEWAY_ONLY')
JOIN (SELECT phase, group_concat(outcome, ' ') AS found
    FROM (SELECT phase,
            CASE probe WHEN 2 THEN 'PENDING' WHEN 3 THEN 'GATEWAY_ONLY' WHEN 4 THEN 'LOST' ELSE probe END AS outcome
        FROM settled WHERE source = 'autorate' GROUP BY phase, probe ORDER BY min(at))
    GROUP BY phase) USING (phase);
INSERT INTO checks SELECT printf('%s rates while lost, Mbit/s', direction), 'one, between floor and ceiling',
    printf('%g to %g', min(rate), max(rate)), min(rate) = max(rate) AND floor < min(rate) AND max(rate) < ceiling
FROM (SELECT limits.*, CASE direction WHEN 'download' THEN download ELSE upload END AS rate
    FROM limits CROSS JOIN settled WHERE phase = 'lost' AND source = 'autorate')
GROUP BY direction;
INSERT INTO checks SELECT printf('CAKE %s at the end of back, Mbit/s', direction), printf('above %g', held.last),
    back.last, held.last < back.last
FROM cake_ends AS back JOIN cake_ends AS held USING (direction)
WHERE back.phase = 'back' AND held.phase = 'lost';
INSERT INTO checks SELECT 'the log on measurement', 'gone while lost, back, gone while silent', found,
    found = 'No reflector answers; rates are held. Measurement is back. No reflector answers; rates are held.'
FROM (SELECT group_concat(line ->> 'message', ' ') AS found FROM log
    WHERE line ->> 'message' IN ('No reflector answers; rates are held.', 'Measurement is back.'));

-- A check whose data are missing makes no line, so the lines are counted.
INSERT INTO checks SELECT 'checks before this one', '40', count(*), count(*) = 40 FROM checks;

.mode column
.headers on
.print
SELECT phase, round(ended - began, 1) AS seconds,
    (SELECT rtt FROM medians WHERE medians.phase = phases.phase AND source = 'autorate') AS "autorate RTT ms",
    (SELECT rtt FROM medians WHERE medians.phase = phases.phase AND source = 'steering') AS "steering RTT ms",
    round(100.0 * count(rtt) / count(*)) AS "answered %",
    max(zone) AS "worst zone",
    (SELECT last FROM cake_ends WHERE cake_ends.phase = phases.phase AND direction = 'download') AS "CAKE down Mbit/s",
    (SELECT last FROM cake_ends WHERE cake_ends.phase = phases.phase AND direction = 'upload') AS "CAKE up Mbit/s",
    (SELECT max(steered) FROM settled WHERE settled.phase = phases.phase) AS "steered"
FROM phases JOIN cycles ON began <= at AND at < ended AND source = 'autorate'
WHERE phase <> 'end' GROUP BY phase ORDER BY began;
.print
SELECT line ->> 'controller' AS controller, line ->> 'cycles' AS cycles, line ->> 'skipped' AS skipped,
    line ->> 'without_sample' AS "without sample", (line ->> 'worst_lateness_us') / 1e3 AS "worst lateness ms",
    (SELECT value FROM facts WHERE name = 'busy percent') AS "guest busy %"
FROM log WHERE line ->> 'message' = 'Controller stopped.';
.print
.mode list
.headers off
SELECT printf('%s  %s: %s (wanted: %s)', CASE WHEN ok THEN 'passed' ELSE 'FAILED' END, what, found, wanted)
FROM checks;
