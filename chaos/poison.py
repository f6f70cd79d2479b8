"""One payment in a hundred is poison: its handler raises, takes the process down, or hangs until a watchdog ends it.

A poisoned event uses up all of its attempts and is then a dead letter, run no more often than the maximum allows. Its
neighbours, with which it is claimed, are all handled. An attempt is counted by the claim: one may end before the
handler has begun, since another event of the claim took the process down, and is a run less (that each attempt is a
run where nothing dies, G6's tests say). Time between retries is made to pass quickly.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from attrs import asdict, evolve, frozen

from chaos.databases import database, open_checkouts
from chaos.ledgers import Books, drained, judge, read_books
from chaos.processes import Crowd
from chaos.scenario import BASES, Figure, Result, Scale, Scenario, Setup
from chaos.shop import Spec, async_shop
from chaos.stories import Plan, settled, simple
from chaos.teams import Post, Team
from chaos.trouble import POISON, POISONS, poison_of
from payments_core.domain.delivery import MAX_ATTEMPTS, InboxState, ReceivedEvent


@frozen
class Size:
    """How many events, workers and attempts, and how long none of them may be handled."""

    events: int
    workers: int
    attempts: int
    drain_s: float


SIZES: Final = {
    Scale.SHORT: Size(events=300, workers=3, attempts=3, drain_s=45),
    Scale.LONG: Size(events=10_000, workers=4, attempts=MAX_ATTEMPTS, drain_s=290),
}
_LEASE_S: Final = 1
_AT_ONCE: Final = 8
#: A handler that is run so many times more than it may be is never going to be left alone.
_TOO_MANY: Final = 5


async def _received(spec: Spec, plan: Plan) -> None:
    """Put every event into the inbox, as deliveries would."""
    shop = async_shop(spec)
    waiting = iter(plan.events)

    async def receive() -> None:
        for event in waiting:
            await shop.core.store.receive(ReceivedEvent(event.event_id, event.type, event.body))

    await asyncio.gather(*(receive() for _ in range(_AT_ONCE)))
    await shop.close()


async def _worked(team: Team, spec: Spec, drain_s: float) -> int:
    """Let the workers go on until nothing is open, at most so long; how many events are still open."""
    folder, most = Path(spec.notes), spec.max_attempts + _TOO_MANY

    def overrun() -> bool:
        return max(_runs(folder).values(), default=0) > most

    team.start()
    still = await asyncio.to_thread(partial(drained, spec.url, drain_s, in_vain=overrun))
    team.dismiss()
    return still


def _poison(kind: str, setup: Setup) -> Result:
    size = SIZES[setup.scale]
    run = f"p{setup.seed}"
    plan = simple(run, events=size.events)
    with database(setup, kind) as url:
        open_checkouts(url, plan)
        spec = Spec(url, run, _LEASE_S, size.attempts, trouble=POISON, notes=str(setup.folder), mutant=setup.mutant)
        asyncio.run(_received(spec, plan))
        with Crowd(asdict(spec), setup.folder / "log") as crowd:
            posts = [Post("worker", facade=("blocking", "async")[n % 2]) for n in range(size.workers)]
            team = Team(crowd, posts)
            still = asyncio.run(_worked(team, spec, size.drain_s))
            crowd.finish(setup.scale)
        books, runs = read_books(url), _runs(setup.folder)
        return _counted(plan, run, books, runs, size=size, still=still, deaths=team.replaced)


def _counted(plan: Plan, run: str, books: Books, runs: Counter[int], *, size: Size, still: int, deaths: int) -> Result:
    poisoned = [n for n in range(len(plan.events)) if poison_of(n)]
    healthy = settled(run, (n for n in range(len(plan.events)) if not poison_of(n)))
    dead = {f"evt_{run}n{n}" for n in poisoned}
    verdict = judge(evolve(plan, due=healthy), books.inbox, books, dead=dead)
    buried = Counter(poison_of(n) for n in poisoned if books.inbox[f"evt_{run}n{n}"].state == InboxState.DEAD)
    wrongly = sum(row.state == InboxState.DEAD for row in books.inbox.values()) - buried.total()
    figures: dict[str, Figure] = {
        "events": len(plan.events),
        "poisoned": len(poisoned),
        "deaths of workers": deaths,
        **{f"{how}: dead letters": buried[how] for how in POISONS},
        "neighbours buried": wrongly,
        "still open": still,
        "attempts that ended before the handler": size.attempts * len(poisoned) - sum(runs[n] for n in poisoned),
    }
    used = {n: books.inbox[f"evt_{run}n{n}"].attempts for n in poisoned}
    return verdict.result(figures, *_complaints(poisoned, buried, runs, used, size))


def _complaints(
    poisoned: Sequence[int], buried: Counter[str], runs: Counter[int], used: Mapping[int, int], size: Size
) -> list[str]:
    found: list[str] = []
    for how in POISONS:
        of_it = [n for n in poisoned if poison_of(n) == how]
        if buried[how] != len(of_it):
            found.append(f"{len(of_it) - buried[how]} of {len(of_it)} events whose handler {how} are no dead letters")
        most, least = max(runs[n] for n in of_it), min(runs[n] for n in of_it)
        if most > size.attempts or least < 1:
            found.append(f"a handler that {how} was run {least} to {most} times, not 1 to {size.attempts}")
        # One more where the last attempt ended its worker: the claim that finds it used up.
        if not {used[n] for n in of_it} <= {size.attempts, size.attempts + 1}:
            found.append(f"an event whose handler {how} was not buried when its {size.attempts} attempts were used")
    return found


def _runs(folder: Path) -> Counter[int]:
    """How often each poisoned handler was begun."""
    path = folder / "runs"
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


def _run(kind: str) -> Callable[[Setup], Result]:
    return partial(_poison, kind)


SCENARIOS: Final = tuple(
    Scenario(f"poison-{kind}", f"{base}: handlers that raise, abort or hang, among healthy ones.", _run(kind))
    for kind, base in BASES
)
