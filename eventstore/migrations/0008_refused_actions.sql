-- What accounts asked for and were refused, beside the log: bounded, and nothing rests on it.

-- One row for the same thing, asked within a second or so by the same credential.
CREATE TABLE refused_action (
    refusal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor_id text COLLATE "C" NOT NULL,
    credential_kind text COLLATE "C",
    credential_id text COLLATE "C",
    permission text COLLATE "C" NOT NULL,
    project text COLLATE "C",
    environment text COLLATE "C",
    method text COLLATE "C" NOT NULL,
    -- The template, never the path.
    route text COLLATE "C" NOT NULL,
    -- Personal data: goes with its age, and with the account.
    address text,
    times bigint NOT NULL,
    -- The last time of them.
    refused_at timestamptz NOT NULL
);
CREATE INDEX refused_action_by_actor ON refused_action (actor_id, refusal_id);
