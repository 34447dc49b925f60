"""The installation's own log, ``$system``: accounts, groups, roles, tokens and settings.

The same shapes as a project's, on a smaller scale: events, commands, a state, ``decide`` and
``evolve``. Accounts are opaque ids here: names, addresses and passwords of people live in
ordinary tables and never in an event. Tokens are known by their SHA-256 only.

Rooms:
    vocabulary   what the other rooms share: grants, assignments, the installation's settings
    permissions  the verbs that there are, and the roles that are always there
    events       every payload that is stored
    commands     everything that can be asked for, and its strict reading
    state        what the events add up to
    access       what an account may do where, and why
    decide       ``(state, command) -> facts``, or a refusal
    deciding     what each kind of thing decides, with rooms of its own
    evolve       the fold

Invariants:
    An account that was erased stays erased, and may do nothing.
    There is an account that is an administrator everywhere, from the first one on.
    A role that somebody has is not deleted.
"""
