"""Storms: every event comes one to three times, over several connections, while whoever takes it dies by kill -9.

Web servers and a worker are killed at random moments and replaced at once. The moments are spread over the run by
progress, not by the clock: a slow machine has as many kills among as many events as a fast one. At the end the three
ledgers are compared.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from attrs import asdict, define, frozen

from chaos.databases import database, open_checkouts
from chaos.ledgers import drained, judge, progress, read_books
from chaos.processes import Crowd, listener, reached
from chaos.scenario import BASES, FRAMEWORKS, Figure, Result, Scale, Scenario, Setup
from chaos.sender import Sender
from chaos.shop import Spec
from chaos.stories import Event, Plan, told
from chaos.teams import Post, Team


@frozen
class Size:
    """How much of it."""

    events: int
    kills: int
    forged: int
    drain_s: float
    lease_s: int


SIZES: Final = {
    Scale.SHORT: Size(events=150, kills=8, forged=8, drain_s=60, lease_s=1),
    Scale.LONG: Size(events=10_000, kills=80, forged=200, drain_s=300, lease_s=2),
}
#: While everybody dies, "the store cannot take it now" is an honest answer; nothing else but yes is.
HONEST: Final = (200, 503)
_LOOK_S: Final = 0.1


@define
class Storm:
    """One storm while it rages."""

    size: Size
    url: str
    team: Team
    sender: Sender
    chance: random.Random
    kills: Counter[str]
    handled: int = 0
    still: int = 0

    async def rage(self, deliveries: Sequence[Event], plan: Plan) -> None:
        """Deliver, kill, and wait until everything is handled."""
        self.team.start()
        total = len(deliveries) - len(plan.forged) + len(plan.events)
        moments = sorted(self.chance.random() * 0.97 * total for _ in range(self.size.kills))
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look())
            killing = group.create_task(self._kill(moments))
            await self.sender.deliver(deliveries)
            self.still = await asyncio.to_thread(drained, self.url, self.size.drain_s)
            looking.cancel()
            self.handled = len(plan.events)
            await killing
        self.team.dismiss()

    async def _kill(self, moments: Sequence[float]) -> None:
        for moment in moments:
            await reached(partial(self._is_at, moment), self.size.drain_s)
            self.kills[self.team.kill_one(self.chance)] += 1

    def _is_at(self, moment: float) -> bool:
        return self.sender.deliveries + self.handled >= moment

    async def _look(self) -> None:
        while True:
            _, self.handled = await asyncio.to_thread(progress, self.url)
            await asyncio.sleep(_LOOK_S)


def deliveries_of(plan: Plan, chance: random.Random) -> list[Event]:
    """Every event one to three times, every forgery once, in no order."""
    found = [*plan.forged, *(event for event in plan.events for _ in range(chance.randint(1, 3)))]
    chance.shuffle(found)
    return found


def _storm(framework: str, kind: str, setup: Setup) -> Result:
    size = SIZES[setup.scale]
    plan = told(setup.seed, f"s{setup.seed}", events=size.events, forged=size.forged)
    chance = random.Random(f"{setup.seed} {framework} {kind}")
    deliveries = deliveries_of(plan, chance)
    with database(setup, kind) as url, listener() as door:
        open_checkouts(url, plan)
        spec = Spec(url, f"s{setup.seed}", lease_s=size.lease_s, mutant=setup.mutant)
        with Crowd(asdict(spec), setup.folder / "log") as crowd:
            facade = "async" if framework == "fastapi" else "blocking"
            webs = [Post(framework, (door.fileno(),)) for _ in range(2)]
            team = Team(crowd, [*webs, Post("worker", facade=facade)])
            sender = Sender([door.getsockname()[1]])
            storm = Storm(size, url, team, sender, chance, Counter())
            asyncio.run(storm.rage(deliveries, plan))
            crowd.finish(setup.scale)
        return _counted(storm, plan)


def _counted(storm: Storm, plan: Plan) -> Result:
    sender = storm.sender
    verdict = judge(plan, sender.acked, read_books(storm.url))
    dishonest = {status: count for status, count in sender.statuses.items() if status not in HONEST}
    taken = sum(count for status, count in sender.forged.items() if status != 400)
    figures: dict[str, Figure] = {
        "events": len(plan.events),
        "deliveries": sender.deliveries,
        "kills": storm.kills.total(),
        "of workers": storm.kills["worker"],
        "cut connections": sender.cuts,
        "answers 503": sender.statuses[503],
        "forgeries refused": sender.forged[400],
    }
    broken = [f"{storm.still} were still open after {storm.size.drain_s:g} s without one more"] if storm.still else []
    broken += [f"{count} answers {status}" for status, count in dishonest.items()]
    broken += [f"{taken} forged events were not refused"] if taken else []
    broken += [] if storm.kills.total() == storm.size.kills else ["not everybody was killed who should have been"]
    return verdict.result(figures, *broken)


def _run(framework: str, kind: str) -> Callable[[Setup], Result]:
    return partial(_storm, framework, kind)


SCENARIOS: Final = tuple(
    Scenario(
        f"storm-{framework}-{kind}",
        f"{title} over {base}: each event comes 1-3 times while web servers and a worker are killed.",
        _run(framework, kind),
    )
    for framework, title in FRAMEWORKS
    for kind, base in BASES
)
