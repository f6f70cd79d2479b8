"""The database server dies by kill -9, postmaster and backends at once, again and again under load.

While it is away the answer is 503 with Retry-After and never 2xx; when it accepts connections again, so do the web
servers within two seconds, without a restart. FastAPI and Flask are under load at the same time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from itertools import cycle
from typing import Final

from attrs import asdict, define, evolve, field, frozen

from chaos.databases import OwnServer, on_server, open_checkouts
from chaos.ledgers import drained, judge, read_books
from chaos.processes import Crowd, listener, reached
from chaos.scenario import Figure, Result, Scale, Scenario, Setup
from chaos.sender import Sender
from chaos.shop import Spec
from chaos.stories import Plan, number_in, settled, simple
from chaos.teams import Post, Team


@frozen
class Size:
    """How often, how long it serves in between at most, and how long the rest may take."""

    kills: int
    up_s: float
    drain_s: float
    lease_s: int


SIZES: Final = {
    Scale.SHORT: Size(kills=2, up_s=0.3, drain_s=60, lease_s=1),
    Scale.LONG: Size(kills=100, up_s=0.6, drain_s=180, lease_s=2),
}
#: C04: the first success after the server accepts connections again.
HEALED_S: Final = 2.0
_FELT_S: Final = 30.0
_EVENTS: Final = {Scale.SHORT: 400, Scale.LONG: 20_000}
_CONNECTIONS: Final = 4


@define
class Outage:
    """The server's death and return, as seen from both doors."""

    size: Size
    server: OwnServer
    url: str
    senders: Sequence[Sender]
    chance: random.Random
    run_name: str
    healed_s: list[float] = field(factory=list)
    kills: int = 0

    async def run(self, team: Team, plan: Plan) -> int:
        """All kills under load, then the rest; how many events are open at the end."""
        team.start()
        half = len(plan.events) // len(self.senders)
        tasks = [
            asyncio.create_task(sender.deliver(cycle(plan.events[n * half : (n + 1) * half])))
            for n, sender in enumerate(self.senders)
        ]
        try:
            await self._served(time.monotonic())
            for _ in range(self.size.kills):
                await asyncio.sleep(self.chance.random() * self.size.up_s)
                await self._kill()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        still = await asyncio.to_thread(drained, self.url, self.size.drain_s)
        team.dismiss()
        return still

    async def _kill(self) -> None:
        await asyncio.to_thread(self.server.kill)
        self.kills += 1
        # The outage lasts until both doors have met it.
        met = [sender.statuses[503] for sender in self.senders]
        await reached(partial(self._is_felt, met), _FELT_S)
        await asyncio.to_thread(self.server.start)
        self.healed_s.append(await self._served(time.monotonic()))

    def _is_felt(self, met: Sequence[int]) -> bool:
        return all(sender.statuses[503] > before for sender, before in zip(self.senders, met, strict=True))

    async def _served(self, since_s: float) -> float:
        """Wait until every door has answered 2xx after `since_s`; how long the slowest took."""
        slowest = 0.0
        for sender in self.senders:
            while not sender.acked_s or sender.acked_s[-1] < since_s:
                if time.monotonic() > since_s + 60:
                    return 60.0
                await asyncio.sleep(0.005)
            first = next(at for at in reversed(sender.acked_s) if at >= since_s)
            slowest = max(slowest, first - since_s)
        return slowest


def _outages(setup: Setup) -> Result:
    size = SIZES[setup.scale]
    run = f"o{setup.seed}"
    plan = simple(run, events=_EVENTS[setup.scale])
    with (
        closing(OwnServer(setup.folder / "postgres")) as server,
        on_server(server.url) as url,
        listener() as first,
        listener() as second,
        Crowd(asdict(Spec(url, run, size.lease_s, mutant=setup.mutant)), setup.folder / "log") as crowd,
    ):
        open_checkouts(url, plan)
        team = Team(crowd, [Post("fastapi", (first.fileno(),)), Post("flask", (second.fileno(),)), Post("worker")])
        senders = [Sender([door.getsockname()[1]], connections=_CONNECTIONS) for door in (first, second)]
        chance = random.Random(setup.seed)
        outage = Outage(size, server, url, senders, chance, run)
        still = asyncio.run(outage.run(team, plan))
        crowd.finish(setup.scale)
        return _counted(outage, team, plan, still=still)


def _counted(outage: Outage, team: Team, plan: Plan, *, still: int) -> Result:
    books = read_books(outage.url)
    # The load goes round in circles for as long as it takes: due is what was taken in.
    taken = evolve(plan, due=settled(outage.run_name, map(number_in, books.inbox)))
    verdict = judge(taken, set[str]().union(*(sender.acked for sender in outage.senders)), books)
    statuses = sum((sender.statuses for sender in outage.senders), Counter[int]())
    slowest = max(outage.healed_s)
    figures: dict[str, Figure] = {
        "kills": outage.kills,
        "events": len(books.inbox),
        "answers 2xx": statuses[200],
        "answers 503": statuses[503],
        "slowest recovery s": round(slowest, 2),
        "restarts of ours": team.replaced,
    }
    broken = [f"{still} events were still open at the end"] if still else []
    broken += [f"{count} answers {status}" for status, count in statuses.items() if status not in (200, 503)]
    broken += [f"the first success came {slowest:.1f} s after the server was back"] if slowest > HEALED_S else []
    broken += [f"{team.replaced} of our processes ended"] if team.replaced else []
    hasty = sum(sender.hasty for sender in outage.senders)
    broken += [f"{hasty} answers 503 without Retry-After"] if hasty else []
    cuts = sum(sender.cuts for sender in outage.senders)
    broken += [f"{cuts} connections were cut"] if cuts else []
    return verdict.result(figures, *broken)


SCENARIOS: Final = (
    Scenario(
        "postgres-killed",
        "PostgreSQL dies by kill -9 under load, FastAPI and Flask before it.",
        _outages,
    ),
)
