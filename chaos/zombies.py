"""Zombies: a process is frozen past its lease with an event in hand, another one handles the event, and it comes back.

Frozen before its transaction it finds its fencing token out of date, and writes nothing. Frozen in the handler, with
its transaction open, on PostgreSQL the server ends that transaction after a while (`idle_in_transaction_s`) so that
others can go on; on SQLite nobody else can write until it comes back, and it is the one that handles the event.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from chaos.databases import database, open_checkouts
from chaos.ledgers import judge, leased, let_leases_end, progress, read_books
from chaos.processes import Child, Crowd, state_of, until
from chaos.scenario import Figure, Result, Scale, Scenario, Setup
from chaos.shop import Spec, blocking_shop
from chaos.stories import Plan, simple
from chaos.trouble import FROZEN_ASKING, FROZEN_INSIDE
from payments_core.domain.delivery import ReceivedEvent
from payments_core.drive import run_blocking

#: Shorter than anything that is healthy takes, so that it is soon over.
_LEASE_S: Final = 1
#: No zombie is to lose its event to another one that was slow to start: leases end when all of them are frozen.
_HELD_S: Final = 300
_IDLE_S: Final = 1.5
_WAIT_S: Final = 60.0
_STOP_S: Final = 20.0


@frozen
class Size:
    """How many zombies at once, and how often."""

    at_once: int
    rounds: int


SIZES: Final = {Scale.SHORT: Size(at_once=4, rounds=1), Scale.LONG: Size(at_once=20, rounds=10)}


@frozen
class Graveyard:
    """Where zombies are made. `takes_over`: whether a healthy worker can finish while they are frozen."""

    url: str
    crowd: Crowd
    takes_over: bool

    def round(self, count: int, kind: str, facade: str) -> str:
        """Freeze so many, let a healthy worker finish, wake them; what went wrong, or nothing."""
        zombies = [self.crowd.start("zombie", trouble=kind, facade=facade, lease_s=_HELD_S) for _ in range(count)]
        if not until(lambda: all(state_of(one.pid) == "T" for one in zombies), _WAIT_S):
            return "a zombie did not freeze: " + ", ".join(state_of(one.pid) or "ended" for one in zombies)
        if leased(self.url) != count and kind == FROZEN_ASKING:
            return "a frozen process holds no lease"
        let_leases_end(self.url)
        healthy = self.crowd.start("worker", facade=facade)
        finished = until(lambda: progress(self.url)[0] == 0, _WAIT_S) if self.takes_over else True
        for one in zombies:
            one.signal(signal.SIGCONT)
        ended = until(lambda: not any(one.alive for one in zombies), _WAIT_S)
        if not self.takes_over:
            finished = until(lambda: progress(self.url)[0] == 0, _WAIT_S)
        self._clear([*zombies, healthy])
        return "" if finished and ended else f"finished meanwhile: {finished}, zombies ended: {ended}"

    def _clear(self, children: list[Child]) -> None:
        self.crowd.stop(children, _STOP_S)
        for child in children:
            self.crowd.forget(child)


def _zombies(kind: str, place: str, setup: Setup) -> Result:
    size = SIZES[setup.scale]
    run = f"z{setup.seed}"
    # The intent's news makes Stripe be asked, between the claim and the transaction.
    news = "payment_intent.succeeded" if place == FROZEN_ASKING else "checkout.session.completed"
    plan = simple(run, events=size.at_once * size.rounds, kind=news)
    with database(setup, kind) as url:
        open_checkouts(url, plan)
        spec = Spec(url, run, _LEASE_S, idle_in_transaction_s=_IDLE_S, notes=str(setup.folder), mutant=setup.mutant)
        with Crowd(asdict(spec), setup.folder / "log") as crowd:
            yard = Graveyard(url, crowd, takes_over=kind == "postgresql" or place == FROZEN_ASKING)
            troubles = _rounds(yard, spec, plan, size, place)
        outcomes = _outcomes(setup.folder)
        verdict = judge(plan, {event.event_id for event in plan.events}, read_books(url))
    awake = sum(outcomes.values())
    figures: dict[str, Figure] = {"zombies": awake, **{f"ended as {name}": n for name, n in sorted(outcomes.items())}}
    broken = [f"round {number}: {trouble}" for number, trouble in enumerate(troubles) if trouble]
    if yard.takes_over and outcomes["done"]:
        broken.append(f"{outcomes['done']} zombies finished what another had finished")
    if awake != len(plan.events):
        broken.append(f"{len(plan.events)} zombies were made and {awake} came back")
    return verdict.result(figures, *broken)


def _rounds(yard: Graveyard, spec: Spec, plan: Plan, size: Size, place: str) -> list[str]:
    """All rounds, with the two facades in turn; what went wrong in each."""
    shop = blocking_shop(spec)
    troubles: list[str] = []
    for number in range(size.rounds):
        for event in plan.events[number * size.at_once : (number + 1) * size.at_once]:
            run_blocking(shop.core.store.receive(ReceivedEvent(event.event_id, event.type, event.body)))
        troubles.append(yard.round(size.at_once, place, ("blocking", "async")[number % 2]))
    shop.close()
    return troubles


def _outcomes(folder: Path) -> Counter[str]:
    path = folder / "outcomes"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(line.split(" ", 1)[1] for line in lines)


def _run(kind: str, place: str) -> Callable[[Setup], Result]:
    return partial(_zombies, kind, place)


_ASKING: Final = "workers are frozen past their lease while they ask Stripe, and come back when it is done."
_INSIDE: Final = "workers are frozen past their lease inside the handler, and come back when it is done."

SCENARIOS: Final = (
    Scenario("zombies-sqlite", f"SQLite: {_ASKING}", _run("sqlite", FROZEN_ASKING)),
    Scenario("zombies-postgresql", f"PostgreSQL: {_ASKING}", _run("postgresql", FROZEN_ASKING)),
    Scenario("zombies-inside-postgresql", f"PostgreSQL: {_INSIDE}", _run("postgresql", FROZEN_INSIDE)),
)
