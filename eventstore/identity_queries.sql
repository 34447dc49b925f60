-- name: account_of_identity
SELECT account_id FROM identity WHERE issuer = $1 AND subject = $2;

-- name: link_identity
INSERT INTO identity (identity_id, issuer, subject, account_id, provider)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (issuer, subject) DO NOTHING;

-- name: identities_of
SELECT identity_id, issuer, provider, linked_at FROM identity
WHERE account_id = $1 ORDER BY linked_at, identity_id;

-- name: unlink_identity
DELETE FROM identity WHERE identity_id = $1 AND account_id = $2 RETURNING identity_id;

-- name: provider_roles
SELECT project, role FROM provider_role WHERE account_id = $1 AND provider = $2;

-- name: note_provider_roles
INSERT INTO provider_role (account_id, provider, project, role)
SELECT $1, $2, * FROM unnest($3::text[], $4::text[]) ON CONFLICT DO NOTHING;

-- name: keep_provider_roles
DELETE FROM provider_role WHERE account_id = $1 AND provider = $2
    AND (project, role) NOT IN (SELECT * FROM unnest($3::text[], $4::text[]));

-- name: erase_identities
WITH roles AS (
    DELETE FROM provider_role WHERE account_id = $1
), flows AS (
    DELETE FROM login_flow WHERE account_id = $1
)
DELETE FROM identity WHERE account_id = $1;

-- name: keep_login_flow
-- Those that nobody has come back to are forgotten on the way: a stranger can begin any number.
WITH over AS (
    DELETE FROM login_flow WHERE expires_at < clock_timestamp()
)
INSERT INTO login_flow (
    browser_sha256, provider, state, nonce, verifier, redirect_uri, return_to, account_id, expires_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9::interval);

-- name: take_login_flow
DELETE FROM login_flow WHERE browser_sha256 = $1
RETURNING provider, state, nonce, verifier, redirect_uri, return_to, account_id,
    expires_at > clock_timestamp();
