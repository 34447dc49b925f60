-- Logins, and what opens them: outside of the event log, because all of it is about people, grows
-- old and is forgotten. Of every secret there is the SHA-256 only, but for the keys that sign
-- access tokens, which every process needs.

-- Empty once the account was erased.
ALTER TABLE account ALTER COLUMN email DROP NOT NULL;
ALTER TABLE account ADD COLUMN email_verified boolean NOT NULL DEFAULT false;
ALTER TABLE account ADD COLUMN erased_at timestamptz;

CREATE TABLE login_session (
    session_id text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    -- Empty for a login by password, else the key of the identity provider.
    provider text NOT NULL,
    address text NOT NULL,
    user_agent text NOT NULL,
    -- Of a browser's login; others have refresh tokens.
    cookie_sha256 text COLLATE "C" UNIQUE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz
);

CREATE INDEX login_session_by_account ON login_session (account_id, created_at);
CREATE INDEX login_session_by_use ON login_session (used_at);

-- Those that were used stay for a while: one that comes again was stolen, or its successor was.
CREATE TABLE refresh_token (
    sha256 text COLLATE "C" PRIMARY KEY,
    session_id text COLLATE "C" NOT NULL REFERENCES login_session ON DELETE CASCADE,
    used_at timestamptz
);

CREATE INDEX refresh_token_by_session ON refresh_token (session_id, used_at);

-- What an administrator hands over, so that somebody can choose a password.
CREATE TABLE one_time_secret (
    sha256 text COLLATE "C" PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL UNIQUE REFERENCES account ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

CREATE TABLE signing_key (
    key_id text COLLATE "C" PRIMARY KEY,
    secret bytea NOT NULL,
    signs_until timestamptz NOT NULL,
    verifies_until timestamptz NOT NULL
);
