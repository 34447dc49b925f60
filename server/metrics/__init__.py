"""What ``/metrics`` answers: figures of one process, in the text formats of Prometheus.

For: turning what the other packages count into metrics, at the moment of a scrape. It must never
make anybody else count by its types, ask PostgreSQL or Redis anything, name a secret, or label by
what strangers may make up: what is counted are plain integers in the packages that count.

Rooms:
    exposition    the text, by negotiation, at most once a second
    families      metrics from plain counters and histograms
    stream        the gateway: connections, messages, pub/sub
    upstream      what SDKs send back, and what of it is lost
    projector     logs and their rulesets, where this process projects
    lag           from a commit to the sockets, stage by stage
    writing       commands, and the connections to PostgreSQL
    requests      HTTP, by route
    webhooks      deliveries to other services
    logins        who came in, and who did not
    refusals      what accounts were refused
    process       memory, processor, descriptors, build
    loop_lag      how late the event loop runs what is due

Invariants:
    A scrape does not loop over connections.
    Names of projects are told only to who shows a token; environments are named by opaque ids.
    Every metric stands in ``docs/reference/metrics.md``, and no other does.
"""
