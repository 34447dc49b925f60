-- Of webhooks, beside the log: see eventstore/webhooks.py.

-- name: keep_credential
INSERT INTO webhook_credential (credential_id, log_id, webhook, kind, value)
VALUES ($1, $2, $3, $4, $5);

-- name: webhook_credentials
-- By log and webhook as well: a command cannot name the credential of another webhook.
SELECT credential_id, value FROM webhook_credential
WHERE log_id = $1 AND webhook = $2 AND kind = $3 AND credential_id = ANY ($4);

-- name: begin_webhook
INSERT INTO webhook_cursor (log_id, webhook) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: hurry_webhook
UPDATE webhook_cursor SET due_at = now() WHERE log_id = $1 AND webhook = $2 AND due_at > now();

-- name: webhook_logs
SELECT DISTINCT log_id FROM webhook_cursor;

-- name: lease_webhooks
-- Those of which the log has gone on, in the order of their times. What another process looks at in
-- this moment is passed over.
WITH due AS (
    SELECT c.log_id, c.webhook
    FROM webhook_cursor AS c JOIN log_head AS h ON h.log_id = c.log_id
    WHERE c.due_at <= now() AND c.leased_until <= now() AND h.last_seq > c.seen_seq
    ORDER BY c.due_at LIMIT $3
    FOR UPDATE OF c SKIP LOCKED
)
UPDATE webhook_cursor AS c SET holder = $1, leased_until = now() + $2
FROM due WHERE c.log_id = due.log_id AND c.webhook = due.webhook
RETURNING c.log_id, c.webhook, c.begun_at, c.seq, c.seen_seq, c.attempts, c.failing_since,
    c.created_at, c.holder;

-- name: renew_webhook
UPDATE webhook_cursor SET leased_until = now() + $4
WHERE log_id = $1 AND webhook = $2 AND holder = $3 RETURNING true;

-- name: move_webhook
-- The lease ends where there is a time ($9) at which to go on.
UPDATE webhook_cursor SET
    begun_at = $4, seq = $5, seen_seq = $6, attempts = $7, failing_since = $8,
    due_at = coalesce($9, due_at),
    leased_until = CASE WHEN $9::timestamptz IS NULL THEN now() + $10 ELSE '-infinity' END
WHERE log_id = $1 AND webhook = $2 AND holder = $3 RETURNING true;

-- name: record_delivery
INSERT INTO webhook_delivery AS known (
    log_id, webhook, delivery_id, first_seq, last_seq, events, outcome, attempts, status,
    duration_ms, error, excerpt
) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11)
ON CONFLICT (log_id, webhook, delivery_id) DO UPDATE SET
    outcome = excluded.outcome, attempts = known.attempts + 1, status = excluded.status,
    duration_ms = excluded.duration_ms, error = excluded.error, excerpt = excluded.excerpt,
    attempted_at = excluded.attempted_at;

-- name: webhook_position
SELECT seq, begun_at, attempts, failing_since, due_at FROM webhook_cursor
WHERE log_id = $1 AND webhook = $2;

-- name: webhook_deliveries
SELECT delivery_id::text, first_seq, last_seq, events, outcome, attempts, status, duration_ms,
    error, excerpt, created_at, attempted_at
FROM webhook_delivery
WHERE log_id = $1 AND webhook = $2
    AND ($3::timestamptz IS NULL OR (attempted_at, delivery_id) < ($3, $4::uuid))
    AND ($5::text IS NULL OR outcome = $5)
ORDER BY attempted_at DESC, delivery_id DESC LIMIT $6;

-- name: webhook_delivery
SELECT delivery_id::text, first_seq, last_seq, events, outcome, attempts, status, duration_ms,
    error, excerpt, created_at, attempted_at
FROM webhook_delivery WHERE log_id = $1 AND webhook = $2 AND delivery_id = $3::uuid;

-- name: forget_webhook
WITH deliveries AS (
    DELETE FROM webhook_delivery WHERE log_id = $1 AND webhook = $2
), credentials AS (
    DELETE FROM webhook_credential WHERE log_id = $1 AND webhook = $2
)
DELETE FROM webhook_cursor WHERE log_id = $1 AND webhook = $2;

-- name: forget_credentials
-- Of one webhook all but those that it names; young ones are about to be named.
DELETE FROM webhook_credential
WHERE log_id = $1 AND webhook = $2 AND created_at < now() - interval '1 hour'
    AND NOT credential_id = ANY ($3);

-- name: forget_deliveries
-- The old ones, and of a webhook that has more than $2 those beyond.
DELETE FROM webhook_delivery AS d
USING (
    SELECT log_id, webhook, delivery_id, attempted_at,
        row_number() OVER (
            PARTITION BY log_id, webhook ORDER BY attempted_at DESC, delivery_id DESC
        ) AS place
    FROM webhook_delivery
) AS ranked
WHERE (d.log_id, d.webhook, d.delivery_id)
        = (ranked.log_id, ranked.webhook, ranked.delivery_id)
    AND (ranked.attempted_at < now() - $1::interval OR ranked.place > $2);

-- name: webhook_lag
-- How many webhooks have something to be done, how many of those are failing, and since when the one
-- has waited that has waited longest.
SELECT count(*) AS behind, count(c.failing_since) AS failing,
    coalesce(max(extract(epoch FROM now() - c.failing_since)), 0)::float8 AS failing_s
FROM webhook_cursor AS c JOIN log_head AS h ON h.log_id = c.log_id
WHERE h.last_seq > c.seen_seq;
