"""Halyard's protocol: what travels between a Halyard server and its SDKs, and what it means.

The package is pure: no sockets, no clock, no randomness, no logging, no threads. Servers and
SDKs of any kind (threads, asyncio, tests) move bytes around it. It must never do anything with what
it concludes but say so: who sends, stores or shows it stands outside.

Rooms:
    ruleset, conditions   the types of a ruleset (flags, segments, the environment)
    codec                 JSON bytes to types and back, with the wire's tolerance
    context               who or what is asking
    evaluation            the decision: ``(ruleset, flag, context, now) -> detail``
    evaluator             the same for one ruleset, as everybody asks for it
    compilation           flags as Python functions, with which the evaluator answers
    explanation           the same with a trace, which says why; recording makes the trace as the
                          evaluation tells it what it does, traces are its types, showing makes
                          what strangers wrote fit for it
    next_instant          how long an answer stays true, and which flags time never touches
    matching              whether a condition holds, and who is in a segment
    operators             what each operator means; instants, semver, addresses, patterns serve it
    bucketing             which share of a rollout a context falls into
    validation            the strict reading of the same types, for commands; it leans on
                          condition_validation, rollout_validation and segment_validation, and
                          answers with problems
    disclosure            what of a reason may be told to pages
    strict, limits        fields that a type does not have; every bound by name
    openfeature           OpenFeature's words for answers and contexts
    schema                all of it as JSON Schema
    canonical             JSON in one form only, for digests that two parties take
    messages, close_codes the words of the stream
    session               both halves of a stream's conversation, without I/O

Invariants:
    Evaluation is total: any ruleset and any context get an answer, the same in every language.
    Reading the wire is lenient and additive; what is not understood is kept, and never matches.
    Values are frozen: whoever holds a ruleset holds all of it, as of one seq.
"""
