"""Halyard's SDK again, but given the attributes as a dictionary each time, and reading them."""

from __future__ import annotations

from typing import Any

from benchmarks.evaluate.engines.halyard import Halyard
from benchmarks.evaluate.question import Attributes

NAME = None


class HalyardFromDicts(Halyard):
    def prepare(self, attributes: Attributes) -> Any:
        return attributes


def engine() -> HalyardFromDicts:
    return HalyardFromDicts()
