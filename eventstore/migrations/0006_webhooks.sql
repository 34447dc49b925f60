-- Webhooks, beside the log: what no event may hold, how far each has come, what became of deliveries.

-- Whole addresses with the values of headers, and secrets to sign with. A row never changes: an event
-- names the one that holds from then on. Rows that no webhook names any more are removed.
CREATE TABLE webhook_credential (
    credential_id text COLLATE "C" PRIMARY KEY,
    log_id text COLLATE "C" NOT NULL,
    webhook text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('target', 'secret')),
    value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_credential_by_webhook ON webhook_credential (log_id, webhook);

-- How far a webhook has come, and which process is at it.
CREATE TABLE webhook_cursor (
    log_id text COLLATE "C" NOT NULL,
    webhook text COLLATE "C" NOT NULL,
    -- The event that last said where to go on, as far as that has been done.
    begun_at bigint NOT NULL DEFAULT 0,
    -- Delivered through here, or not wanted.
    seq bigint NOT NULL DEFAULT 0,
    -- Looked at through here: nothing is to be done until the log goes on.
    seen_seq bigint NOT NULL DEFAULT 0,
    -- Of the delivery that comes next.
    attempts integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    due_at timestamptz NOT NULL DEFAULT now(),
    holder text COLLATE "C",
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log_id, webhook)
) WITH (fillfactor = 50);
CREATE INDEX webhook_cursor_by_due ON webhook_cursor (due_at);

CREATE TABLE webhook_delivery (
    log_id text COLLATE "C" NOT NULL,
    webhook text COLLATE "C" NOT NULL,
    delivery_id uuid NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    events integer NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    attempts integer NOT NULL,
    status integer,
    duration_ms integer NOT NULL,
    error text NOT NULL,
    excerpt text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    attempted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log_id, webhook, delivery_id)
);
CREATE INDEX webhook_delivery_by_time
    ON webhook_delivery (log_id, webhook, attempted_at, delivery_id);
CREATE INDEX webhook_delivery_by_age ON webhook_delivery (attempted_at);
