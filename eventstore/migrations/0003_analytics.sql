-- What SDKs count, outside the event log: it may be lost, it is never replayed, and it grows old.
--
-- Counts are partitioned by day, so that forgetting a day is dropping a table. There is no default
-- partition: rows in it would stand in the way of the partition that they belong to, and be looked
-- through by every query. Whoever writes has the days of a batch made first.

CREATE TABLE exposure_count (
    environment_id text COLLATE "C",
    flag text COLLATE "C",
    -- Begin of the ten minutes that are counted together.
    slot timestamptz,
    version bigint,
    -- Empty where the caller's default was served: no variation's key is, and keys are not null.
    variation text COLLATE "C",
    reason text COLLATE "C",
    count bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (environment_id, flag, slot, version, variation, reason)
) PARTITION BY RANGE (slot);

CREATE TABLE tracked_event_count (
    environment_id text COLLATE "C",
    name text COLLATE "C",
    slot timestamptz,
    count bigint NOT NULL,
    -- How many of them had a value; total, least and most are of those.
    valued bigint NOT NULL,
    total double precision NOT NULL,
    least double precision,
    most double precision,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (environment_id, name, slot)
) PARTITION BY RANGE (slot);

-- What was lost on the way, and why.
CREATE TABLE upstream_loss (
    environment_id text COLLATE "C",
    slot timestamptz,
    what text COLLATE "C",
    reason text COLLATE "C",
    count bigint NOT NULL,
    PRIMARY KEY (environment_id, slot, what, reason)
) PARTITION BY RANGE (slot);

-- Written with what it names, so that a batch whose commit was in doubt is not counted twice.
CREATE TABLE upstream_batch (
    batch_id uuid PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX upstream_batch_by_time ON upstream_batch (written_at);

-- A sample of what contexts look like: a row for each type that an attribute was seen with.
CREATE TABLE context_attribute (
    environment_id text COLLATE "C",
    kind text COLLATE "C",
    attribute text COLLATE "C",
    type text COLLATE "C",
    seen bigint NOT NULL,
    last_on date NOT NULL,
    PRIMARY KEY (environment_id, kind, attribute, type)
);

CREATE TABLE context_value (
    environment_id text COLLATE "C",
    kind text COLLATE "C",
    attribute text COLLATE "C",
    type text COLLATE "C",
    value text COLLATE "C",
    seen bigint NOT NULL,
    last_on date NOT NULL,
    PRIMARY KEY (environment_id, kind, attribute, type, value)
);

CREATE INDEX context_attribute_by_day ON context_attribute (last_on);
CREATE INDEX context_value_by_day ON context_value (last_on);

CREATE FUNCTION tables_by_day() RETURNS text[] LANGUAGE sql IMMUTABLE
    RETURN ARRAY['exposure_count', 'tracked_event_count', 'upstream_loss'];

-- Both functions below take turns, in any number of processes.
CREATE FUNCTION turn_of_days() RETURNS void LANGUAGE sql VOLATILE
    RETURN pg_advisory_xact_lock(x'48414c59444159'::bigint);

-- Makes the partitions of these days (UTC) where they are missing. Attaching a table locks out
-- neither readers nor writers, while creating it as a partition would.
CREATE FUNCTION ensure_days(days date[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    part text;
    wanted date;
BEGIN
    PERFORM turn_of_days();
    FOREACH parent IN ARRAY tables_by_day() LOOP
        FOREACH wanted IN ARRAY days LOOP
            part := parent || '_' || to_char(wanted, 'YYYYMMDD');
            -- Not to_regclass(): it may remember that there was no such table before the turn.
            CONTINUE WHEN EXISTS (
                SELECT FROM pg_inherits AS link JOIN pg_class AS child ON child.oid = link.inhrelid
                WHERE link.inhparent = parent::regclass AND child.relname = part
            );
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', part, parent);
            EXECUTE format(
                'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part,
                wanted::timestamp AT TIME ZONE 'UTC', (wanted + 1)::timestamp AT TIME ZONE 'UTC'
            );
        END LOOP;
    END LOOP;
END
$$;

-- Drops the partitions of the days before this one, and says how many. It waits for a table no
-- longer than a moment, since everybody who comes meanwhile waits behind it.
CREATE FUNCTION forget_days(before date) RETURNS integer LANGUAGE plpgsql
SET lock_timeout = '2s' AS $$
DECLARE
    part regclass;
    dropped integer := 0;
BEGIN
    PERFORM turn_of_days();
    FOR part IN
        SELECT child.oid::regclass
        FROM unnest(tables_by_day()) WITH ORDINALITY AS parent (name, place)
        JOIN pg_inherits AS link ON link.inhparent = parent.name::regclass
        JOIN pg_class AS child ON child.oid = link.inhrelid
        WHERE right(child.relname, 8) < to_char(before, 'YYYYMMDD')
        ORDER BY parent.place, child.relname
    LOOP
        EXECUTE format('DROP TABLE %s', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
