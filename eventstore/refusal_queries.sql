-- name: add_refusals
-- Who was erased meanwhile leaves no address any more.
INSERT INTO refused_action (
    actor_id, credential_kind, credential_id, permission, project, environment, method, route,
    address, times, refused_at
)
SELECT noted.actor_id,
    CASE WHEN erased.account_id IS NULL THEN noted.credential_kind END,
    CASE WHEN erased.account_id IS NULL THEN noted.credential_id END,
    noted.permission, noted.project, noted.environment, noted.method, noted.route,
    CASE WHEN erased.account_id IS NULL THEN noted.address END,
    noted.times, noted.refused_at
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::bigint[], $11::timestamptz[]
) WITH ORDINALITY AS noted (
    actor_id, credential_kind, credential_id, permission, project, environment, method, route,
    address, times, refused_at, place
)
LEFT JOIN account AS erased
    ON erased.account_id = noted.actor_id AND erased.erased_at IS NOT NULL
ORDER BY noted.place;

-- name: refusals
SELECT refusal_id, actor_id, credential_kind, credential_id, permission, project, environment,
    method, route, address, times, refused_at
FROM refused_action
WHERE ($1::text IS NULL OR actor_id = $1)
    AND ($2::text IS NULL OR permission = $2)
    AND ($3::text IS NULL OR project = $3)
    AND ($4::bigint IS NULL OR refusal_id < $4)
ORDER BY refusal_id DESC LIMIT $5;

-- name: erase_refusal_addresses
UPDATE refused_action SET address = NULL, credential_kind = NULL, credential_id = NULL
WHERE actor_id = $1 AND coalesce(address, credential_kind, credential_id) IS NOT NULL;

-- name: forget_refusal_addresses
-- Also of those who were erased while a refusal of theirs was being written.
UPDATE refused_action SET address = NULL
WHERE address IS NOT NULL AND (
    refused_at < $1
    OR actor_id IN (SELECT account_id FROM account WHERE erased_at IS NOT NULL)
);

-- name: trim_refusals
-- Those from before a time ($1), and beyond the newest of all ($2) and of one account ($3).
DELETE FROM refused_action WHERE refused_at < $1 OR refusal_id IN (
    SELECT refusal_id FROM (
        SELECT refusal_id,
            row_number() OVER (ORDER BY refusal_id DESC) AS place,
            row_number() OVER (PARTITION BY actor_id ORDER BY refusal_id DESC) AS place_of_actor
        FROM refused_action
    ) AS placed
    WHERE place > $2 OR place_of_actor > $3
);
