"""What may happen in a project, and what it then is: the log's vocabulary and its fold.

The package is pure. It reads no clock, draws no random number, does no I/O and logs nothing: ids,
salts and times arrive in commands and in :class:`~domain.facts.Issuer`. It must never depend on
where events are stored or how they travel, and never change what an event that was shipped means.

Rooms:
    facts             an event together with its entity and that entity's revision
    events, system    every payload that is ever stored (projects; the installation)
    commands, asked   everything that can be asked for, and what all of it shares
    decoding, names   its strict reading, and what keys, ids and texts may look like
    origins           whose pages may use a client key, as browsers name them
    decide            ``(state, command) -> facts``, or a refusal
    references        who names whom, for what is to be removed
    chains            what depends on itself, or on too many others in a row
    state, evolve     what the facts of a log add up to
    tables            rows that a view can change without the original seeing it
    errors            the refusals, each with its own sentence
    upcast            stored bytes to events and back, across all versions ever shipped
    limits            every bound

Invariants:
    A refusal changes nothing; a command that changes nothing yields no facts.
    Each fact raises the revision of its entity by one, also across deletion and re-creation.
    Whatever ``decide`` accepts, ``evolve`` can fold.
    What is read of a state never changes under the reader: rows are replaced, not altered.
"""
