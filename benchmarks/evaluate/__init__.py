"""Evaluation beside other engines, in one run: `make bench-evaluate`.

It has a virtual environment of its own, `.venv-peers`, since the peers are nothing that Halyard
needs; each engine runs in a process of its own, and they take turns, so that noise hits all alike.

Does not measure the network, events about evaluations, or how a ruleset gets into an SDK: every
engine has its flag in memory and reports nothing to anybody.

Rooms:
    question, engines       what everybody is asked, and each engine's translation of it
    peers, worker           the race, and one engine's process in it
    variety                 many flags, for what is measured of Halyard alone:
    compiling, footprint    a flag's first evaluations, and the memory of 10,000 flags
    changes, threads        the first evaluations after a change, and 8 threads amid changes
"""
