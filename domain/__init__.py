"""What may happen in a project, and what it then is: the log's vocabulary and its fold.

The package is pure. It reads no clock, draws no random number, does no I/O and logs nothing: ids,
salts and times arrive in commands and in :class:`~domain.facts.Issuer`. It must never depend on
where events are stored or how they travel.

Rooms:
    facts             an event together with its entity and that entity's revision
    events, system    every payload that is ever stored (projects; the installation)
    commands          everything that can be asked for, and its strict reading
    decide            ``(state, command) -> facts``, or a refusal
    state, evolve     what the facts of a log add up to
    errors            the refusals, each with its own sentence
    upcast            stored bytes to events and back, across all versions ever shipped
    limits            every bound

Invariants:
    A refusal changes nothing; a command that changes nothing yields no facts.
    Each fact raises the revision of its entity by one, also across deletion and re-creation.
    Whatever ``decide`` accepts, ``evolve`` can fold.
"""
