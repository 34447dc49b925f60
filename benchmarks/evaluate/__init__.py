"""Evaluation beside other engines, in one run: `make bench-evaluate`.

It has a virtual environment of its own, `.venv-peers`, since the peers are nothing that Halyard
needs; each engine runs in a process of its own, and they take turns, so that noise hits all alike.

Does not measure the network, events about evaluations, or how a ruleset gets into an SDK: every
engine has its flag in memory and reports nothing to anybody.
"""
