"""Halyard's protocol: what travels between a Halyard server and its SDKs, and what it means.

The package is pure: no sockets, no clock, no randomness, no logging, no threads. Servers and
SDKs of any kind (threads, asyncio, tests) move bytes around it.

Rooms:
    ruleset, conditions   the types of a ruleset (flags, segments, the environment)
    codec                 JSON bytes to types and back, with the wire's tolerance
    context               who or what is asking
    evaluation            the decision: ``(ruleset, flag, context, now) -> detail``
    matching              whether a condition holds, and who is in a segment
    operators             what each operator means; instants, semver, addresses, patterns serve it
    bucketing             which share of a rollout a context falls into
    validation            the strict reading of the same types, for commands, one module for each
                          part (conditions, rollouts, segments); problems is what it answers with
    strict, limits        fields that a type does not have; every bound by name
    schema                all of it as JSON Schema
    messages, close_codes the words of the stream
    session               both halves of a stream's conversation, without I/O
"""
