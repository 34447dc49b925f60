"""Finding flags among many, from a project's folded state.

For: lists that are filtered, sorted and paged, and the question who uses a segment. What of a row
is searched is made once and kept as long as the row is the same. It decides nothing, knows no
request and no clock: the instant that an answer is for is given. It must never hold the event loop
for more than a few milliseconds.

Rooms:
    texts        what of a flag and of its targeting can be found by words
    staleness    which flags have done their work
    entries      what is kept of each flag
    orders       flags in each order that a list can have
    flag_index   all entries of one state, brought up to date by the marks of what changed
    flag_indexes those that are kept from request to request
    past_flags   the same of a state that was, which is looked through once
    criteria     which flags are asked for

Invariants:
    An index that has followed a state finds what a look at every row of it would find.
"""
