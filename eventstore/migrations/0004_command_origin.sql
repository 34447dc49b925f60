-- Where commands came from. Personal data, so it is beside the log and outside of its chain, where
-- it can be forgotten; but it is written in the transaction of the events, so none is lost.
--
-- In the order of the log, as events are: appending to it is cheap, and an event lies between the
-- first and the last of its command.
CREATE TABLE command_origin (
    log_id text COLLATE "C",
    last_seq bigint,
    first_seq bigint NOT NULL,
    actor_id text COLLATE "C" NOT NULL,
    credential_kind text COLLATE "C",
    credential_id text COLLATE "C",
    address text,
    user_agent text,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (log_id, last_seq)
);

CREATE INDEX command_origin_by_actor ON command_origin (actor_id);
CREATE INDEX command_origin_by_age ON command_origin (recorded_at)
    WHERE address IS NOT NULL OR user_agent IS NOT NULL;

-- The same function with four more arguments. They have defaults, so that a program of before this
-- migration goes on calling it.
DROP FUNCTION append_events(
    text, bigint, bytea, integer, text[], text[], bytea[], bytea[], integer[], text[], text[],
    text[], integer[], text[], text[], text[], text[], bigint[], text[], integer[], boolean[],
    bytea[]
);

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
    bodies bytea[],
    -- one element per command; NULL where nothing is known of any
    credential_kinds text[] DEFAULT NULL,
    credential_ids text[] DEFAULT NULL,
    addresses text[] DEFAULT NULL,
    user_agents text[] DEFAULT NULL
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

    IF credential_kinds IS NOT NULL THEN
        -- A command without events left nothing behind that could be asked about.
        INSERT INTO command_origin
            SELECT to_log, head.last_seq + c.last_event, head.last_seq + c.before + 1, c.actor_id,
                c.credential_kind, c.credential_id, c.address, c.user_agent, first_at
            FROM unnest(
                last_events, 0 || last_events, actor_ids, credential_kinds, credential_ids,
                addresses, user_agents
            ) AS c (
                last_event, before, actor_id, credential_kind, credential_id, address, user_agent
            )
            WHERE c.last_event > c.before
                AND coalesce(c.credential_kind, c.address, c.user_agent) IS NOT NULL;
    END IF;

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
