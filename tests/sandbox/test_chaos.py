"""Deliveries that go wrong on request, and go wrong again in the same way."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core.sandbox import CALM, Chaos, Sandbox
from tests.sandbox.conftest import NOON, Caller, Clock, Mailbox, cart

SESSIONS = "/v1/checkout/sessions"
Arrival = tuple[int, str]


def arrivals(chaos: str | Chaos | None, *, seed: int = 7, sessions: int = 40) -> tuple[Sandbox, list[Arrival]]:
    """What an endpoint hears of sessions that are paid, one after another: when, and which event."""
    clock, box = Clock(), Mailbox()
    sandbox = Sandbox(forward_to=["http://shop.test/"], clock=clock, seed=seed, send=box, chaos=chaos)
    api, heard = Caller(sandbox), list[Arrival]()
    for _ in range(sessions):
        sandbox.pay(api.ok("POST", SESSIONS, cart())["id"])
    for _ in range(100):
        asyncio.run(sandbox.deliver_due())
        heard += [(clock.now - NOON, sent.event["id"]) for sent in box.sent]
        box.sent.clear()
        clock.advance(1)
    return sandbox, heard


def test_the_same_seed_and_requests_give_the_same_deliveries() -> None:
    """To the second and to the order; another seed gives others."""
    spec = "duplicate=0.3,reorder=0.4,delay=0.3:50,drop=0.2,twin=0.2"

    first, second, other = (arrivals(spec, seed=seed)[1] for seed in (3, 3, 4))

    assert first == second
    assert [at for at, _ in first] != [at for at, _ in other]


def test_without_chaos_everything_arrives_once_at_once_and_in_order() -> None:
    """So that a difference is the profile's."""
    sandbox, heard = arrivals(None)

    assert sandbox.chaos == CALM
    assert heard == [(0, event["id"]) for event in sandbox.events()]


def test_dropped_events_never_arrive_and_are_listed_as_undelivered() -> None:
    """About the share that was asked for; reconciliation finds them."""
    sandbox, heard = arrivals("drop=0.25")
    missing = {event["id"] for event in sandbox.events()} - {event_id for _, event_id in heard}

    assert 0.15 < len(missing) / len(sandbox.events()) < 0.35
    assert {event["id"] for event in sandbox.events() if event["pending_webhooks"] == 1} == missing


def test_duplicates_arrive_twice_and_nothing_else_does() -> None:
    """The second within seconds of the first."""
    sandbox, heard = arrivals("duplicate=0.25")
    times = Counter(event_id for _, event_id in heard)

    assert set(times) == {event["id"] for event in sandbox.events()}
    assert set(times.values()) == {1, 2}
    assert 0.15 < Counter(times.values())[2] / len(times) < 0.35


def test_reordered_events_are_overtaken_and_delayed_ones_come_late() -> None:
    """Everything arrives in the end."""
    for spec, latest in (("reorder=0.5", 3), ("delay=0.5:40", 40)):
        sandbox, heard = arrivals(spec)
        made = [event["id"] for event in sandbox.events()]

        assert [event_id for _, event_id in heard] != made
        assert sorted(event_id for _, event_id in heard) == sorted(made)
        assert 0 < max(at for at, _ in heard) <= latest


def test_a_twin_is_a_second_event_of_one_fact() -> None:
    """Another id, the same type and object; both are listed and delivered."""
    sandbox, heard = arrivals("twin=0.3")
    facts = Counter((event["type"], event["data"]["object"]["id"]) for event in sandbox.events())

    assert set(facts.values()) == {1, 2}
    assert len(heard) == len(sandbox.events()) == facts.total()


def test_one_share_does_not_change_what_another_does() -> None:
    """The deliveries that are doubled are the same with drops and delays beside them."""
    alone, beside = Chaos(duplicate=0.3, seed=5), Chaos(duplicate=0.3, drop=0.2, reorder=0.5, seed=5)
    ids = [f"evt_{n}" for n in range(200)]

    assert [alone.fate(name, "we").again_s for name in ids] == [beside.fate(name, "we").again_s for name in ids]


@pytest.mark.parametrize(
    "spec", ["duplicate", "loss=0.1", "drop=2", "drop=-1", "drop=nan", "drop=0.1:5", "delay=0.1:0", "drop=0.1,drop=0.2"]
)
def test_a_profile_that_is_not_understood_is_refused_in_one_sentence(spec: str) -> None:
    """It names the part."""
    with pytest.raises(ValueError, match=r"is not understood"):
        Chaos.parse(spec, 1)


@given(
    shares=st.fixed_dictionaries({name: st.floats(0, 1) for name in ("duplicate", "reorder", "delay", "drop", "twin")}),
    seed=st.integers(),
)
def test_a_profile_survives_its_own_text(shares: dict[str, float], seed: int) -> None:
    """What is written is read."""
    text = ",".join(f"{name}={share!r}" for name, share in shares.items())

    assert Chaos.parse(text, seed) == Chaos(**shares, seed=seed)
