-- What the Orleans ADO.NET providers need of PostgreSQL: they read their query texts by key from a table named OrleansQuery and
-- find it by the search path of their connection. Parameter and result names are the providers'; everything else is ours.
CREATE SCHEMA orleans;

CREATE TABLE orleans.orleansquery (
    querykey text PRIMARY KEY,
    querytext text NOT NULL
);

-- Clustering: one row a cluster, whose version every membership change must name and raises.
CREATE TABLE orleans.clusters (
    cluster_id text PRIMARY KEY,
    version int NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE orleans.members (
    cluster_id text NOT NULL REFERENCES orleans.clusters ON DELETE CASCADE,
    address text NOT NULL,
    port int NOT NULL,
    generation int NOT NULL,
    silo_name text NOT NULL,
    host_name text NOT NULL,
    status int NOT NULL,
    proxy_port int,
    suspect_times text,
    start_time timestamptz NOT NULL,
    alive_time timestamptz NOT NULL,
    PRIMARY KEY (cluster_id, address, port, generation)
) WITH (fillfactor = 50);

INSERT INTO orleans.orleansquery (querykey, querytext) VALUES
('InsertMembershipVersionKey', $query$
WITH added AS (
    INSERT INTO orleans.clusters (cluster_id) VALUES (@DeploymentId) ON CONFLICT DO NOTHING RETURNING 1)
SELECT count(*)::int FROM added
$query$),

-- The version is raised and the row is added, or neither: a second writer waits for the cluster's row and finds another version.
('InsertMembershipKey', $query$
WITH raised AS (
    UPDATE orleans.clusters AS c SET version = c.version + 1, changed_at = now()
    WHERE c.cluster_id = @DeploymentId AND c.version = @Version
      AND NOT EXISTS (
        SELECT FROM orleans.members AS m
        WHERE m.cluster_id = @DeploymentId AND m.address = @Address AND m.port = @Port AND m.generation = @Generation)
    RETURNING c.cluster_id),
added AS (
    INSERT INTO orleans.members
        (cluster_id, address, port, generation, silo_name, host_name, status, proxy_port, start_time, alive_time)
    SELECT cluster_id, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort, @StartTime, @IAmAliveTime
    FROM raised
    RETURNING 1)
SELECT count(*)::int FROM added
$query$),

('UpdateMembershipKey', $query$
WITH member AS (
    SELECT m.cluster_id FROM orleans.members AS m
    WHERE m.cluster_id = @DeploymentId AND m.address = @Address AND m.port = @Port AND m.generation = @Generation
    FOR UPDATE),
raised AS (
    UPDATE orleans.clusters AS c SET version = c.version + 1, changed_at = now()
    FROM member
    WHERE c.cluster_id = member.cluster_id AND c.version = @Version
    RETURNING c.cluster_id),
changed AS (
    UPDATE orleans.members AS m
    SET status = @Status, suspect_times = @SuspectTimes, alive_time = greatest(m.alive_time, @IAmAliveTime)
    FROM raised
    WHERE m.cluster_id = raised.cluster_id AND m.address = @Address AND m.port = @Port AND m.generation = @Generation
    RETURNING 1)
SELECT count(*)::int FROM changed
$query$),

('UpdateIAmAlivetimeKey', $query$
UPDATE orleans.members AS m SET alive_time = @IAmAliveTime
WHERE m.cluster_id = @DeploymentId AND m.address = @Address AND m.port = @Port AND m.generation = @Generation
$query$),

-- Both reads answer at least one row, which carries the version, as soon as the cluster is known.
('MembershipReadRowKey', $query$
SELECT c.cluster_id AS "DeploymentId", c.version AS "Version",
       m.address AS "Address", m.port AS "Port", m.generation AS "Generation", m.silo_name AS "SiloName", m.host_name AS "HostName",
       m.status AS "Status", m.proxy_port AS "ProxyPort", m.suspect_times AS "SuspectTimes",
       m.start_time AS "StartTime", m.alive_time AS "IAmAliveTime"
FROM orleans.clusters AS c
LEFT JOIN orleans.members AS m
    ON m.cluster_id = c.cluster_id AND m.address = @Address AND m.port = @Port AND m.generation = @Generation
WHERE c.cluster_id = @DeploymentId
$query$),

('MembershipReadAllKey', $query$
SELECT c.cluster_id AS "DeploymentId", c.version AS "Version",
       m.address AS "Address", m.port AS "Port", m.generation AS "Generation", m.silo_name AS "SiloName", m.host_name AS "HostName",
       m.status AS "Status", m.proxy_port AS "ProxyPort", m.suspect_times AS "SuspectTimes",
       m.start_time AS "StartTime", m.alive_time AS "IAmAliveTime"
FROM orleans.clusters AS c
LEFT JOIN orleans.members AS m ON m.cluster_id = c.cluster_id
WHERE c.cluster_id = @DeploymentId
$query$),

('DeleteMembershipTableEntriesKey', $query$
DELETE FROM orleans.clusters AS c WHERE c.cluster_id = @DeploymentId
$query$),

('GatewaysQueryKey', $query$
SELECT m.address AS "Address", m.proxy_port AS "ProxyPort", m.generation AS "Generation"
FROM orleans.members AS m
WHERE m.cluster_id = @DeploymentId AND m.status = @Status AND m.proxy_port > 0
$query$),

-- 6 is SiloStatus.Dead. All of a row's times must be past, and suspicions carry times that only Orleans reads.
('CleanupDefunctSiloEntriesKey', $query$
DELETE FROM orleans.members AS m
WHERE m.cluster_id = @DeploymentId AND m.status = 6 AND coalesce(m.suspect_times, '') = ''
  AND m.alive_time < @IAmAliveTime AND m.start_time < @IAmAliveTime
$query$),

-- Removes a dead silo's row that is still as it was when it was judged.
('CleanupDefunctSiloEntryKey', $query$
DELETE FROM orleans.members AS m
WHERE m.cluster_id = @DeploymentId AND m.address = @Address AND m.port = @Port AND m.generation = @Generation
  AND m.status = 6 AND m.start_time = @StartTime AND m.alive_time = @IAmAliveTime
  AND coalesce(m.suspect_times, '') = coalesce(@SuspectTimes, '')
$query$);

-- Reminders. Hashes are 32 bits, signed; a range excludes its begin, includes its end, and may wrap around.
CREATE TABLE orleans.reminders (
    service_id text NOT NULL,
    grain_id text NOT NULL,
    name text NOT NULL,
    grain_hash int NOT NULL,
    start_time timestamptz NOT NULL,
    period_ms bigint NOT NULL,
    version int NOT NULL DEFAULT 0,
    PRIMARY KEY (service_id, grain_id, name)
);

CREATE INDEX reminders_by_hash ON orleans.reminders (service_id, grain_hash);

INSERT INTO orleans.orleansquery (querykey, querytext) VALUES
('UpsertReminderRowKey', $query$
INSERT INTO orleans.reminders AS r (service_id, grain_id, name, grain_hash, start_time, period_ms)
VALUES (@ServiceId, @GrainId, @ReminderName, @GrainHash, @StartTime, @Period)
ON CONFLICT (service_id, grain_id, name) DO UPDATE
SET grain_hash = excluded.grain_hash, start_time = excluded.start_time, period_ms = excluded.period_ms, version = r.version + 1
RETURNING version AS "Version"
$query$),

('ReadReminderRowKey', $query$
SELECT r.grain_id AS "GrainId", r.name AS "ReminderName", r.start_time AS "StartTime", r.period_ms AS "Period", r.version AS "Version"
FROM orleans.reminders AS r
WHERE r.service_id = @ServiceId AND r.grain_id = @GrainId AND r.name = @ReminderName
$query$),

('ReadReminderRowsKey', $query$
SELECT r.grain_id AS "GrainId", r.name AS "ReminderName", r.start_time AS "StartTime", r.period_ms AS "Period", r.version AS "Version"
FROM orleans.reminders AS r
WHERE r.service_id = @ServiceId AND r.grain_id = @GrainId
$query$),

('ReadRangeRows1Key', $query$
SELECT r.grain_id AS "GrainId", r.name AS "ReminderName", r.start_time AS "StartTime", r.period_ms AS "Period", r.version AS "Version"
FROM orleans.reminders AS r
WHERE r.service_id = @ServiceId AND r.grain_hash > @BeginHash AND r.grain_hash <= @EndHash
$query$),

('ReadRangeRows2Key', $query$
SELECT r.grain_id AS "GrainId", r.name AS "ReminderName", r.start_time AS "StartTime", r.period_ms AS "Period", r.version AS "Version"
FROM orleans.reminders AS r
WHERE r.service_id = @ServiceId AND (r.grain_hash > @BeginHash OR r.grain_hash <= @EndHash)
$query$),

('DeleteReminderRowKey', $query$
WITH removed AS (
    DELETE FROM orleans.reminders AS r
    WHERE r.service_id = @ServiceId AND r.grain_id = @GrainId AND r.name = @ReminderName AND r.version = @Version
    RETURNING 1)
SELECT count(*)::int FROM removed
$query$),

('DeleteReminderRowsKey', $query$
DELETE FROM orleans.reminders AS r WHERE r.service_id = @ServiceId
$query$);

-- Grain storage. The grain's key itself is unique, so the first write of two activations is decided here; the hashes that the
-- providers also send are not needed. A cleared state keeps its row, and with it the version that the next write must name.
CREATE TABLE orleans.grain_states (
    service_id text NOT NULL,
    grain_type text NOT NULL,
    key_n0 bigint NOT NULL,
    key_n1 bigint NOT NULL,
    key_text text NOT NULL DEFAULT '',
    version int NOT NULL,
    payload bytea,
    modified_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service_id, grain_type, key_n0, key_n1, key_text)
) WITH (fillfactor = 80);

INSERT INTO orleans.orleansquery (querykey, querytext) VALUES
('ReadFromStorageKey', $query$
SELECT s.payload AS "PayloadBinary", s.version AS "Version"
FROM orleans.grain_states AS s
WHERE s.service_id = @ServiceId AND s.grain_type = @GrainTypeString
  AND s.key_n0 = @GrainIdN0 AND s.key_n1 = @GrainIdN1 AND s.key_text = coalesce(@GrainIdExtensionString, '')
$query$),

-- A write that changes nothing answers the version it was given, which Orleans takes for a conflict.
('WriteToStorageKey', $query$
WITH added AS (
    INSERT INTO orleans.grain_states (service_id, grain_type, key_n0, key_n1, key_text, version, payload)
    SELECT @ServiceId, @GrainTypeString, @GrainIdN0, @GrainIdN1, coalesce(@GrainIdExtensionString, ''), 1, @PayloadBinary
    WHERE @GrainStateVersion IS NULL
    ON CONFLICT DO NOTHING
    RETURNING version),
changed AS (
    UPDATE orleans.grain_states AS s SET version = s.version + 1, payload = @PayloadBinary, modified_at = now()
    WHERE s.service_id = @ServiceId AND s.grain_type = @GrainTypeString
      AND s.key_n0 = @GrainIdN0 AND s.key_n1 = @GrainIdN1 AND s.key_text = coalesce(@GrainIdExtensionString, '')
      AND s.version = @GrainStateVersion
    RETURNING s.version)
SELECT coalesce((SELECT version FROM added), (SELECT version FROM changed), @GrainStateVersion) AS "NewGrainStateVersion"
$query$),

-- These two answer no row on a conflict.
('ClearStorageKey', $query$
UPDATE orleans.grain_states AS s SET version = s.version + 1, payload = NULL, modified_at = now()
WHERE s.service_id = @ServiceId AND s.grain_type = @GrainTypeString
  AND s.key_n0 = @GrainIdN0 AND s.key_n1 = @GrainIdN1 AND s.key_text = coalesce(@GrainIdExtensionString, '')
  AND s.version = @GrainStateVersion
RETURNING s.version AS "NewGrainStateVersion"
$query$),

('DeleteStorageKey', $query$
DELETE FROM orleans.grain_states AS s
WHERE s.service_id = @ServiceId AND s.grain_type = @GrainTypeString
  AND s.key_n0 = @GrainIdN0 AND s.key_n1 = @GrainIdN1 AND s.key_text = coalesce(@GrainIdExtensionString, '')
  AND s.version = @GrainStateVersion
RETURNING s.version + 1 AS "NewGrainStateVersion"
$query$);
