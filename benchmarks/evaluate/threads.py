"""Evaluation under 8 threads, without changes and while changes stream in.

1,000 flags in a client of the SDK's test kit; every thread asks for one after the other and times
each call. The changes come from a ninth thread, as often as it gets the interpreter, but at most
CHANGES_PER_S: of one flag, and each tenth time of the segment that all flags name. The floor is
the hand-written function under as many threads.

A single call's time includes waiting for the interpreter while other threads run, up to its switch
interval for each; so the highest times are the interpreter's, and the same for the floor. Does not
measure a free-threaded interpreter, nor the client's own connection.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from halyard_sdk import Context, testing
from halyard_sdk.testing import InMemoryClient

from benchmarks.evaluate.engines.halyard import SEGMENT_DOCUMENT
from benchmarks.evaluate.engines.handwritten import checkout
from benchmarks.evaluate.question import DEFAULT, contexts
from benchmarks.evaluate.variety import EARLY, alike

THREADS = 8
FLAGS = 1_000
CHANGES_PER_S = 100
SECONDS = 2.0


@dataclass(frozen=True)
class Seen:
    """What all threads together saw; times in us, in order."""

    per_second: float
    times: list[float]

    def show(self, what: str) -> None:
        """One line."""
        quantiles = (
            f"{name} {self.times[min(int(len(self.times) * share), len(self.times) - 1)]:,.1f}"
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
        )
        print(f"{what:26}{self.per_second:>10,.0f} evaluations/s; us: {', '.join(quantiles)}")


def under_threads(ask: Callable[[int], object]) -> Seen:
    """Call ``ask`` with 0, 1, 2 and so on, in every thread, for SECONDS."""
    taken = [array("d") for _ in range(THREADS)]
    stop_at = time.perf_counter() + SECONDS

    def run(mine: array[float]) -> None:
        number, clock, note = 0, time.perf_counter, mine.append
        began = clock()
        while began < stop_at:
            ask(number)
            ended = clock()
            note(ended - began)
            number += 1
            began = clock()

    threads = [threading.Thread(target=run, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = sorted(each * 1e6 for mine in taken for each in mine)
    return Seen(len(times) / SECONDS, times)


@contextmanager
def changing(client: InMemoryClient) -> Iterator[list[int]]:
    """Changes stream in for as long as the block; how many is in the list after it."""
    stop, count = threading.Event(), [0]

    def run() -> None:
        while not stop.wait(1 / CHANGES_PER_S):
            count[0] += 1
            if count[0] % 10:
                client.put(alike(count[0] % FLAGS, revision=count[0]))
            else:
                client.put_segment(SEGMENT_DOCUMENT | {"version": count[0]})

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


def main() -> None:
    """The floor, then without changes, then with them."""
    client = testing.client()
    client.put_segment(SEGMENT_DOCUMENT)
    for number in range(FLAGS):
        client.put(alike(number))
    keys = [f"flag-{number}" for number in range(FLAGS)]
    plain = contexts()
    prepared = [Context.of(each) for each in plain]
    detail = client.detail

    def ask(number: int) -> object:
        # FLAGS and the number of contexts are equal; another context each time round.
        return detail(keys[number % FLAGS], prepared[number // FLAGS % len(prepared)], DEFAULT)

    for number in range(FLAGS * EARLY):
        ask(number)
    gc.collect()
    gc.freeze()
    switch_ms = sys.getswitchinterval() * 1_000
    print(f"{THREADS} threads, {FLAGS:,} flags; the interpreter switches every {switch_ms:.0f} ms")
    under_threads(lambda number: checkout(plain[number % len(plain)])).show("hand-written (floor)")
    under_threads(ask).show("without changes")
    with changing(client) as count:
        seen = under_threads(ask)
    seen.show(f"with {count[0] / SECONDS:.0f} changes/s")


if __name__ == "__main__":
    main()
