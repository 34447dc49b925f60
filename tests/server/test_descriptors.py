"""The limit of descriptors, in a process of its own: a limit cannot be taken back."""

from __future__ import annotations

import pytest

from server.descriptors import Descriptors
from tests.support.processes import finish, read_line, start_python

RAISING = """
import resource, sys
soft, hard, enough = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from server.descriptors import raise_limit
import structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
print(raise_limit(enough).limit, *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "enough", "then"),
    [
        (200, 800, 65_536, "800 800 800"),
        (200, 800, 500, "500 500 800"),
        (600, 800, 500, "500 600 800"),
    ],
)
def test_the_limit_is_raised_as_far_as_it_helps(
    soft: int, hard: int, enough: int, then: str
) -> None:
    process = start_python(RAISING, soft, hard, enough)
    try:
        assert read_line(process) == then
    finally:
        finish(process)


@pytest.mark.parametrize("limit", [256, 1_024, 20_000, 65_536])
def test_the_shares_leave_some_for_what_must_not_wait(limit: int) -> None:
    shares = Descriptors(limit)
    assert shares.connections + shares.event_streams < shares.sockets < limit - 60
