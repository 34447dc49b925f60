"""The HTTP API: commands in, reads out, as JSON and RFC 9457 problems.

Pure ASGI under a Starlette application. It decides nothing: every write becomes a
:class:`~server.writing.submission.Submission`, every read is a view of a folded project state
or a search of the log; only what SDKs have counted is read past both. It must never touch the
database by another way, and never log a body, a query or a token.

Rooms:
    app, dependencies the application, and what it stands on
    routes, table     what a route is, as data; the table of all of them
    dispatch          from a method and a path to a route
    heads             bounds on request lines and headers, and on peers that read nothing
    border            one request: route, authenticate, authorise, answer, log
    counters          how often each route answered what, and how soon
    call, replies     what a handler receives and what it gives back
    faults, problems  what can be wrong with a request; exceptions as problems, in one table
    auth, credential  who is asking, and by what they were let in
    cookies           a browser's login, and what keeps other sites from using it
    permissions       which permission each command needs
    authorisation, warrants
                      whether a request may be answered; whether a command may be carried out
    queries, paging   query parameters, cursors
    concurrency       ETag, If-Match, Idempotency-Key, ``minSeq``, ``at``
    bodies, edits     from a body to a command, or for ``PATCH`` to several
    writes, reads     the way of every write; the state that a read is about
    views, actors     a folded state's rows as JSON; the names of those who acted
    system_writes     the same for what is of the installation
    logins, users, people
                      logging in and out; accounts, for administrators and newcomers; as shown
    provider_logins   logging in by identity providers, and the identities of an account
    installation_settings
                      what administrators choose for everybody
    project_keys      which log the path speaks of
    projects, environments, sdk_keys, flags, flag_settings, segments
                      the routes of each kind of thing
    tokens            API tokens, and accounts that only programs have
    dependence        what a flag rests on, and what rests on it
    member_lists      members of segments as CSV
    segment_flags     flags from the side of the segment that they serve
    rights            roles, groups, and who may do what, and why
    refusals          what accounts asked for and may not do: noted for later, and read
    planned           writes that are worked out from the state that they find
    copying           a flag's settings taken elsewhere, a flag taken anew
    comparing         which flags are set differently in two environments
    bulk              one change to many flags
    exports, imports  a project as one document, written and taken in
    import_turns      how many are taken in at a time
    json_reading, yaml_documents
                      what strangers wrote, read strictly and within bounds
    posted            commands as such: one, or several together
    webhooks          who is told of a project's events
    webhook_deliveries
                      what became of it; once more, and pings
    analytics         what SDKs have counted
    contexts          what sampled contexts look like
    events, histories, event_filters, event_views, event_details
                      the log, as people read it
    peers             whose address a request has, and what is recorded of it with a change
    event_feed, event_streaming
                      the log as it grows, as server-sent events
    stream_wait       how such a stream waits, for news or for its reader to go
    differences       what differs between two moments
    change_requests   commands that others look at before they are carried out
    reverts           plans to put something back, and putting it back
    evaluation        what flags answer, to accounts and to SDK keys
    feature_flags     the plainest questions: what is enabled for a user, and a switch
    sdk_ruleset       the whole ruleset, for server keys
    negotiation       what a client has already, and which encoding it reads
    event_stream      streams of server-sent events that tell of changes
    cross_origin      what lets a page of another origin ask
    ofrep             evaluation as OpenFeature's providers ask for it
    operations, projection_status, metrics
                      what operators, load balancers and monitoring ask
    openapi, openapi_answers
                      the table as OpenAPI 3.1; body_types and command_schema are the types of
                      bodies for it
    browsable         the same as a page
    failures          what a route can refuse with, told by what the route is

Invariants:
    A permission is checked in one place, from the table, before a handler runs.
    Every answer has a request id; every failure is a problem, or OFREP's own where OFREP asks.
"""
