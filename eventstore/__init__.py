"""The event log on PostgreSQL: appending, reading, following.

The package stores bytes in order and gives them back. It must never look into an event's body,
decide whether something may happen, or offer a way to write an event other than
:meth:`~eventstore.store.EventStore.append`.

Rooms:
    log          what stands in a log, and what is asked of and answered by an append
    store        :class:`~eventstore.store.EventStore`, all reads and writes
    appending    a batch as the arguments of one call, and the rows of its answer
    searching    events by entity, actor, type, time and seq
    follow       which logs have grown: wake-ups, with a poll as the net
    chain        the hash chain, byte for byte, and its verification
    contents     the number behind the wire epoch of each ruleset
    analytics    what SDKs have counted, outside of the log: added up, read, forgotten
    counts       the rows and batches in which gateways hand that over
    contexts     a bounded sample of what contexts look like
    origins      where commands came from, outside of the log: read, erased, forgotten
    refusals     what accounts were refused, outside of the log and bounded
    accounts     personal data of operators, which no event may hold
    logins       who is logged in since when, and refresh tokens, which are used once
    login_secrets what signs access tokens, and what lets somebody choose a password
    identities   who comes from identity providers, and which roles that gave
    login_flows  logins that are under way at a provider: each comes back once
    token_uses   when tokens were last used
    webhooks     credentials and cursors of webhooks, and what became of deliveries
    pool         connections, whether they lead to the history that was known, how long one waits
    histogram    how long things took, as counts: for every package above, too
    migrate      the schema, forward only
    schema_dump  what all migrations come to: ``schema.sql``, for people to read
    statements   the SQL of ``queries.sql`` and its neighbours, by name
    errors       what asyncpg raises, translated once

Invariants (each with a test):
    A reader sees a dense prefix of a log: 1, 2, 3, up to some seq.
    Numbering order is commit order is order of time; no two events of a log share an instant.
    A command is recorded in the transaction that appends its events, once.
    An event is never changed or removed; what was changed past the database's refusal is detected.
"""
