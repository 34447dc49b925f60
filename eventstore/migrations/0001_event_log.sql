-- The event log: one dense, hash-chained sequence of events per project, and what belongs to it.
--
-- Every key is compared byte by byte (COLLATE "C"): an index of a language's collation breaks when
-- the operating system's library is upgraded, and nobody sorts opaque keys for reading.

DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the database must be created with encoding UTF8, it has %',
            current_setting('server_encoding');
    END IF;
END
$$;

-- Which PostgreSQL wrote this history. A dump or a base backup carries the row along, so a
-- difference between it and the running server means that history may have forked.
CREATE TABLE installation (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL
);

-- The counter row that orders a log. Its lock is what makes numbering order = commit order.
-- The low fillfactor leaves room on the page, so that each append is a heap-only update.
CREATE TABLE log_head (
    log_id text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL,
    last_seq bigint NOT NULL,
    last_hash bytea NOT NULL,
    last_at timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE ruleset_content (
    log_id text COLLATE "C",
    environment text COLLATE "C",
    content bigint NOT NULL,
    PRIMARY KEY (log_id, environment)
);

-- No unique constraint but the key: the head's lock holds the rest, and partitions stay possible.
CREATE TABLE event (
    log_id text COLLATE "C",
    seq bigint,
    event_id text COLLATE "C" NOT NULL,
    environment text COLLATE "C",
    entity_kind text COLLATE "C" NOT NULL,
    entity_key text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    type text COLLATE "C" NOT NULL,
    schema_version integer NOT NULL,
    critical boolean NOT NULL,
    body bytea NOT NULL,
    actor_id text COLLATE "C" NOT NULL,
    command_id text COLLATE "C" NOT NULL,
    correlation_id text COLLATE "C",
    causation_id text COLLATE "C",
    ends_delta boolean NOT NULL,
    recorded_at timestamptz NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (log_id, seq)
);

CREATE INDEX event_by_time ON event (log_id, recorded_at);
-- The environment comes last: one unit's events and all events of its flag are both read in order.
CREATE INDEX event_by_entity ON event (log_id, entity_kind, entity_key, seq, environment);
CREATE INDEX event_by_actor ON event (log_id, actor_id, seq);
CREATE INDEX event_by_type ON event (log_id, type, seq);

CREATE FUNCTION refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % refused: an event is never changed or removed', tg_op, tg_table_name
        USING ERRCODE = 'HE001';
END
$$;

CREATE TRIGGER event_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
-- Also where session_replication_role asks for triggers to be skipped.
ALTER TABLE event ENABLE ALWAYS TRIGGER event_is_immutable;

-- The answers given to accepted commands, to be given again.
CREATE TABLE command (
    log_id text COLLATE "C",
    actor_id text COLLATE "C",
    idempotency_key text COLLATE "C",
    request_hash bytea NOT NULL,
    outcome bytea NOT NULL,
    last_seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (log_id, actor_id, idempotency_key)
);

CREATE TABLE snapshot (
    log_id text COLLATE "C",
    fold text COLLATE "C",
    fold_version integer,
    seq bigint,
    hash bytea NOT NULL,
    digest bytea NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (log_id, fold, fold_version, seq)
);

-- Personal data of operators: here they can be corrected and erased, in an event they could not.
CREATE TABLE account (
    account_id text COLLATE "C" PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL,
    password_hash text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX account_by_email ON account (lower(email));

-- The timeline is read from the position of the log that is being written, since the control file
-- learns of a promotion only with the checkpoint after it.
CREATE FUNCTION running_cluster(OUT system_identifier bigint, OUT timeline integer)
LANGUAGE sql VOLATILE
RETURN (
    (pg_control_system()).system_identifier,
    ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer
);

INSERT INTO installation (system_identifier, timeline) SELECT * FROM running_cluster();

CREATE FUNCTION bumped_epoch(epoch bigint) RETURNS bigint LANGUAGE sql VOLATILE
    RETURN greatest(epoch + 1, extract(epoch FROM clock_timestamp())::bigint);

-- True where another cluster, or another timeline, than the last one that was seen now runs: every
-- log's history may have forked, and every epoch was changed.
CREATE FUNCTION check_cluster_identity() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    running record;
BEGIN
    SELECT * INTO running FROM running_cluster();
    IF EXISTS (
        SELECT FROM installation AS known
        WHERE known.system_identifier = running.system_identifier
            AND known.timeline = running.timeline
    ) THEN
        RETURN false;
    END IF;
    -- Of several connections that notice at once, one waits here for the other, and finds nothing.
    UPDATE installation AS known
        SET system_identifier = running.system_identifier, timeline = running.timeline
        WHERE (known.system_identifier, known.timeline)
            IS DISTINCT FROM (running.system_identifier, running.timeline);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE log_head SET epoch = bumped_epoch(epoch);
    RETURN true;
END
$$;

-- eventstore/chain.py computes the same, and says what each byte means.
CREATE FUNCTION length_prefixed(field bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(int4send(octet_length(field)) || field, '\xffffffff'::bytea);

CREATE FUNCTION length_prefixed(field text) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(int4send(octet_length(field)) || convert_to(field, 'UTF8'), '\xffffffff'::bytea);

CREATE FUNCTION genesis_hash() RETURNS bytea LANGUAGE sql IMMUTABLE
    RETURN decode(repeat('00', 32), 'hex');

-- Locks the head, in a statement of its own; the first command of a log creates it.
CREATE FUNCTION locked_head(of_log text) RETURNS log_head LANGUAGE plpgsql AS $$
DECLARE
    head log_head;
BEGIN
    SELECT * INTO head FROM log_head WHERE log_id = of_log FOR NO KEY UPDATE;
    IF FOUND THEN
        RETURN head;
    END IF;
    INSERT INTO log_head VALUES (
        of_log, extract(epoch FROM clock_timestamp())::bigint, 0, genesis_hash(), 'epoch'
    ) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT head FROM log_head WHERE log_id = of_log FOR NO KEY UPDATE;
    RETURN head;
END
$$;

-- Where a caller who has read up to a seq, with this hash, stands: current, behind or forked.
CREATE FUNCTION position_in_log(head log_head, of_seq bigint, of_hash bytea) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    IF of_seq = head.last_seq THEN
        RETURN CASE of_hash WHEN head.last_hash THEN 'current' ELSE 'forked' END;
    ELSIF of_seq = 0 OR EXISTS (
        SELECT FROM event WHERE log_id = head.log_id AND seq = of_seq AND hash = of_hash
    ) THEN
        RETURN 'behind';
    END IF;
    RETURN 'forked';
END
$$;

-- What append_events answers where it wrote nothing. Its columns are explained there.
CREATE FUNCTION append_refused(
    standing text,
    head log_head,
    expected_seq bigint,
    page_size integer,
    actor_ids text[],
    idempotency_keys text[]
) RETURNS TABLE (
    answer text,
    head_epoch bigint,
    head_seq bigint,
    head_hash bytea,
    head_at timestamptz,
    first_at timestamptz,
    recorded command,
    missing event
) LANGUAGE plpgsql AS $$
BEGIN
    FOR recorded IN
        SELECT already.*
        FROM unnest(actor_ids, idempotency_keys) AS wanted (actor_id, idempotency_key)
        CROSS JOIN LATERAL (
            SELECT * FROM command
            WHERE log_id = head.log_id
                AND actor_id = wanted.actor_id AND idempotency_key = wanted.idempotency_key
            LIMIT 1
        ) AS already
    LOOP
        answer := 'recorded';
        RETURN NEXT;
    END LOOP;
    IF answer IS NOT NULL THEN
        RETURN;
    ELSIF standing = 'recorded' THEN
        RAISE unique_violation USING MESSAGE = 'one batch names the same command twice',
            CONSTRAINT = 'command_pkey', TABLE = 'command';
    END IF;

    answer := standing;
    head_epoch := head.epoch;
    head_seq := head.last_seq;
    head_hash := head.last_hash;
    head_at := head.last_at;
    RETURN NEXT;
    IF standing <> 'behind' THEN
        RETURN;
    END IF;
    answer := 'missing';
    FOR missing IN
        SELECT * FROM event
        WHERE log_id = head.log_id AND seq > expected_seq ORDER BY seq LIMIT page_size
    LOOP
        RETURN NEXT;
    END LOOP;
END
$$;

-- The only way an event is written. Answers:
--   recorded: some of these commands had been recorded; one row for each of those
--   forked:   the caller's position is not on this log
--   behind:   then one row ("missing") for each event the caller lacks, page_size of them at most
--   appended: head_* is the new head, first_at the time of the first event; each further event of
--             the batch is one microsecond later than the one before it
--
-- READ COMMITTED takes a new snapshot for each statement, so everything after the lock of the head
-- sees every append before it. Idempotency goes before the position: a command whose answer was
-- lost must be answered from the record, however far the log has gone on.
CREATE FUNCTION append_events(
    to_log text,
    expected_seq bigint,
    expected_hash bytea,
    page_size integer,
    -- one element per command; a last event is a position among the events of this batch
    actor_ids text[],
    idempotency_keys text[],
    request_hashes bytea[],
    outcomes bytea[],
    last_events integer[],
    command_ids text[],
    correlation_ids text[],
    causation_ids text[],
    -- one element per event; a command number is a position among the commands
    command_numbers integer[],
    event_ids text[],
    environments text[],
    entity_kinds text[],
    entity_keys text[],
    revisions bigint[],
    types text[],
    schema_versions integer[],
    criticals boolean[],
    bodies bytea[]
) RETURNS TABLE (
    answer text,
    head_epoch bigint,
    head_seq bigint,
    head_hash bytea,
    head_at timestamptz,
    first_at timestamptz,
    recorded command,
    missing event
) LANGUAGE plpgsql
-- The arrays would be planned as constants, anew for each call: most of the time went there.
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    head log_head := locked_head(to_log);
    next_event event;
    events event[] := '{}';
BEGIN
    answer := position_in_log(head, expected_seq, expected_hash);
    first_at := greatest(clock_timestamp(), head.last_at + interval '1 microsecond');

    IF answer = 'current' THEN
        -- The unique index is the question whether a command was recorded: asking first costs more.
        BEGIN
            INSERT INTO command
                SELECT to_log, c.actor_id, c.idempotency_key, c.request_hash, c.outcome,
                    head.last_seq + c.last_event, first_at
                FROM unnest(actor_ids, idempotency_keys, request_hashes, outcomes, last_events)
                    AS c (actor_id, idempotency_key, request_hash, outcome, last_event);
        EXCEPTION WHEN unique_violation THEN
            answer := 'recorded';
        END;
    END IF;

    IF answer <> 'current' THEN
        RETURN QUERY SELECT * FROM append_refused(
            answer, head, expected_seq, page_size, actor_ids, idempotency_keys
        );
        RETURN;
    END IF;

    head_hash := head.last_hash;
    FOR next_event IN
        SELECT
            to_log, head.last_seq + e.n, e.event_id, e.environment, e.entity_kind, e.entity_key,
            e.revision, e.type, e.schema_version, e.critical, e.body,
            actor_ids[e.command_number], command_ids[e.command_number],
            correlation_ids[e.command_number], causation_ids[e.command_number],
            last_events[e.command_number] = e.n,
            first_at + (e.n - 1) * interval '1 microsecond',
            NULL
        FROM unnest(
            command_numbers, event_ids, environments, entity_kinds, entity_keys, revisions, types,
            schema_versions, criticals, bodies
        ) WITH ORDINALITY AS e (
            command_number, event_id, environment, entity_kind, entity_key, revision, type,
            schema_version, critical, body, n
        )
    LOOP
        head_hash := sha256(
            head_hash
            || length_prefixed(next_event.log_id)
            || length_prefixed(int8send(next_event.seq))
            || length_prefixed(next_event.event_id)
            || length_prefixed(next_event.environment)
            || length_prefixed(next_event.entity_kind)
            || length_prefixed(next_event.entity_key)
            || length_prefixed(int8send(next_event.revision))
            || length_prefixed(next_event.type)
            || length_prefixed(int4send(next_event.schema_version))
            || length_prefixed(boolsend(next_event.critical))
            || length_prefixed(next_event.body)
            || length_prefixed(next_event.actor_id)
            || length_prefixed(next_event.command_id)
            || length_prefixed(next_event.correlation_id)
            || length_prefixed(next_event.causation_id)
            || length_prefixed(boolsend(next_event.ends_delta))
            || length_prefixed(timestamptz_send(next_event.recorded_at))
        );
        next_event.hash := head_hash;
        events := events || next_event;
    END LOOP;
    INSERT INTO event SELECT * FROM unnest(events);

    answer := 'appended';
    head_epoch := head.epoch;
    head_seq := head.last_seq + cardinality(events);
    head_at := head.last_at;
    IF cardinality(events) > 0 THEN
        head_at := next_event.recorded_at;
    END IF;
    UPDATE log_head SET last_seq = head_seq, last_hash = head_hash, last_at = head_at
        WHERE log_id = to_log;
    RETURN NEXT;
END
$$;
