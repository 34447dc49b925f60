"""Rulesets folded from the log and kept in Redis: one for each environment.

For: keeping what gateways read equal to the fold of the log, through any loss of Redis, any number
of projectors and any restore. It must never decide, append, or hold what could not be folded again,
and never tell a ruleset's state from a memory of what it wrote: it looks.

Rooms:
    documents     a state as the documents of one environment, as SDKs receive them (pure)
    touches       which event touches which documents (pure)
    fold          events to documents' versions and ``changed`` (pure)
    reading       a log into a fold, from the nearest snapshot
    rulesets      how a ruleset lies in Redis; reading it; what is published about it
    writing       the scripts that change one
    script, scripts/    running Lua, and the Lua
    cluster       commands to a Redis Cluster, each to the node that owns its key
    standing      what to do about a ruleset, given what it says of itself (pure)
    keeper        the rulesets of one log, brought to where its fold is
    log_projector one log: read on, fold, keep; what poisons it
    runner        all logs of one process, a task for each
    building      a ruleset into a new generation, and the swap
    comparison    what differs between two rulesets (pure)
    rebuild, verify    afresh from the first event, to replace or to compare
    counters      what was counted since the start
    status        how each ruleset stands to its log

Invariants:
    A ruleset at seq N is a function of events 1..N, the fold's version and what was voided.
    Every write compares first, in the same script, and every read is one script.
    The checkpoint lies beside the state that it describes, and nowhere else.
    What belongs to one command, or to one atomic batch, becomes visible at once or not at all.
    A log that cannot be applied stops before the delta at fault, and delays no other.
"""
