from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.tables import Table


def filled(**rows: int) -> Table[str, int]:
    table: Table[str, int] = Table()
    for key, row in rows.items():
        table.put(key, row)
    return table


def test_an_overlay_shows_its_parent_and_its_own_changes() -> None:
    overlay = filled(a=1, b=2).overlay()
    overlay.put("b", 3)
    overlay.put("c", 4)
    overlay.remove("a")
    assert dict(overlay.items()) == {"b": 3, "c": 4}
    assert len(overlay) == 2
    assert "a" not in overlay


def test_a_parent_does_not_see_an_overlay_until_it_absorbs_it() -> None:
    parent = filled(a=1, b=2)
    overlay = parent.overlay()
    overlay.remove("a")
    overlay.put("b", 3)
    assert dict(parent.items()) == {"a": 1, "b": 2}
    parent.absorb(overlay)
    assert dict(parent.items()) == {"b": 3}


@pytest.mark.parametrize("overlaid", [False, True])
def test_what_is_not_there_cannot_be_removed(overlaid: bool) -> None:
    table = filled(a=1).overlay() if overlaid else filled(a=1)
    with pytest.raises(KeyError):
        table.remove("b")
    table.remove("a")
    with pytest.raises(KeyError):
        table.remove("a")
    with pytest.raises(KeyError):
        table["a"]


def test_a_cleared_overlay_clears_its_parent_when_absorbed() -> None:
    parent = filled(a=1, b=2)
    overlay = parent.overlay()
    overlay.clear()
    overlay.put("c", 3)
    assert list(overlay) == ["c"]
    parent.absorb(overlay)
    assert dict(parent.items()) == {"c": 3}


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "overlay", "absorb", "drop"]), st.integers(0, 5)),
    max_size=40,
)


@given(STEPS)
def test_nested_overlays_behave_like_copies(steps: list[tuple[str, int]]) -> None:
    tables: list[Table[int, int]] = [Table()]
    copies: list[dict[int, int]] = [{}]
    for number, (step, key) in enumerate(steps):
        if step == "put":
            tables[-1].put(key, number)
            copies[-1][key] = number
        elif step == "remove" and key in copies[-1]:
            tables[-1].remove(key)
            del copies[-1][key]
        elif step == "overlay":
            tables.append(tables[-1].overlay())
            copies.append(dict(copies[-1]))
        elif step in {"absorb", "drop"} and len(tables) > 1:
            table, copy = tables.pop(), copies.pop()
            if step == "absorb":
                tables[-1].absorb(table)
                copies[-1] = copy
        for table, copy in zip(tables, copies, strict=True):
            assert dict(table.items()) == copy
            assert len(table) == len(copy)
            assert all((n in table) == (n in copy) for n in range(6))


@given(STEPS)
def test_rows_that_are_noted_are_those_that_a_look_at_all_rows_finds(
    steps: list[tuple[str, int]],
) -> None:
    tables: list[Table[int, int]] = [Table(None, lambda row: row % 3 == 0)]
    for number, (step, key) in enumerate(steps):
        if step == "put":
            tables[-1].put(key, number)
        elif step == "remove" and key in tables[-1]:
            tables[-1].remove(key)
        elif step == "overlay":
            tables.append(tables[-1].overlay())
        elif step in ("absorb", "drop") and len(tables) > 1:
            top = tables.pop()
            if step == "absorb":
                tables[-1].absorb(top)
        for table in (*tables, tables[-1].copy()):
            found = list(table.noted())
            assert len(found) == len(dict(found))
            assert dict(found) == {at: row for at, row in table.items() if row % 3 == 0}
