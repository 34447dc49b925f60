"""Both halves of a client key's session, connected by lists, under every order, cut and repeat."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sdk_protocol.session.values_world import World

STEPS = 200


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_page_has_what_the_reference_gives_it(seed: int) -> None:
    world = World(random.Random(seed))
    for _ in range(STEPS):
        world.step()
    world.calm()
    world.check_arrival()
