-- Every statement of the event store, under the name of its intention.

-- name: event_columns
-- What a stored event is made of, in this order, wherever a statement says event_columns in braces.
-- Named one by one, so that a version that knows fewer columns goes on reading a newer table.
log_id, seq, event_id, environment, entity_kind, entity_key, revision, type, schema_version,
critical, body, actor_id, command_id, correlation_id, causation_id, ends_delta, recorded_at, hash

-- name: append
-- The rows are taken apart here: the driver would have to ask for the composite types first.
SELECT
    answer, head_epoch, head_seq, head_hash, head_at, first_at,
    (recorded).actor_id, (recorded).idempotency_key, (recorded).request_hash, (recorded).outcome,
    (recorded).last_seq,
    (missing).log_id, (missing).seq, (missing).event_id, (missing).environment,
    (missing).entity_kind, (missing).entity_key, (missing).revision, (missing).type,
    (missing).schema_version, (missing).critical, (missing).body, (missing).actor_id,
    (missing).command_id, (missing).correlation_id, (missing).causation_id, (missing).ends_delta,
    (missing).recorded_at, (missing).hash
FROM append_events(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
    $22, $23, $24, $25, $26
);

-- name: lock_head
SELECT log_id, epoch, last_seq, last_hash, last_at FROM locked_head($1);

-- name: head
SELECT log_id, epoch, last_seq, last_hash, last_at FROM log_head WHERE log_id = $1;

-- name: heads
SELECT log_id, epoch, last_seq, last_hash, last_at FROM log_head ORDER BY log_id;

-- name: positions
SELECT log_id, epoch, last_seq FROM log_head;

-- name: read
SELECT {event_columns} FROM event WHERE log_id = $1 AND seq > $2 ORDER BY seq LIMIT $3;

-- name: read_upto
SELECT {event_columns} FROM event
WHERE log_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4;

-- name: ends
-- The head and the newest event in one snapshot: they differ only where the log was tampered with.
SELECT
    coalesce((SELECT last_seq FROM log_head WHERE log_id = $1), 0) AS head_seq,
    coalesce((SELECT seq FROM event WHERE log_id = $1 ORDER BY seq DESC LIMIT 1), 0) AS newest_seq;

-- name: seq_at
SELECT seq FROM event WHERE log_id = $1 AND recorded_at <= $2 ORDER BY recorded_at DESC LIMIT 1;

-- name: recorded
SELECT already.actor_id, already.idempotency_key, already.request_hash, already.outcome,
    already.last_seq
FROM unnest($2::text[], $3::text[]) AS wanted (actor_id, idempotency_key)
CROSS JOIN LATERAL (
    SELECT * FROM command
    WHERE log_id = $1
        AND actor_id = wanted.actor_id AND idempotency_key = wanted.idempotency_key
    LIMIT 1
) AS already;

-- name: bump_epoch
UPDATE log_head SET epoch = bumped_epoch(epoch) WHERE log_id = $1 RETURNING epoch;

-- name: bump_all_epochs
-- The installation's row is locked first, so that two of these never wait for each other in a ring.
WITH turn AS MATERIALIZED (SELECT FROM installation FOR UPDATE)
UPDATE log_head SET epoch = bumped_epoch(epoch) FROM turn;

-- name: check_cluster_identity
SELECT check_cluster_identity();

-- name: save_snapshot
-- Only of a state that lies on this log: the chain's hash at its seq must be the one it was folded to.
WITH at AS (SELECT FROM event WHERE log_id = $1 AND seq = $4 AND hash = $5),
stored AS (
    INSERT INTO snapshot (log_id, fold, fold_version, seq, hash, digest, state)
    SELECT $1, $2, $3, $4, $5, $6, $7 FROM at
    ON CONFLICT (log_id, fold, fold_version, seq) DO UPDATE
        SET hash = excluded.hash, digest = excluded.digest, state = excluded.state
)
SELECT EXISTS (SELECT FROM at);

-- name: thin_snapshots
-- Keeps the newest few ($4), and of the older ones the first of each span of $5 events; of those from
-- before a seq ($6) the first of five times as many.
DELETE FROM snapshot AS old
WHERE old.log_id = $1 AND old.fold = $2 AND old.fold_version = $3
    AND old.seq < (
        SELECT min(newest.seq) FROM (
            SELECT seq FROM snapshot
            WHERE log_id = $1 AND fold = $2 AND fold_version = $3 ORDER BY seq DESC LIMIT $4
        ) AS newest
    )
    AND EXISTS (
        SELECT FROM snapshot AS earlier
        WHERE earlier.log_id = $1 AND earlier.fold = $2 AND earlier.fold_version = $3
            AND earlier.seq < old.seq
            AND earlier.seq / (CASE WHEN old.seq < $6 THEN 5 ELSE 1 END * $5)
                = old.seq / (CASE WHEN old.seq < $6 THEN 5 ELSE 1 END * $5)
    );

-- name: load_snapshot
-- From the newest to earlier ones (OFFSET 0 keeps that order), until one is of this log's history.
SELECT stored.seq, stored.hash, stored.digest, stored.state
FROM (
    SELECT log_id, seq, hash, digest, state FROM snapshot
    WHERE log_id = $1 AND fold = $2 AND fold_version = $3 AND seq <= $4
    ORDER BY seq DESC OFFSET 0
) AS stored
WHERE stored.hash = (
    SELECT at.hash FROM event AS at
    WHERE at.log_id = stored.log_id AND at.seq = stored.seq
)
LIMIT 1;

-- name: insert_account
INSERT INTO account (account_id, email, name, password_hash) VALUES ($1, $2, $3, $4)
RETURNING account_id, email, name, password_hash, created_at, email_verified, erased_at;

-- name: account_by_id
SELECT account_id, email, name, password_hash, created_at, email_verified, erased_at
FROM account WHERE account_id = $1;

-- name: account_by_email
SELECT account_id, email, name, password_hash, created_at, email_verified, erased_at
FROM account WHERE lower(email) = lower($1);

-- name: accounts_by_ids
SELECT account_id, email, name, password_hash, created_at, email_verified, erased_at
FROM account WHERE account_id = ANY ($1);

-- name: search_accounts
-- $1 is the text, with what LIKE would take for a wildcard escaped.
SELECT account_id, email, name, password_hash, created_at, email_verified, erased_at
FROM account WHERE $1 = '' OR name ILIKE '%' || $1 || '%' OR email ILIKE '%' || $1 || '%';

-- name: page_of_accounts
-- In the order $2, from behind a place ($3) and an id ($4); of those in $5, $6 at most. Who was erased
-- stands where their pseudonym ($7 and some of the id) does.
SELECT place, account_id, email, name, password_hash, created_at, email_verified, erased_at
FROM account, LATERAL (
    SELECT CASE $2::text
        WHEN 'name' THEN
            lower(CASE WHEN erased_at IS NULL THEN name ELSE $7 || left(account_id, 6) END)
        WHEN 'email' THEN lower(coalesce(email, ''))
        ELSE to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
    END COLLATE "C" AS place
) AS ordered
WHERE ($1 = '' OR name ILIKE '%' || $1 || '%' OR email ILIKE '%' || $1 || '%')
    AND ($3::text IS NULL OR (place, account_id) > ($3, $4))
    AND account_id = ANY ($5::text[])
ORDER BY place, account_id LIMIT $6;

-- name: set_password_hash
UPDATE account SET password_hash = $2 WHERE account_id = $1 RETURNING account_id;

-- name: change_profile
-- NULL leaves a value as it is; another address has yet to be verified.
UPDATE account SET
    name = coalesce($2, name),
    email = coalesce($3, email),
    email_verified = email_verified AND ($3 IS NULL OR lower($3) = lower(email))
WHERE account_id = $1 AND erased_at IS NULL
RETURNING account_id, email, name, password_hash, created_at, email_verified, erased_at;

-- name: verify_email
UPDATE account SET email_verified = true WHERE account_id = $1 AND lower(email) = lower($2)
RETURNING account_id;

-- name: remove_account
DELETE FROM account WHERE account_id = $1;

-- name: erase_account
WITH erased AS (
    UPDATE account SET
        email = NULL, name = '', password_hash = NULL, email_verified = false,
        erased_at = coalesce(erased_at, now())
    WHERE account_id = $1
    RETURNING account_id
), sessions AS (
    DELETE FROM login_session USING erased WHERE login_session.account_id = erased.account_id
), secrets AS (
    DELETE FROM one_time_secret USING erased WHERE one_time_secret.account_id = erased.account_id
)
SELECT account_id FROM erased;

-- name: begin_login
WITH begun AS (
    INSERT INTO login_session (
        session_id, account_id, provider, address, user_agent, cookie_sha256
    ) VALUES ($1, $2, $3, $4, $5, $6)
    RETURNING
        session_id, account_id, provider, address, user_agent, cookie_sha256 IS NOT NULL AS browser,
        created_at, used_at, ended_at
), refreshing AS (
    INSERT INTO refresh_token (sha256, session_id)
    SELECT $7, session_id FROM begun WHERE $7::text IS NOT NULL
)
SELECT * FROM begun;

-- name: login_by_id
SELECT
    session_id, account_id, provider, address, user_agent, cookie_sha256 IS NOT NULL,
    created_at, used_at, ended_at
FROM login_session WHERE session_id = $1;

-- name: login_by_cookie
SELECT
    session_id, account_id, provider, address, user_agent, cookie_sha256 IS NOT NULL,
    created_at, used_at, ended_at
FROM login_session WHERE cookie_sha256 = $1;

-- name: logins_of
SELECT
    session_id, account_id, provider, address, user_agent, cookie_sha256 IS NOT NULL,
    created_at, used_at, ended_at
FROM login_session WHERE account_id = $1 AND ended_at IS NULL
ORDER BY created_at DESC, session_id;

-- name: touch_login
UPDATE login_session SET used_at = clock_timestamp() WHERE session_id = $1;

-- name: presented_refresh_token
-- Locks the login, so that of two who present one token the second one sees it used.
SELECT
    refresh_token.used_at,
    session_id, account_id, provider, address, user_agent, cookie_sha256 IS NOT NULL,
    created_at, login_session.used_at, ended_at
FROM login_session JOIN refresh_token USING (session_id)
WHERE refresh_token.sha256 = $1
FOR UPDATE;

-- name: follow_refresh_token
-- $1 is used now, $2 takes its place; what was used long ago ($4) is forgotten.
WITH used AS (
    UPDATE refresh_token SET used_at = clock_timestamp() WHERE sha256 = $1 RETURNING session_id
), forgotten AS (
    DELETE FROM refresh_token USING used
    WHERE refresh_token.session_id = used.session_id
        AND refresh_token.used_at < clock_timestamp() - $4::interval
), following AS (
    INSERT INTO refresh_token (sha256, session_id) SELECT $2, session_id FROM used
)
UPDATE login_session SET used_at = clock_timestamp(), address = $3
FROM used WHERE login_session.session_id = used.session_id;

-- name: end_login
UPDATE login_session SET ended_at = clock_timestamp()
WHERE session_id = $1 AND account_id = $2 AND ended_at IS NULL RETURNING session_id;

-- name: end_logins
-- All of an account, but for $2 where it is given.
UPDATE login_session SET ended_at = clock_timestamp()
WHERE account_id = $1 AND ended_at IS NULL AND session_id IS DISTINCT FROM $2
RETURNING session_id;

-- name: forget_logins
DELETE FROM login_session
WHERE ended_at < now() - interval '1 day'
    OR used_at < now() - $1::interval OR created_at < now() - $2::interval;

-- name: set_one_time_secret
-- An account has one at most: an older one opens nothing any more.
INSERT INTO one_time_secret (sha256, account_id, expires_at)
VALUES ($1, $2, clock_timestamp() + $3::interval)
ON CONFLICT (account_id)
    DO UPDATE SET sha256 = excluded.sha256, expires_at = excluded.expires_at
RETURNING expires_at;

-- name: one_time_secret
SELECT account_id FROM one_time_secret WHERE sha256 = $1 AND expires_at > clock_timestamp();

-- name: take_one_time_secret
DELETE FROM one_time_secret WHERE sha256 = $1 AND expires_at > clock_timestamp()
RETURNING account_id;

-- name: withdraw_one_time_secret
DELETE FROM one_time_secret WHERE account_id = $1;

-- name: forget_one_time_secrets
DELETE FROM one_time_secret WHERE expires_at < now();

-- name: signing_keys
SELECT key_id, secret, signs_until, verifies_until FROM signing_key
WHERE verifies_until > clock_timestamp() ORDER BY signs_until;

-- name: add_signing_key
-- Only where there is none that signs; two processes that race add two, which does no harm.
INSERT INTO signing_key (key_id, secret, signs_until, verifies_until)
SELECT $1, $2, clock_timestamp() + $3::interval, clock_timestamp() + $3::interval + $4::interval
WHERE NOT EXISTS (SELECT 1 FROM signing_key WHERE signs_until > clock_timestamp());

-- name: forget_signing_keys
DELETE FROM signing_key WHERE verifies_until < now();

-- name: content
SELECT content, fold_version FROM ruleset_content WHERE log_id = $1 AND environment = $2;

-- name: settle_content
-- Only where it still is what the caller has seen ($5 and $6, NULL for nothing).
INSERT INTO ruleset_content AS stored (log_id, environment, content, fold_version)
VALUES ($1, $2, $3, $4)
ON CONFLICT (log_id, environment)
    DO UPDATE SET content = excluded.content, fold_version = excluded.fold_version
    WHERE stored.content = $5 AND stored.fold_version = $6
RETURNING true;

-- name: ensure_days
SELECT ensure_days($1::date[]);

-- name: forget_days
SELECT forget_days($1::date);

-- name: begin_batch
-- Of two transactions with one id the second waits for the first, and finds nothing to do.
INSERT INTO upstream_batch (batch_id) VALUES ($1::uuid) ON CONFLICT DO NOTHING RETURNING true;

-- name: forget_batches
DELETE FROM upstream_batch WHERE written_at < now() - $1::interval;

-- name: add_exposures
-- In all of these: in the order of the key, so that two writers never wait for each other in a
-- ring; and a sum stops at 2^53 - 1, what every JSON reader can hold, instead of failing.
INSERT INTO exposure_count AS known
    (environment_id, flag, slot, version, variation, reason, count, last_at)
SELECT environment_id, flag, to_timestamp(slot_s), version, variation, reason, count,
    to_timestamp(last_at_ms / 1000.0)
FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[],
    $8::bigint[]
) AS new (environment_id, flag, slot_s, version, variation, reason, count, last_at_ms)
ORDER BY 1, 2, 3, 4, 5, 6
ON CONFLICT (environment_id, flag, slot, version, variation, reason) DO UPDATE
    SET count = least(known.count, 9007199254740991 - excluded.count) + excluded.count,
        last_at = greatest(known.last_at, excluded.last_at);

-- name: add_events
INSERT INTO tracked_event_count AS known
    (environment_id, name, slot, count, valued, total, least, most, last_at)
SELECT environment_id, name, to_timestamp(slot_s), count, valued, total, least, most,
    to_timestamp(last_at_ms / 1000.0)
FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::float8[], $7::float8[],
    $8::float8[], $9::bigint[]
) AS new (environment_id, name, slot_s, count, valued, total, least, most, last_at_ms)
ORDER BY 1, 2, 3
ON CONFLICT (environment_id, name, slot) DO UPDATE
    SET count = least(known.count, 9007199254740991 - excluded.count) + excluded.count,
        valued = least(known.valued, 9007199254740991 - excluded.valued) + excluded.valued,
        total = known.total + excluded.total,
        least = least(known.least, excluded.least),
        most = greatest(known.most, excluded.most),
        last_at = greatest(known.last_at, excluded.last_at);

-- name: add_losses
INSERT INTO upstream_loss AS known (environment_id, slot, what, reason, count)
SELECT environment_id, to_timestamp(slot_s), what, reason, count
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[])
    AS new (environment_id, slot_s, what, reason, count)
ORDER BY 1, 2, 3, 4
ON CONFLICT (environment_id, slot, what, reason) DO UPDATE
    SET count = least(known.count, 9007199254740991 - excluded.count) + excluded.count;

-- name: add_attributes
INSERT INTO context_attribute AS known (environment_id, kind, attribute, type, seen, last_on)
SELECT environment_id, kind, attribute, type, seen, to_timestamp(slot_s)::date
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    AS new (environment_id, kind, attribute, type, seen, slot_s)
ORDER BY 1, 2, 3, 4
ON CONFLICT (environment_id, kind, attribute, type) DO UPDATE
    SET seen = least(known.seen, 9007199254740991 - excluded.seen) + excluded.seen,
        last_on = greatest(known.last_on, excluded.last_on);

-- name: add_values
INSERT INTO context_value AS known (environment_id, kind, attribute, type, value, seen, last_on)
SELECT environment_id, kind, attribute, type, value, seen, to_timestamp(slot_s)::date
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
    AS new (environment_id, kind, attribute, type, value, seen, slot_s)
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (environment_id, kind, attribute, type, value) DO UPDATE
    SET seen = least(known.seen, 9007199254740991 - excluded.seen) + excluded.seen,
        last_on = greatest(known.last_on, excluded.last_on);

-- name: prune_attributes
-- The newest are kept, of one day the most frequent.
DELETE FROM context_attribute AS old USING (
    SELECT kind, attribute FROM (
        SELECT kind, attribute, row_number() OVER (
            ORDER BY max(last_on) DESC, sum(seen) DESC, kind, attribute
        ) AS place
        FROM context_attribute WHERE environment_id = $1 GROUP BY kind, attribute
    ) AS ranked WHERE place > $2
) AS surplus
WHERE old.environment_id = $1
    AND (old.kind, old.attribute) = (surplus.kind, surplus.attribute);

-- name: prune_values
-- Also those whose attribute was not kept.
DELETE FROM context_value AS old USING (
    SELECT kind, attribute, type, value FROM (
        SELECT kind, attribute, type, value, row_number() OVER (
            PARTITION BY kind, attribute ORDER BY last_on DESC, seen DESC, type, value
        ) AS place
        FROM context_value WHERE environment_id = $1
    ) AS ranked
    WHERE place > $2 OR NOT EXISTS (
        SELECT FROM context_attribute AS kept
        WHERE kept.environment_id = $1
            AND (kept.kind, kept.attribute) = (ranked.kind, ranked.attribute)
    )
) AS surplus
WHERE old.environment_id = $1
    AND (old.kind, old.attribute, old.type, old.value)
        = (surplus.kind, surplus.attribute, surplus.type, surplus.value);

-- name: age_attributes
DELETE FROM context_attribute WHERE last_on < $1::date;

-- name: age_values
DELETE FROM context_value WHERE last_on < $1::date;

-- name: sampled_environments
SELECT environment_id FROM context_attribute
UNION SELECT environment_id FROM context_value ORDER BY 1;

-- name: erase_contexts
WITH attributes AS (
    DELETE FROM context_attribute WHERE environment_id = $1
)
DELETE FROM context_value WHERE environment_id = $1;

-- name: context_attributes
SELECT kind, attribute, type, seen, last_on FROM context_attribute
WHERE environment_id = $1 ORDER BY kind, attribute, type;

-- name: context_values
SELECT kind, attribute, type, value, seen, last_on FROM context_value
WHERE environment_id = $1 ORDER BY kind, attribute, seen DESC, type, value;

-- name: exposure_totals
-- Once through what is asked for: everything, by variation, by reason, by version. Whichever
-- columns are not grouped by are null.
SELECT variation, reason, version,
    least(coalesce(sum(count), 0), 9007199254740991)::bigint AS count,
    max(last_at) AS last_at
FROM exposure_count
WHERE environment_id = $1 AND flag = $2 AND slot >= $3 AND slot < $4
GROUP BY GROUPING SETS ((), (variation), (reason), (version))
ORDER BY count DESC LIMIT $5;

-- name: exposure_series
-- Every step of the largest variations, rather than the first steps of all: an SDK with a client key
-- can make variations up.
WITH step AS (
    SELECT date_bin($5, slot, $3) AS at, variation, sum(count) AS count
    FROM exposure_count
    WHERE environment_id = $1 AND flag = $2 AND slot >= $3 AND slot < $4
    GROUP BY 1, 2
), largest AS (
    SELECT variation FROM step GROUP BY 1 ORDER BY sum(count) DESC, 1 LIMIT $6
)
SELECT at, variation, least(count, 9007199254740991)::bigint AS count
FROM step JOIN largest USING (variation) ORDER BY 1, 2;

-- name: exposures_by_flag
SELECT flag, least(sum(count), 9007199254740991)::bigint AS count, max(last_at) AS last_at
FROM exposure_count
WHERE environment_id = $1 AND slot >= $2 AND slot < $3
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $4;

-- name: events_by_name
SELECT name, least(sum(count), 9007199254740991)::bigint AS count,
    least(sum(valued), 9007199254740991)::bigint AS valued,
    sum(total) AS total, min(least) AS least, max(most) AS most, max(last_at) AS last_at
FROM tracked_event_count
WHERE environment_id = $1 AND slot >= $2 AND slot < $3
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $4;

-- name: losses
SELECT what, reason, least(sum(count), 9007199254740991)::bigint AS count
FROM upstream_loss
WHERE environment_id = $1 AND slot >= $2 AND slot < $3
GROUP BY 1, 2 ORDER BY 1, 2;

-- name: note_token_uses
INSERT INTO token_use (token_id, used_at)
SELECT * FROM unnest($1::text[], $2::timestamptz[])
ON CONFLICT (token_id) DO UPDATE SET used_at = excluded.used_at
WHERE token_use.used_at < excluded.used_at;

-- name: token_uses_of
SELECT token_id, used_at FROM token_use WHERE token_id = ANY($1::text[]);
