"""The gateway: holds the WebSockets of SDKs and keeps each in step with its environment.

For: ``/stream/v1`` on the port of the HTTP API, and what HTTP answers to SDK keys. It must never
read the log, decide, or ask a database anything when a client connects.

Rooms:
    gateway       what a process composes: protocol factory, life cycle, status
    connection    one WebSocket: bytes to messages and back; no task, timer or queue of its own
    handshake     the upgrade request, and WebSocket rules where they differ from the library's
    limits        how many may come in, and how quickly; when the others may come back
    turned_away   the answer to those others
    framing       frames of a server, whose bytes serve every connection
    deflation     permessage-deflate, of which no connection keeps a state
    keys          SDK keys as clients present them
    live_keys     which of them open an environment now, and what happens when one ends
    environment   one environment in use: its feed, its connections, what follows from news
    browsers      connections with client keys, which get values: worked out in slices
    caller        the key of an HTTP request, while it is being judged
    serving       one environment as an HTTP request with a live key sees it
    feed_evaluator, snapshot_body  what one feed answers, and its snapshot as an HTTP body
    rounds        broadcasts over the connections of one environment, in slices
    news          how long the news of a delta take to get to the sockets
    hub           the environments in use; loading, repairing, dropping them
    lookups       environments that are not in use: whether there are such
    watch         when one of them is to be compared, probed or dropped
    subscription, cluster_subscription  pub/sub: one connection, or one to each node of a cluster
    admission     snapshots by a budget of bytes, and what slow readers hold
    snapshot_maker  large snapshots, made in a thread
    intake        whoever sends much is read in turn
    wheel         one timer for all connections
    drain         leaving without making anybody stale
    upstream      what SDKs send back, summed up and handed over to be kept
    counters      what was counted since the start
    settings      limits and times

Concurrency: one event loop; all state belongs to it, and no method that changes state awaits. What
awaits (reading Redis) hands its finding to a synchronous method that merges it. Broadcasts and
other rounds over many connections go in slices of a few milliseconds. Large snapshots are encoded
in a thread, of documents that nobody alters.

Invariants:
    A connection belongs to at most one environment, and only while its key is live.
    Every frame of a broadcast is encoded once and shared.
    Trouble with Redis never closes a connection whose key was accepted.
    A key is refused for good only by a ruleset that is as current as the log.
"""
