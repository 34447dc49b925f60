"""One engine in a process of its own, told what to do by lines of JSON: ``worker launchdarkly``.

::

    {"introduce": true}                   -> {"name": …, "version": …, "answers": […]}
    {"case": "plain", "passes": 20}       -> {"seconds": …, "evaluations": …}

A pass is each of the case's contexts once. The collector of garbage runs, as it does in any
program, but does not go through what was prepared here.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import msgspec

from benchmarks.evaluate.question import CASES, Case, Engine, contexts, contexts_of

Answer = dict[str, Any]


def introduced(engine: Engine, distribution: str | None) -> Answer:
    """Who it is, and what it answers for each context."""
    return {
        "name": distribution,
        "version": distribution and version(distribution),
        "answers": [engine.answer(engine.prepare(attributes)) for attributes in contexts()],
    }


def timed(ask: Callable[[list[Any]], None], prepared: list[Any], passes: int) -> Answer:
    """So many passes over the prepared contexts."""
    began = time.perf_counter()
    for _ in range(passes):
        ask(prepared)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "evaluations": passes * len(prepared)}


def main(module: str) -> None:
    """Answer until there is nothing more to read; then leave, whatever threads there are."""
    maker = importlib.import_module(f"benchmarks.evaluate.engines.{module}")
    engine: Engine = maker.engine()
    prepared: dict[Case, list[Any]] = {
        case: [engine.prepare(attributes) for attributes in contexts_of(case)] for case in CASES
    }
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        wish = msgspec.json.decode(line)
        if "case" in wish:
            answer = timed(engine.ask, prepared[wish["case"]], wish["passes"])
        else:
            answer = introduced(engine, maker.NAME)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
