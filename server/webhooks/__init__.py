"""Telling other services what happens in a project: in order, at least once, from the log.

For: delivering the events of a project's log to the webhooks that its state names. A webhook has a
cursor of its own in the database, which moves only after its receiver has accepted; any number of
processes may deliver, and of one webhook one does at a time. It must never connect to a network
that it was not allowed (:mod:`~server.webhooks.networks`), follow where an answer points, read more
of an answer than a line or two, run anything that a template says, or write a secret or a whole
address into a log, an event or a problem.

Rooms:
    destinations  an address as people write it, taken apart strictly
    networks      which addresses a webhook may reach
    posting       one request: names resolved, checked, connected to exactly what was checked
    signing       what proves to a receiver who sent it
    messages      events as a delivery's body, in the form that was asked for
    attempts      one of them: credentials, rendering, signing, sending
    retrying      what follows from one attempt; pure
    courier       one webhook: read, render, send, move the cursor
    dispatch      a process's part: which webhooks have something to be done, each in a task
    counters      what became of deliveries, for ``/metrics``

Concurrency: a webhook is leased to one process, by a row of the database with a time at which the
lease ends. An attempt takes less time than a lease does, and a cursor is moved only by who holds
the lease and from where it was read. So a process that was killed is followed by another after the
lease at most, and one that slept through the end of its lease changes nothing.

Invariants:
    A cursor never passes an event that is wanted and was not accepted, but where somebody said so.
    What is delivered again has the same delivery id.
    Deliveries of one webhook are made one after the other, in the order of the log.
"""
