"""Rulesets folded from the log and kept in Redis: one for each environment.

For: keeping what gateways read equal to the fold of the log, through any loss of Redis, any number
of projectors and any restore. Never: decides, appends, or holds what could not be folded again.

Rooms:
    documents     a state to the documents of one environment, as SDKs receive them (pure)
    fold          events to documents' versions and ``changed`` (pure)
    rulesets      how a ruleset lies in Redis; reading it; what is published about it
    writing       the scripts that change one
    script, scripts/    running Lua, and the Lua
    comparison    what differs between two rulesets (pure)

Invariants:
    - a ruleset at seq N is a function of events 1..N, the fold's version and what was voided;
    - every write compares first, in the same script, and every read is one script;
    - the checkpoint lies beside the state that it describes, and nowhere else.
"""
