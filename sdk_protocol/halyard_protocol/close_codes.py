"""Why a stream was closed, and whether to come back: for servers, SDKs and the docs alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Reconnect(Enum):
    """What an SDK does after a close."""

    RESUME = "reconnect with backoff and resume"
    AFRESH = "reconnect with backoff, without resume; evaluate from the old state until then"
    LATER = "reconnect after a while (half a minute, give or take a half of it) and resume"
    STOP = "do not reconnect: somebody must change something first"


class CloseCode(IntEnum):
    """The codes that Halyard's server sends."""

    GOING_AWAY = 1001
    INTERNAL = 1011
    BAD_MESSAGE = 4400
    KEY_REFUSED = 4401
    FORBIDDEN = 4403
    TOO_SLOW = 4408
    SUSPECTED_CORRUPTION = 4409
    LIMIT = 4429


@dataclass(frozen=True, slots=True)
class CloseRule:
    """The meaning of one code."""

    meaning: str
    reconnect: Reconnect


CLOSE_RULES: dict[CloseCode, CloseRule] = {
    CloseCode.GOING_AWAY: CloseRule("the server is going away", Reconnect.RESUME),
    CloseCode.INTERNAL: CloseRule("the server failed", Reconnect.RESUME),
    CloseCode.BAD_MESSAGE: CloseRule(
        "the client sent what the server cannot read: fix or upgrade the client", Reconnect.STOP
    ),
    CloseCode.KEY_REFUSED: CloseRule(
        "the key is wrong, was revoked, or has come to its end", Reconnect.STOP
    ),
    CloseCode.FORBIDDEN: CloseRule(
        "this kind of key, or this origin, may not do that", Reconnect.STOP
    ),
    CloseCode.TOO_SLOW: CloseRule("too slow, or no hello in time", Reconnect.RESUME),
    CloseCode.SUSPECTED_CORRUPTION: CloseRule("the state may be damaged", Reconnect.AFRESH),
    CloseCode.LIMIT: CloseRule("over a limit", Reconnect.LATER),
}


def reconnect_rule(code: int | None) -> Reconnect:
    """What to do after a close with ``code``; None where the connection just broke.

    A code that this version does not know: 4400 to 4499 would be a fault of the client in some
    newer sense, yet only the listed ones are known to be final, so the SDK tries again.
    """
    try:
        return CLOSE_RULES[CloseCode(code or 0)].reconnect
    except ValueError:
        return Reconnect.RESUME
