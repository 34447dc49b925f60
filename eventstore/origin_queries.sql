-- name: origins
-- Of the commands of events ($2); an event without one has a command whose origin is not known.
SELECT of_event.seq, origin.credential_kind, origin.credential_id, origin.address,
    origin.user_agent
FROM unnest($2::bigint[]) AS of_event (seq)
CROSS JOIN LATERAL (
    SELECT * FROM command_origin
    WHERE log_id = $1 AND last_seq >= of_event.seq ORDER BY last_seq LIMIT 1
) AS origin
WHERE origin.first_seq <= of_event.seq;

-- name: carried_out
-- The newest event on each entity for each of these causes ($2).
SELECT causation_id, entity_kind, entity_key, environment, max(seq) AS seq FROM event
WHERE log_id = $1 AND causation_id = ANY($2::text[])
GROUP BY causation_id, entity_kind, entity_key, environment;

-- name: erase_origins
DELETE FROM command_origin WHERE actor_id = $1;

-- name: forget_addresses
-- A part of them ($2) at a time, so that no transaction is long.
UPDATE command_origin SET address = NULL, user_agent = NULL
WHERE (log_id, last_seq) IN (
    SELECT log_id, last_seq FROM command_origin
    WHERE recorded_at < $1 AND (address IS NOT NULL OR user_agent IS NOT NULL)
    ORDER BY recorded_at LIMIT $2
);
