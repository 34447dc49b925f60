"""What may happen in a project, and what it then is: the log's vocabulary and its fold.

The package is pure. It reads no clock, draws no random number, does no I/O and logs nothing: ids,
salts and times arrive in commands and in :class:`~domain.facts.Issuer`. It must never depend on
where events are stored or how they travel, and never change what an event that was shipped means.

Rooms:
    facts             an event together with its entity and that entity's revision
    events            every payload that a project's log stores
    system            the installation's own log, with rooms of its own
    stored            what the payloads of both share
    commands, asked   everything that can be asked for, and what all of it shares
    completing        the commands that a change request holds, with ids and salts
    decoding, names   its strict reading, and what keys, ids and texts may look like
    webhooks, webhook_events, webhook_commands, webhook_folds
                      who is told of what happens: its words, events, commands, fold
    blanks            what texts of a webhook may have filled in
    origins           whose pages may use a client key, as browsers name them
    decide            ``(state, command) -> facts``, or a refusal
    references        who names whom, for what is to be removed
    reach             in which environments a command changes what is served
    attachment        flags that serve a segment, from the segment's side
    chains            what depends on itself, or on too many others in a row
    pages             a state as bytes of which only what is asked for is read
    state, evolve     what the facts of a log add up to
    change_request_commands, change_request_events, change_request_folds
                      commands that wait for approval: asked for, stored, folded
    approvals         which commands others must approve of, and whether they have
    transitions       from a state to a wanted row: the commands that bring an entity there
    assembly          many entities at once, in an order in which each step is accepted
    difference        what differs between two rows or two states, told by name
    undoing           how rows shall be for a change, or all since a moment, to be undone
    exported          a project as one document
    importing         from a state to what such a document says: a plan of commands
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
