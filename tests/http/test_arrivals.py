"""Bodies that are still arriving share a bound: large ones wait or go, small ones always get through."""

from __future__ import annotations

from contextlib import ExitStack
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core.errors import RateLimited
from payments_core.http.arrivals import ARRIVING_LIMIT_BYTES, Arrivals, Arriving


def test_within_the_limit_nobody_is_refused() -> None:
    """One body may hold all of it."""
    with Arrivals(100).one() as body:
        for size in (10, 50, 100):
            body.hold(size)


def test_beyond_it_the_large_are_refused_and_the_small_are_not() -> None:
    """A share is the limit divided by those who are there."""
    arrivals = Arrivals(100)
    with arrivals.one() as large, arrivals.one() as small, arrivals.one() as another:
        large.hold(90)
        small.hold(11)
        another.hold(33)
        with pytest.raises(RateLimited):
            another.hold(34)
        with pytest.raises(RateLimited):
            large.hold(91)


def test_what_is_complete_or_given_up_is_held_no_longer() -> None:
    """Also where it ended in an error."""
    arrivals = Arrivals(100)
    with pytest.raises(RateLimited), arrivals.one() as body:
        body.hold(101)
    assert arrivals.held == 0
    with arrivals.one() as body:
        body.hold(100)
    assert (arrivals.held, arrivals.share_bytes) == (0, 100)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 1000)), max_size=300))
def test_what_all_of_them_hold_grows_with_the_logarithm_of_their_number_only(steps: list[tuple[int, int]]) -> None:
    """Hypothesis: whoever sends what in whatever order, and never leaves unless refused."""
    limit, largest_piece = 10_000, 1000
    arrivals = Arrivals(limit)
    bodies: dict[int, tuple[ExitStack, Arriving]] = {}
    for who, piece in steps:
        if who not in bodies:
            stack = ExitStack()
            bodies[who] = stack, stack.enter_context(arrivals.one())
        stack, body = bodies[who]
        try:
            body.hold(body.size + piece)
        except RateLimited:
            stack.close()
            del bodies[who]
        assert arrivals.held == sum(body.size for _, body in bodies.values())
        assert arrivals.held <= limit * (2 + log(max(1, len(bodies)))) + largest_piece
    for stack, _ in bodies.values():
        stack.close()
    assert arrivals.held == 0


def test_eight_megabytes_are_arriving_at_most_before_anybody_is_refused() -> None:
    """Some eight hundred of Stripe's usual events, in pieces, at one moment."""
    assert ARRIVING_LIMIT_BYTES == 8_388_608
