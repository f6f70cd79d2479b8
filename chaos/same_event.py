"""The same event on 64 connections at once, to four processes: two of FastAPI, two of Flask.

Every connection is open and every request but its last byte sent before the last bytes go out together. All must be
answered 2xx; one row and one effect may be there.

Whoever has its answer closes its connection, as it said it would. A client that keeps it open holds up the others:
gunicorn's threaded worker (27.0.1) waits up to two seconds for the end of each answered connection, on the thread that
also accepts. A bare Flask route under it answers within 0.04 s in 1,500 rounds of sixteen connections closed at once,
and within 30.06 s in 60 rounds of sixteen kept open, which is longer than anybody here waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from attrs import asdict, frozen

from chaos.databases import database, open_checkouts
from chaos.ledgers import drained, judge, read_books
from chaos.processes import Crowd, listener
from chaos.scenario import BASES, Figure, Result, Scale, Scenario, Setup
from chaos.sender import ANSWER_S, Connection
from chaos.shop import SECRET, Spec
from chaos.stories import Event, simple

AT_ONCE: Final = 64
_OK: Final = "200"
ROLES: Final = ("fastapi", "fastapi", "flask", "flask")


@frozen
class Size:
    """How many events, each of which comes 64 times at once."""

    rounds: int
    drain_s: float


SIZES: Final = {Scale.SHORT: Size(rounds=2, drain_s=60), Scale.LONG: Size(rounds=1_000, drain_s=180)}


async def _rounds(ports: Sequence[int], events: Sequence[Event]) -> Counter[str]:
    """Every event once on every connection at once; how it was answered, and by whom where not with 200."""
    statuses: Counter[str] = Counter()
    for event in events:
        connections = [Connection(ports[n % len(ports)], keeps=False) for n in range(AT_ONCE)]
        try:
            statuses += await _at_once(connections, event)
        finally:
            for connection in connections:
                connection.close()
    return statuses


async def _at_once(connections: Sequence[Connection], event: Event) -> Counter[str]:
    """All but the last byte, then everybody's last byte, then the answers."""
    streams = [await connection.open() for connection in connections]
    requests = [connection.request(event, SECRET) for connection in connections]
    for (_, writer), request in zip(streams, requests, strict=True):
        writer.write(request[:-1])
    await asyncio.gather(*(writer.drain() for _, writer in streams))
    for (_, writer), request in zip(streams, requests, strict=True):
        writer.write(request[-1:])
    return Counter(await asyncio.gather(*(_status(n, connection) for n, connection in enumerate(connections))))


async def _status(number: int, connection: Connection) -> str:
    try:
        async with asyncio.timeout(ANSWER_S):
            status = str((await connection.answer()).status)
    except (OSError, EOFError, ValueError) as trouble:
        status = type(trouble).__name__
    finally:
        connection.close()
    return status if status == _OK else f"{status} from {ROLES[number % len(ROLES)]}"


def _same_event(kind: str, setup: Setup) -> Result:
    size = SIZES[setup.scale]
    run = f"e{setup.seed}"
    plan = simple(run, events=size.rounds)
    with ExitStack() as stack:
        url = stack.enter_context(database(setup, kind))
        doors = [stack.enter_context(listener()) for _ in ROLES]
        open_checkouts(url, plan)
        spec = Spec(url, run, mutant=setup.mutant)
        crowd = stack.enter_context(Crowd(asdict(spec), setup.folder / "log"))
        for role, door in zip(ROLES, doors, strict=True):
            crowd.start(role, (door.fileno(),))
        statuses = asyncio.run(_rounds([door.getsockname()[1] for door in doors], plan.events))
        still = drained(url, size.drain_s)
        crowd.finish(setup.scale)
        verdict = judge(plan, {event.event_id for event in plan.events}, read_books(url))
    figures: dict[str, Figure] = {"rounds": size.rounds, "deliveries": statuses.total(), "answers 2xx": statuses[_OK]}
    broken = [f"{still} events were still open at the end"] if still else []
    broken += [f"{count} answers: {status}" for status, count in statuses.items() if status != _OK]
    return verdict.result(figures, *broken)


def _run(kind: str) -> Callable[[Setup], Result]:
    return partial(_same_event, kind)


SCENARIOS: Final = tuple(
    Scenario(f"same-event-{kind}", f"{base}: the same event 64 times at once on four processes.", _run(kind))
    for kind, base in BASES
)
