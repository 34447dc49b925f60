"""The HTTP API: commands in, reads out, as JSON and RFC 9457 problems.

Pure ASGI under a Starlette application. It decides nothing: every write becomes a
:class:`~server.writing.submission.Submission`, every read is a view of a folded project state
or a search of the log; only what SDKs have counted is read past both. It must never touch the
database by another way, and never log a body, a query or a token.

Rooms:
    app, dependencies the application, and what it stands on
    routes, table     what a route is, as data; the table of all of them
    dispatch          from a method and a path to a route
    heads             a bound on request lines and headers
    border            one request: route, authenticate, authorise, answer, log
    counters          how often each route answered what, and how soon
    call, replies     what a handler receives and what it gives back
    faults, problems  what can be wrong with a request; exceptions as problems, in one table
    auth, permissions who is asking, and what may be asked
    queries, paging   query parameters, cursors
    concurrency       ETag, If-Match, Idempotency-Key, ``minSeq``, ``at``
    bodies, edits     from a body to a command, or for ``PATCH`` to several
    writes, reads     the way of every write; the state that a read is about
    views, actors     a folded state's rows as JSON; the names of those who acted
    project_keys      which log the path speaks of
    projects, environments, sdk_keys, flags, flag_settings, segments
                      the routes of each kind of thing
    posted            commands as such: one, or several together
    analytics         what SDKs have counted
    contexts          what sampled contexts look like
    events, histories the log, as people read it
    evaluation        what flags answer, to accounts and to SDK keys
    sdk_ruleset       the whole ruleset, for server keys
    negotiation       what a client has already, and which encoding it reads
    event_stream      streams of server-sent events that tell of changes
    cross_origin      what lets a page of another origin ask
    ofrep             evaluation as OpenFeature's providers ask for it
    operations, projection_status, metrics
                      what operators, load balancers and monitoring ask
    openapi           the table as OpenAPI 3.1; body_types and command_schema are the types of
                      bodies for it

Invariants:
    A permission is checked in one place, from the table, before a handler runs.
    Every answer has a request id; every failure is a problem, or OFREP's own where OFREP asks.
"""
