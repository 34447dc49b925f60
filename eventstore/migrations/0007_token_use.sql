-- When tokens were last used, outside of the event log: it changes all the time, and nothing
-- depends on it.
CREATE TABLE token_use (
    token_id text COLLATE "C" PRIMARY KEY,
    used_at timestamptz NOT NULL
);
