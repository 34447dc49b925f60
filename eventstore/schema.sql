-- What all migrations together give, for people to read: Halyard itself only ever migrates.
-- Written by `python -m eventstore.schema_dump`.

SET check_function_bodies = false;

CREATE TABLE public.command (
    log_id text NOT NULL COLLATE pg_catalog."C",
    actor_id text NOT NULL COLLATE pg_catalog."C",
    idempotency_key text NOT NULL COLLATE pg_catalog."C",
    request_hash bytea NOT NULL,
    outcome bytea NOT NULL,
    last_seq bigint NOT NULL,
    recorded_at timestamp with time zone NOT NULL
);

CREATE TABLE public.event (
    log_id text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    event_id text NOT NULL COLLATE pg_catalog."C",
    environment text COLLATE pg_catalog."C",
    entity_kind text NOT NULL COLLATE pg_catalog."C",
    entity_key text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    schema_version integer NOT NULL,
    critical boolean NOT NULL,
    body bytea NOT NULL,
    actor_id text NOT NULL COLLATE pg_catalog."C",
    command_id text NOT NULL COLLATE pg_catalog."C",
    correlation_id text COLLATE pg_catalog."C",
    causation_id text COLLATE pg_catalog."C",
    ends_delta boolean NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    hash bytea NOT NULL
);

CREATE FUNCTION public.append_events(to_log text, expected_seq bigint, expected_hash bytea, page_size integer, actor_ids text[], idempotency_keys text[], request_hashes bytea[], outcomes bytea[], last_events integer[], command_ids text[], correlation_ids text[], causation_ids text[], command_numbers integer[], event_ids text[], environments text[], entity_kinds text[], entity_keys text[], revisions bigint[], types text[], schema_versions integer[], criticals boolean[], bodies bytea[], credential_kinds text[] DEFAULT NULL::text[], credential_ids text[] DEFAULT NULL::text[], addresses text[] DEFAULT NULL::text[], user_agents text[] DEFAULT NULL::text[]) RETURNS TABLE(answer text, head_epoch bigint, head_seq bigint, head_hash bytea, head_at timestamp with time zone, first_at timestamp with time zone, recorded public.command, missing public.event)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
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

CREATE TABLE public.log_head (
    log_id text NOT NULL COLLATE pg_catalog."C",
    epoch bigint NOT NULL,
    last_seq bigint NOT NULL,
    last_hash bytea NOT NULL,
    last_at timestamp with time zone NOT NULL
)
WITH (fillfactor='10', autovacuum_vacuum_threshold='500', autovacuum_vacuum_scale_factor='0');

CREATE FUNCTION public.append_refused(standing text, head public.log_head, expected_seq bigint, page_size integer, actor_ids text[], idempotency_keys text[]) RETURNS TABLE(answer text, head_epoch bigint, head_seq bigint, head_hash bytea, head_at timestamp with time zone, first_at timestamp with time zone, recorded public.command, missing public.event)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.bumped_epoch(epoch bigint) RETURNS bigint
    LANGUAGE sql
    RETURN GREATEST((epoch + 1), (EXTRACT(epoch FROM clock_timestamp()))::bigint);

CREATE FUNCTION public.check_cluster_identity() RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.ensure_days(days date[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.forget_days(before date) RETURNS integer
    LANGUAGE plpgsql
    SET lock_timeout TO '2s'
    AS $$
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

CREATE FUNCTION public.genesis_hash() RETURNS bytea
    LANGUAGE sql IMMUTABLE
    RETURN decode(repeat('00'::text, 32), 'hex'::text);

CREATE FUNCTION public.length_prefixed(field bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE((int4send(octet_length(field)) || field), '\xffffffff'::bytea);

CREATE FUNCTION public.length_prefixed(field text) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN COALESCE((int4send(octet_length(field)) || convert_to(field, 'UTF8'::name)), '\xffffffff'::bytea);

CREATE FUNCTION public.locked_head(of_log text) RETURNS public.log_head
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.position_in_log(head public.log_head, of_seq bigint, of_hash bytea) RETURNS text
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.refuse_change_of_history() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% of % refused: an event is never changed or removed', tg_op, tg_table_name
        USING ERRCODE = 'HE001';
END
$$;

CREATE FUNCTION public.running_cluster(OUT system_identifier bigint, OUT timeline integer) RETURNS record
    LANGUAGE sql
    RETURN ROW((pg_control_system()).system_identifier, ((('x'::text || "left"(pg_walfile_name(pg_current_wal_insert_lsn()), 8)))::bit(32))::integer);

CREATE FUNCTION public.tables_by_day() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN ARRAY['exposure_count'::text, 'tracked_event_count'::text, 'upstream_loss'::text];

CREATE FUNCTION public.turn_of_days() RETURNS void
    LANGUAGE sql
    RETURN pg_advisory_xact_lock(('01001000010000010100110001011001010001000100000101011001'::"bit")::bigint);

CREATE TABLE public.account (
    account_id text NOT NULL COLLATE pg_catalog."C",
    email text,
    name text NOT NULL,
    password_hash text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    email_verified boolean DEFAULT false NOT NULL,
    erased_at timestamp with time zone
);

CREATE TABLE public.command_origin (
    log_id text NOT NULL COLLATE pg_catalog."C",
    last_seq bigint NOT NULL,
    first_seq bigint NOT NULL,
    actor_id text NOT NULL COLLATE pg_catalog."C",
    credential_kind text COLLATE pg_catalog."C",
    credential_id text COLLATE pg_catalog."C",
    address text,
    user_agent text,
    recorded_at timestamp with time zone NOT NULL
);

CREATE TABLE public.context_attribute (
    environment_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    attribute text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    seen bigint NOT NULL,
    last_on date NOT NULL
);

CREATE TABLE public.context_value (
    environment_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    attribute text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    seen bigint NOT NULL,
    last_on date NOT NULL
);

CREATE TABLE public.exposure_count (
    environment_id text NOT NULL COLLATE pg_catalog."C",
    flag text NOT NULL COLLATE pg_catalog."C",
    slot timestamp with time zone NOT NULL,
    version bigint NOT NULL,
    variation text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    count bigint NOT NULL,
    last_at timestamp with time zone NOT NULL
)
PARTITION BY RANGE (slot);

CREATE TABLE public.identity (
    issuer text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    identity_id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    provider text NOT NULL COLLATE pg_catalog."C",
    linked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.installation (
    only_one boolean DEFAULT true NOT NULL,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    CONSTRAINT installation_only_one_check CHECK (only_one)
);

CREATE TABLE public.login_flow (
    browser_sha256 text NOT NULL COLLATE pg_catalog."C",
    provider text NOT NULL,
    state text NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    redirect_uri text NOT NULL,
    return_to text NOT NULL,
    account_id text COLLATE pg_catalog."C",
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.login_session (
    session_id text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    provider text NOT NULL,
    address text NOT NULL,
    user_agent text NOT NULL,
    cookie_sha256 text COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    used_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone
);

CREATE TABLE public.one_time_secret (
    sha256 text NOT NULL COLLATE pg_catalog."C",
    account_id text NOT NULL COLLATE pg_catalog."C",
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.provider_role (
    account_id text NOT NULL COLLATE pg_catalog."C",
    provider text NOT NULL COLLATE pg_catalog."C",
    project text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE public.refresh_token (
    sha256 text NOT NULL COLLATE pg_catalog."C",
    session_id text NOT NULL COLLATE pg_catalog."C",
    used_at timestamp with time zone
);

CREATE TABLE public.refused_action (
    refusal_id bigint NOT NULL,
    actor_id text NOT NULL COLLATE pg_catalog."C",
    credential_kind text COLLATE pg_catalog."C",
    credential_id text COLLATE pg_catalog."C",
    permission text NOT NULL COLLATE pg_catalog."C",
    project text COLLATE pg_catalog."C",
    environment text COLLATE pg_catalog."C",
    method text NOT NULL COLLATE pg_catalog."C",
    route text NOT NULL COLLATE pg_catalog."C",
    address text,
    times bigint NOT NULL,
    refused_at timestamp with time zone NOT NULL
);

ALTER TABLE public.refused_action ALTER COLUMN refusal_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.refused_action_refusal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ruleset_content (
    log_id text NOT NULL COLLATE pg_catalog."C",
    environment text NOT NULL COLLATE pg_catalog."C",
    content bigint NOT NULL,
    fold_version integer DEFAULT 0 NOT NULL
);

CREATE TABLE public.schema_migration (
    name text NOT NULL COLLATE pg_catalog."C",
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.signing_key (
    key_id text NOT NULL COLLATE pg_catalog."C",
    secret bytea NOT NULL,
    signs_until timestamp with time zone NOT NULL,
    verifies_until timestamp with time zone NOT NULL
);

CREATE TABLE public.snapshot (
    log_id text NOT NULL COLLATE pg_catalog."C",
    fold text NOT NULL COLLATE pg_catalog."C",
    fold_version integer NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    digest bytea NOT NULL,
    state bytea NOT NULL
);

CREATE TABLE public.token_use (
    token_id text NOT NULL COLLATE pg_catalog."C",
    used_at timestamp with time zone NOT NULL
);

CREATE TABLE public.tracked_event_count (
    environment_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    slot timestamp with time zone NOT NULL,
    count bigint NOT NULL,
    valued bigint NOT NULL,
    total double precision NOT NULL,
    "least" double precision,
    most double precision,
    last_at timestamp with time zone NOT NULL
)
PARTITION BY RANGE (slot);

CREATE TABLE public.upstream_batch (
    batch_id uuid NOT NULL,
    written_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.upstream_loss (
    environment_id text NOT NULL COLLATE pg_catalog."C",
    slot timestamp with time zone NOT NULL,
    what text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    count bigint NOT NULL
)
PARTITION BY RANGE (slot);

CREATE TABLE public.webhook_credential (
    credential_id text NOT NULL COLLATE pg_catalog."C",
    log_id text NOT NULL COLLATE pg_catalog."C",
    webhook text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    value bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT webhook_credential_kind_check CHECK ((kind = ANY (ARRAY['target'::text, 'secret'::text])))
);

CREATE TABLE public.webhook_cursor (
    log_id text NOT NULL COLLATE pg_catalog."C",
    webhook text NOT NULL COLLATE pg_catalog."C",
    begun_at bigint DEFAULT 0 NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    seen_seq bigint DEFAULT 0 NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    failing_since timestamp with time zone,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    holder text COLLATE pg_catalog."C",
    leased_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.webhook_delivery (
    log_id text NOT NULL COLLATE pg_catalog."C",
    webhook text NOT NULL COLLATE pg_catalog."C",
    delivery_id uuid NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    events integer NOT NULL,
    outcome text NOT NULL COLLATE pg_catalog."C",
    attempts integer NOT NULL,
    status integer,
    duration_ms integer NOT NULL,
    error text NOT NULL,
    excerpt text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    attempted_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.command_origin
    ADD CONSTRAINT command_origin_pkey PRIMARY KEY (log_id, last_seq);

ALTER TABLE ONLY public.command
    ADD CONSTRAINT command_pkey PRIMARY KEY (log_id, actor_id, idempotency_key);

ALTER TABLE ONLY public.context_attribute
    ADD CONSTRAINT context_attribute_pkey PRIMARY KEY (environment_id, kind, attribute, type);

ALTER TABLE ONLY public.context_value
    ADD CONSTRAINT context_value_pkey PRIMARY KEY (environment_id, kind, attribute, type, value);

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (log_id, seq);

ALTER TABLE ONLY public.exposure_count
    ADD CONSTRAINT exposure_count_pkey PRIMARY KEY (environment_id, flag, slot, version, variation, reason);

ALTER TABLE ONLY public.identity
    ADD CONSTRAINT identity_identity_id_key UNIQUE (identity_id);

ALTER TABLE ONLY public.identity
    ADD CONSTRAINT identity_pkey PRIMARY KEY (issuer, subject);

ALTER TABLE ONLY public.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY public.log_head
    ADD CONSTRAINT log_head_pkey PRIMARY KEY (log_id);

ALTER TABLE ONLY public.login_flow
    ADD CONSTRAINT login_flow_pkey PRIMARY KEY (browser_sha256);

ALTER TABLE ONLY public.login_session
    ADD CONSTRAINT login_session_cookie_sha256_key UNIQUE (cookie_sha256);

ALTER TABLE ONLY public.login_session
    ADD CONSTRAINT login_session_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY public.one_time_secret
    ADD CONSTRAINT one_time_secret_account_id_key UNIQUE (account_id);

ALTER TABLE ONLY public.one_time_secret
    ADD CONSTRAINT one_time_secret_pkey PRIMARY KEY (sha256);

ALTER TABLE ONLY public.provider_role
    ADD CONSTRAINT provider_role_pkey PRIMARY KEY (account_id, provider, project, role);

ALTER TABLE ONLY public.refresh_token
    ADD CONSTRAINT refresh_token_pkey PRIMARY KEY (sha256);

ALTER TABLE ONLY public.refused_action
    ADD CONSTRAINT refused_action_pkey PRIMARY KEY (refusal_id);

ALTER TABLE ONLY public.ruleset_content
    ADD CONSTRAINT ruleset_content_pkey PRIMARY KEY (log_id, environment);

ALTER TABLE ONLY public.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.signing_key
    ADD CONSTRAINT signing_key_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY public.snapshot
    ADD CONSTRAINT snapshot_pkey PRIMARY KEY (log_id, fold, fold_version, seq);

ALTER TABLE ONLY public.token_use
    ADD CONSTRAINT token_use_pkey PRIMARY KEY (token_id);

ALTER TABLE ONLY public.tracked_event_count
    ADD CONSTRAINT tracked_event_count_pkey PRIMARY KEY (environment_id, name, slot);

ALTER TABLE ONLY public.upstream_batch
    ADD CONSTRAINT upstream_batch_pkey PRIMARY KEY (batch_id);

ALTER TABLE ONLY public.upstream_loss
    ADD CONSTRAINT upstream_loss_pkey PRIMARY KEY (environment_id, slot, what, reason);

ALTER TABLE ONLY public.webhook_credential
    ADD CONSTRAINT webhook_credential_pkey PRIMARY KEY (credential_id);

ALTER TABLE ONLY public.webhook_cursor
    ADD CONSTRAINT webhook_cursor_pkey PRIMARY KEY (log_id, webhook);

ALTER TABLE ONLY public.webhook_delivery
    ADD CONSTRAINT webhook_delivery_pkey PRIMARY KEY (log_id, webhook, delivery_id);

CREATE UNIQUE INDEX account_by_email ON public.account USING btree (lower(email));

CREATE INDEX command_origin_by_actor ON public.command_origin USING btree (actor_id);

CREATE INDEX command_origin_by_age ON public.command_origin USING btree (recorded_at) WHERE ((address IS NOT NULL) OR (user_agent IS NOT NULL));

CREATE INDEX context_attribute_by_day ON public.context_attribute USING btree (last_on);

CREATE INDEX context_value_by_day ON public.context_value USING btree (last_on);

CREATE INDEX event_by_actor ON public.event USING btree (log_id, actor_id, seq);

CREATE INDEX event_by_cause ON public.event USING btree (log_id, causation_id) WHERE (causation_id IS NOT NULL);

CREATE INDEX event_by_entity ON public.event USING btree (log_id, entity_kind, entity_key, seq, environment);

CREATE INDEX event_by_time ON public.event USING btree (log_id, recorded_at);

CREATE INDEX event_by_type ON public.event USING btree (log_id, type, seq);

CREATE INDEX identity_by_account ON public.identity USING btree (account_id, linked_at);

CREATE INDEX login_flow_by_account ON public.login_flow USING btree (account_id);

CREATE INDEX login_flow_by_end ON public.login_flow USING btree (expires_at);

CREATE INDEX login_session_by_account ON public.login_session USING btree (account_id, created_at);

CREATE INDEX login_session_by_use ON public.login_session USING btree (used_at);

CREATE INDEX refresh_token_by_session ON public.refresh_token USING btree (session_id, used_at);

CREATE INDEX refused_action_by_actor ON public.refused_action USING btree (actor_id, refusal_id);

CREATE INDEX upstream_batch_by_time ON public.upstream_batch USING btree (written_at);

CREATE INDEX webhook_credential_by_webhook ON public.webhook_credential USING btree (log_id, webhook);

CREATE INDEX webhook_cursor_by_due ON public.webhook_cursor USING btree (due_at);

CREATE INDEX webhook_delivery_by_age ON public.webhook_delivery USING btree (attempted_at);

CREATE INDEX webhook_delivery_by_time ON public.webhook_delivery USING btree (log_id, webhook, attempted_at, delivery_id);

CREATE TRIGGER event_is_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON public.event FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change_of_history();

ALTER TABLE public.event ENABLE ALWAYS TRIGGER event_is_immutable;

ALTER TABLE ONLY public.identity
    ADD CONSTRAINT identity_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(account_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.login_flow
    ADD CONSTRAINT login_flow_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(account_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.login_session
    ADD CONSTRAINT login_session_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(account_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.one_time_secret
    ADD CONSTRAINT one_time_secret_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(account_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.provider_role
    ADD CONSTRAINT provider_role_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(account_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refresh_token
    ADD CONSTRAINT refresh_token_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.login_session(session_id) ON DELETE CASCADE;
