"""Ways from key to key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.chains import Reached, closed, reached

KEYS = "abcde"
LINKS = st.fixed_dictionaries({key: st.lists(st.sampled_from(KEYS)) for key in KEYS})


def test_the_nearest_come_first_and_each_comes_once() -> None:
    links = {"a": "bcb", "b": "d", "c": "d", "d": "ea", "e": ""}
    assert list(reached("a", links.__getitem__)) == [
        Reached("b", 1, "a"),
        Reached("c", 1, "a"),
        Reached("d", 2, "b"),
        Reached("e", 3, "d"),
    ]


@given(LINKS)
def test_everything_is_reached_over_what_stands_one_link_before_it(
    links: dict[str, list[str]],
) -> None:
    depths = {"a": 0}
    for found in reached("a", links.__getitem__):
        assert found.key in links[found.through]
        assert found.depth == depths[found.through] + 1
        assert found.key not in depths
        depths[found.key] = found.depth
    assert all(there in depths for here in depths for there in links[here])


@given(LINKS, st.lists(st.sampled_from(KEYS)))
def test_what_is_closed_is_each_key_with_all_that_is_reached_from_it(
    links: dict[str, list[str]], keys: list[str]
) -> None:
    each = ({key, *(found.key for found in reached(key, links.__getitem__))} for key in keys)
    assert closed(keys, links.__getitem__) == set().union(*each)
