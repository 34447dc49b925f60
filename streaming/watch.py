"""When an environment is to be compared with Redis, probed, or dropped: times, and nothing else."""

from __future__ import annotations

import math
import secrets

from streaming.settings import StreamSettings


class Watch:
    """The times of one environment, on the monotonic clock, in seconds."""

    __slots__ = (
        "_compared_s",
        "_heard_s",
        "_kept_until_s",
        "_probe",
        "_probed_s",
        "_settings",
        "opened_s",
    )

    def __init__(self, settings: StreamSettings, now_s: float) -> None:
        self.opened_s = now_s
        self._settings = settings
        self._heard_s = now_s
        """When anything was last heard through pub/sub."""
        self._compared_s = now_s
        self._kept_until_s = now_s + settings.linger_s
        """It is not dropped before."""
        self._probe: str | None = None
        """To be sent with the next comparison."""
        self._probed_s = math.inf
        """When a probe was sent that has not been heard; infinite where there is none."""

    def heard(self, now_s: float) -> None:
        """Something came through pub/sub, of whatever kind: it works."""
        self._heard_s = now_s
        self._probed_s = math.inf

    def silent(self, now_s: float) -> bool:
        """Whether a comparison is due; if so, a probe goes with it."""
        if now_s - max(self._heard_s, self._compared_s) < self._settings.silence_s:
            return False
        self._compared_s = now_s
        self._probe = secrets.token_hex(8)
        return True

    def probe(self) -> str | None:
        """Take the probe that is to be sent, if any."""
        probe, self._probe = self._probe, None
        if probe is not None:
            self._probed_s = min(self._probed_s, self._compared_s)
        return probe

    def deaf(self, now_s: float) -> bool:
        """Whether a probe has not come back; answers so once."""
        if now_s - self._probed_s < self._settings.probe_s:
            return False
        self._probed_s = math.inf
        return True

    def unused(self, now_s: float, *, in_use: bool, asked: bool) -> bool:
        """Whether nobody has been here for so long that it should be dropped.

        ``in_use``: somebody is here. ``asked``: there was a request over HTTP since the last call.
        """
        if in_use:
            self._keep(now_s + self._settings.linger_s)
        if asked:
            self._keep(now_s + self._settings.asked_linger_s)
        return now_s > self._kept_until_s

    def _keep(self, until_s: float) -> None:
        self._kept_until_s = max(self._kept_until_s, until_s)
