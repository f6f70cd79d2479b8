"""Rolling restarts under load: a new server comes, and the old one is told to go by SIGTERM.

Connections are not kept, so that none may be cut without reason: a server that goes answers what it has taken, and
leaves the rest to the others on the same socket. Whoever is told to go gives back what it had in hand.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import Final

from attrs import asdict, define, evolve, field, frozen

from chaos.databases import database, open_checkouts
from chaos.ledgers import drained, judge, leased, read_books
from chaos.processes import Child, Crowd, Stuck, listener, reached
from chaos.scenario import Figure, Result, Scale, Scenario, Setup
from chaos.sender import Sender
from chaos.shop import Spec
from chaos.stories import Plan, number_in, settled, simple


@frozen
class Size:
    """How many restarts, and how many events are there to be sent round and round."""

    restarts: int
    events: int
    drain_s: float


SIZES: Final = {
    Scale.SHORT: Size(restarts=3, events=300, drain_s=60),
    Scale.LONG: Size(restarts=100, events=10_000, drain_s=180),
}
#: C09: the share of deliveries that may be answered anything but 2xx.
SHARE: Final = 0.001
#: How long a process that was told to go may take.
GRACE_S: Final = 15.0
_START_S: Final = 30.0
_CONNECTIONS: Final = 4
#: Longer than the scenario's patience: what is not given back stays leased for all to see.
_LEASE_S: Final = 30


@define
class Roll:
    """Servers and a worker on one socket, replaced one after the other."""

    crowd: Crowd
    facade: str
    socket_fd: int
    serving: list[Child] = field(factory=list)
    restarts: Counter[str] = field(factory=Counter)
    late: int = 0
    pipes: list[int] = field(factory=list)

    async def replace(self, position: int) -> None:
        """Start the successor, wait until it serves, tell the old one to go and wait until it is gone."""
        old = self.serving[position]
        self.serving[position] = await self.start(old.role)
        self.late += await asyncio.to_thread(self.crowd.stop, [old], GRACE_S)
        self.restarts[old.role] += 1

    async def start(self, role: str) -> Child:
        """A new process, once it is ready."""
        reading, writing = os.pipe()
        child = self.crowd.start(role, (self.socket_fd, writing), facade=self.facade)
        os.close(writing)
        # Left open: what is still written to it must not fail.
        self.pipes.append(reading)
        await self._is_ready(reading, child)
        return child

    async def _is_ready(self, pipe: int, child: Child) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(pipe, ready.set)
        try:
            async with asyncio.timeout(_START_S):
                await ready.wait()
        except TimeoutError:
            raise Stuck(f"{child.role} did not get ready in {_START_S:g} s; alive: {child.alive}") from None
        finally:
            loop.remove_reader(pipe)


def _served_since(sender: Sender, before: int) -> bool:
    return sender.deliveries > before


async def _rolled(roll: Roll, framework: str, sender: Sender, plan: Plan, size: Size) -> None:
    roll.serving = [await roll.start(role) for role in (framework, framework, "worker")]
    sending = asyncio.create_task(sender.deliver(cycle(plan.events)))
    try:
        for number in range(size.restarts):
            await roll.replace(number % len(roll.serving))
            # Something was served in between, else it was no restart under load.
            await reached(partial(_served_since, sender, sender.deliveries), _START_S)
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending


def _rolling(framework: str, kind: str, setup: Setup) -> Result:
    size = SIZES[setup.scale]
    run = f"r{setup.seed}"
    facade = "async" if framework == "fastapi" else "blocking"
    plan = simple(run, events=size.events)
    with database(setup, kind) as url, listener() as door:
        open_checkouts(url, plan)
        spec = Spec(url, run, _LEASE_S, mutant=setup.mutant)
        with Crowd(asdict(spec), setup.folder / "log") as crowd:
            roll = Roll(crowd, facade, door.fileno())
            sender = Sender([door.getsockname()[1]], connections=_CONNECTIONS, keeps=False)
            asyncio.run(_rolled(roll, framework, sender, plan, size))
            roll.late += crowd.stop(roll.serving, GRACE_S)
            held = leased(url)
            crowd.start("worker", facade=facade)
            still = drained(url, size.drain_s)
            crowd.finish(setup.scale)
        for pipe in roll.pipes:
            os.close(pipe)
        return _counted(url, run, roll, sender, plan, held=held, still=still)


def _counted(url: str, run: str, roll: Roll, sender: Sender, plan: Plan, *, held: int, still: int) -> Result:
    books = read_books(url)
    verdict = judge(evolve(plan, due=settled(run, map(number_in, books.inbox))), sender.acked, books)
    refused = sum(count for status, count in sender.statuses.items() if status != 200)
    attempts = sender.deliveries + refused + sender.cuts
    figures: dict[str, Figure] = {
        "restarts": roll.restarts.total(),
        "of workers": roll.restarts["worker"],
        "deliveries": sender.deliveries,
        "events": len(books.inbox),
        "not 2xx": refused,
        "cut connections": sender.cuts,
        "still leased": held,
        "not gone in time": roll.late,
    }
    broken = [f"{still} events were still open at the end"] if still else []
    broken += [f"{refused} of {attempts} answers were not 2xx"] if refused > attempts * SHARE else []
    # A server may close a connection that it has accepted and not yet read from: one at most each time.
    webs = roll.restarts.total() - roll.restarts["worker"]
    broken += [f"{sender.cuts} connections were cut by {webs} restarts"] if sender.cuts > webs else []
    broken += [f"{held} events were left leased by processes that were told to go"] if held else []
    broken += [f"{roll.late} processes did not go in {GRACE_S:g} s"] if roll.late else []
    return verdict.result(figures, *broken)


def _run(framework: str, kind: str) -> Callable[[Setup], Result]:
    return partial(_rolling, framework, kind)


def _scenarios(pairs: Sequence[tuple[str, str, str]]) -> tuple[Scenario, ...]:
    return tuple(
        Scenario(f"rolling-{framework}", f"{title}: restarts by SIGTERM under load.", _run(framework, kind))
        for framework, kind, title in pairs
    )


SCENARIOS: Final = _scenarios(
    (
        ("fastapi", "postgresql", "FastAPI over PostgreSQL"),
        ("flask", "postgresql", "Flask over PostgreSQL"),
    )
)
