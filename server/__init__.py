"""The application: the packages below it, put together as one program with three roles.

For: taking commands over HTTP and the command line, deciding and appending them, and running the
gateway and the projector beside that. It alone knows every other package, and nothing imports it.
It must never write an event but through :mod:`server.writing`, never keep what neither a log nor
the table of accounts gives back (but for counts and refusals, which may be lost), and never let a
role die without ending the process.

Rooms:
    program       the composition root: which roles run, in what order they start and stop
    listening     the port, taken first of all
    descriptors   how many sockets there may be, and whose
    settings      every setting, read once, every fault told at once
    logs          structlog from the first line; secrets are in none
    redis_client  the one client of a process, with a time limit on every command
    redis_url     what the setting of Redis may say: one server, a cluster, Sentinels
    garbage       what lives long is looked at once by the garbage collector
    wakes         word that a log has grown, within the process and to others
    addresses     where changes came from, forgotten when it is old
    counting      what SDKs have counted: written as it comes, forgotten when it is old
    refusals      what accounts were refused: noted, written together, forgotten
    readiness     what ``/readyz`` says, and when a ruleset is as current as its log
    token_use     when tokens are used, noted off the way of requests
    installation  the first account and its token
    credentials   passwords, tokens and keys: drawn and hashed
    logins        how people come in, and what ends a login
    writing       the only write path: one writer for each log in use
    evaluating    what flags answer, from the folded state of a project
    searching     which flags, out of many
    reverting     how things were, and what it takes to put them back
    webhooks      telling other services what happens, from the log
    oidc          logging in by identity providers
    metrics       what ``/metrics`` answers
    http          routes, problems, paging, OpenAPI
    cli           the command ``halyard``
    dev           what ``halyard dev`` adds: a demo, ``dev.json``, a welcome
    embedded      the PostgreSQL and the Valkey that ``halyard dev`` brings along

Invariants:
    An answer that says "accepted" is given after the commit.
    Any process can be killed at any moment: others go on, and it comes back from the logs.
    A role may run alone, or with others in one process, on the same code.
"""
