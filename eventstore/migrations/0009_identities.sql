-- Who comes from identity providers: outside of the event log, because it is about people and is
-- erased with them.

CREATE TABLE identity (
    issuer text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    identity_id text COLLATE "C" NOT NULL UNIQUE,
    account_id text COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    -- The key under which the operator has the issuer.
    provider text COLLATE "C" NOT NULL,
    linked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (issuer, subject)
);

CREATE INDEX identity_by_account ON identity (account_id, linked_at);

-- Which roles a provider's groups have given an account: only these are taken away again. There are
-- several of a project only while one is put in place of another.
CREATE TABLE provider_role (
    account_id text COLLATE "C" NOT NULL REFERENCES account ON DELETE CASCADE,
    provider text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, provider, project, role)
);

-- Logins that were begun and have not come back, each for the browser that began it.
CREATE TABLE login_flow (
    browser_sha256 text COLLATE "C" PRIMARY KEY,
    provider text NOT NULL,
    state text NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    redirect_uri text NOT NULL,
    return_to text NOT NULL,
    -- Who was logged in, and asked for a link; empty for a login.
    account_id text COLLATE "C" REFERENCES account ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

CREATE INDEX login_flow_by_end ON login_flow (expires_at);
CREATE INDEX login_flow_by_account ON login_flow (account_id);
