"""Flags and segments as Python functions, which answer as the interpreter does, but faster.

For: :class:`~halyard_protocol.evaluator.Evaluator`. It must never give another answer than
:func:`halyard_protocol.evaluation.evaluate`, and never put anything of a flag into source.

Rooms:
    compiler   which functions a ruleset's flags and segments become, and what each depends on
    flags      one flag as the lines of a function: off, prerequisites, targets, rules, fallthrough
    segments   one segment, likewise
    rollouts   the lines that bucket a context and choose its share
    conditions the expression of a condition: groups, leaves, segments
    leaves     the expression of one comparison, operator by operator
    attributes how a function gets at what it compares
    source     lines and constants become a function
    calls      what generated lines call by name

How a function is made:
    The lines say only what is done and in which order; every key, name, value, pattern and answer
    is a constant, bound as a variable of an enclosing function. So flags of the same shape share
    one compiled code object, and no text of a stranger is ever parsed as Python.
    A comparison is inlined for the attribute types that are common with its operator, and
    everything else goes to the operator's own definition, so that there is only one of it.

Invariants:
    A function depends on nothing but its arguments and the documents it names as dependencies.
    What does not change between calls is made once: answers are shared, and frozen.
    What cannot be bounded here (circles, deep chains, enormous rules) is left to the interpreter.
"""
