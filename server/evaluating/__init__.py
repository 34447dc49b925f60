"""What a flag answers, decided from a project's folded state.

For: administrators' questions and previews, of now and of any time that was. SDK keys are answered
from the gateway's rulesets instead (:mod:`streaming.serving`). It decides nothing by itself: the
evaluator is the SDK's own, over the documents that an SDK would receive. It must never hold the
event loop for more than a few milliseconds, however much is asked.

Rooms:
    state_evaluator  from a folded state to an evaluator that follows it
    evaluators       those that are kept from request to request
    questions        which flags, for which contexts, at which instant; and the answers
"""
