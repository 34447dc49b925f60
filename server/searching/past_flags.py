"""Finding flags in a state that was: it is looked through once, so nothing is made beforehand."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime

from domain.facts import Entity
from domain.pages import flag_keys
from domain.references import segments_in
from domain.state import FlagDefinition, ProjectState
from server.searching.criteria import Criteria
from server.searching.entries import FlagEntry, flag_entry
from server.searching.orders import Place, SortBy, row_place


class PastFlags:
    """The same answers as those of an index, of a state that nobody changes any more."""

    __slots__ = ("_state", "_users")

    def __init__(self, state: ProjectState) -> None:
        self._state = state
        self._users: dict[str, set[str]] | None = None

    def find(
        self,
        criteria: Criteria,
        now: datetime,
        by: SortBy = "key",
        after: Place | None = None,
        *,
        descending: bool = False,
    ) -> Iterator[FlagEntry]:
        """The flags that meet all of it at an instant, from beyond a place on, in an order."""
        for key in self._keys(by, after, descending=descending):
            flag = self._state.flags.get(key)
            if flag is not None and criteria.admits(flag) and self._may_meet(criteria, key):
                yield from criteria.select([flag_entry(self._state, key)], now)

    def _keys(self, by: SortBy, after: Place | None, *, descending: bool) -> list[str]:
        """Beyond a place, in an order: of flags, and perhaps of some that are none.

        In the order of keys no flag is read for it.
        """
        if by == "key":
            keys = flag_keys(self._state)
            if after is not None and descending:
                del keys[bisect_left(keys, after.key) :]
            elif after is not None:
                del keys[: bisect_right(keys, after.key)]
            return keys[::-1] if descending else keys
        places = [self._place(by, flag) for flag in self._state.flags.values()]
        if after is not None:
            places = [each for each in places if (each < after if descending else each > after)]
        return [place.key for place in sorted(places, reverse=descending)]

    def _may_meet(self, criteria: Criteria, key: str) -> bool:
        """What can be told by a glance at the settings: to make an entry takes far longer."""
        wanted, by_words = criteria.state, criteria.segment is not None or criteria.rules
        if wanted is None and not by_words:
            return True
        places = (criteria.environment,) if criteria.environment else self._state.environments
        rows = [self._state.settings[key, place] for place in places]
        if wanted is not None and any(row.enabled for row in rows) != (wanted == "enabled"):
            return False
        return not by_words or any(row.rules or row.targets or row.prerequisites for row in rows)

    def _place(self, by: SortBy, flag: FlagDefinition) -> Place:
        changed_seq = self._changed_seq(flag.key) if by == "changed" else 0
        return row_place(by, flag.key, flag.name, flag.created_at, changed_seq)

    def _changed_seq(self, flag: str) -> int:
        places = (None, *self._state.environments)
        return max(self._state.mark(Entity("flag", flag, place)).seq for place in places)

    def __getitem__(self, key: str) -> FlagEntry:
        """The entry of a flag. Raises ``KeyError``."""
        return flag_entry(self._state, key)

    def users(self, segment: str) -> tuple[str, ...]:
        """The flags that name a segment in a rule of any environment, by key."""
        return tuple(sorted(self._users_by_segment().get(segment, ())))

    def count_users(self, segment: str) -> int:
        """How many there are."""
        return len(self._users_by_segment().get(segment, ()))

    def _users_by_segment(self) -> dict[str, set[str]]:
        if self._users is None:
            self._users = {}
            for (flag, _), settings in self._state.settings.items():
                for rule in settings.rules:
                    for segment in segments_in(rule.when):
                        self._users.setdefault(segment, set()).add(flag)
        return self._users
