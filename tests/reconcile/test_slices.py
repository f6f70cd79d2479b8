"""Walking a list that has the newest first from its old end, in requests that can be counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from payments_core.adapters.memory import MemoryGateway
from payments_core.domain.listing import Page, Span
from payments_core.domain.stripe_objects import Document
from payments_core.drive import run_blocking
from payments_core.services.walking import Unwatched, Walker

END = 2_600_000


class NoWaiter:
    """Nothing here waits."""

    def nudge(self) -> None:
        raise AssertionError

    async def pause(self, seconds: float) -> None:
        raise AssertionError

    def monotonic_s(self) -> float:
        raise AssertionError


def walked(times: Sequence[int], span: Span) -> tuple[list[int], int, list[int]]:
    """The times of what was taken, the number of requests, and how far the walk was at each rest."""
    stripe = MemoryGateway()
    for number, created in enumerate(times):
        stripe.put_event({"id": f"evt_{number}", "created": created})
    taken: list[int] = []
    rests: list[int] = []

    async def fetch(part: Span, after: str | None) -> Page[Document]:
        return await stripe.events(part, after=after)

    async def take(events: Sequence[Document]) -> None:
        taken.extend(event["created"] for event in events)

    async def reached(until_s: int) -> None:
        assert all(created < until_s for created in taken)
        assert len(taken) == sum(span.since_s <= created < until_s for created in times)
        rests.append(until_s)

    run_blocking(Walker(NoWaiter(), Unwatched()).walk(span, fetch, take, reached))
    return taken, len(stripe.calls), rests


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_everything_is_taken_once_and_the_oldest_first(data: Any) -> None:
    """Whatever the times, in bursts or spread: at each rest all before it is done, so it can be remembered."""
    bursts = data.draw(
        st.lists(st.tuples(st.integers(1, END - 1), st.integers(1, 260), st.integers(0, 5000)), max_size=5)
    )
    times = [min(END - 1, at + (place * width) // 260) for at, many, width in bursts for place in range(many)]
    taken, _, rests = walked(times, Span(1, END))
    assert taken == sorted(times)
    assert rests == sorted(rests)
    assert rests[-1] == END


def test_an_empty_month_is_one_request() -> None:
    """Nothing happened: nothing is cut."""
    assert walked([], Span(1, END))[1] == 1


def test_an_even_month_costs_little_more_than_its_pages() -> None:
    """10,000 events, a hundred pages."""
    taken, requests, _ = walked([1 + 259 * number for number in range(10_000)], Span(1, END))
    assert len(taken) == 10_000
    assert requests < 200


def test_a_burst_after_a_quiet_month_costs_few_requests() -> None:
    """Everything in the last five minutes."""
    _, requests, _ = walked([END - 1 - number for number in range(300)], Span(1, END))
    assert requests < 20


def test_a_second_with_more_than_a_page_is_paged_through() -> None:
    """Time cannot be cut any further."""
    taken, _, _ = walked([5000] * 450, Span(1, END))
    assert len(taken) == 450
