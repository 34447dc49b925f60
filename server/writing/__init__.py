"""The only write path: commands become events here, and nowhere else.

Pattern: one :class:`~server.writing.log_writer.LogWriter` per log in use holds the log's folded
state, a bounded queue and one task. The task takes what is queued, decides it on an overlay
(:mod:`~server.writing.planning`, pure), appends all events in one transaction and, only when that
was acknowledged, merges the overlay and answers the callers.

Invariants:
    The base state equals the fold of events 1..seq that are committed; readers see nothing else.
    A refusal is given only from a state that was the log's head, and after its key was looked up.
    An answer that says "accepted" is given only after the commit.
    Whatever is sent again after an unknown outcome carries the same ids.
"""
