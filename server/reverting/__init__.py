"""Putting things back: how they were, and what it takes for them to be so again.

For: diffs of a flag or segment between two moments, and plans of reverts. A plan is made from the
project's present state and from the few events that concern what is reverted, never from the whole
past. It decides nothing: its commands are submitted like any others. It knows no request, and must
never fold a past state of a whole project.

Rooms:
    causes     how the events of a revert name what they undo, and which ones undid an event
    pasts      flags and segments as they were, folded from their own events
    plans      what a revert would do, what it would overwrite, and why it cannot be done

Invariants:
    A past row is the one that the fold of the whole log has at that seq.
    A plan that has neither clashes nor obstacles is accepted as long as nothing moves.
"""
