"""One file per question, each saying what it does not measure; `make bench` runs them all.

Machines are noisy, so what counts is the ratio to the floor that was measured in the same run.
"""
