"""The gateway: holds the WebSockets of SDKs and keeps each in step with its environment.

For: ``/stream/v1`` on the port of the HTTP API. Never: reads the log, decides, evaluates for server
keys, or asks a database anything when a client connects.

Rooms:
    gateway       what a process composes: protocol factory, life cycle, status
    connection    one WebSocket: bytes to messages and back; no task, timer or queue of its own
    handshake     the upgrade request, and WebSocket rules where they differ from the library's
    environment   one environment in use: its feed, its connections, broadcasts in slices
    hub           the environments in use; loading, repairing, dropping them
    subscription  one pub/sub connection for all of them
    admission     snapshots by a budget of bytes
    wheel         one timer for all connections
    drain         leaving without making anybody stale

Concurrency: one event loop; all state belongs to it, and no method that changes state awaits. What
awaits (reading Redis) hands its finding to a synchronous method that merges it. Broadcasts and
other rounds over many connections go in slices of a few milliseconds.

Invariants:
    - a connection belongs to at most one environment, and only while its key is live;
    - every frame of a broadcast is encoded once and shared;
    - trouble with Redis never closes a connection whose key was accepted.
"""
