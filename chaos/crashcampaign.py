"""Crashes a worker at one step after another, and looks at what the next one makes of it.

A process of its own, without threads, since it forks: `python -m chaos.crashcampaign` reads a `Campaign` as JSON on
stdin and writes a `Tally` as JSON to stdout. The points are spread over slots, each with a database of its own, so that
the leases run out side by side.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

from chaos.crashforks import Child, die_with_parent
from chaos.crashstore import Action, Steps
from chaos.crashworld import STORIES, Database, Traces, World, quiet
from chaos.mutants import plant
from chaos.tracing import attached, calls, wait_until_traced
from payments_core.ports import Io

Backend: TypeAlias = Literal["sqlite", "postgresql"]
#: `kill` and `stop` act at a step of the port, every other name at a system call of that name.
How: TypeAlias = Action | str

SYSTEM_CALLS: Final = {
    "sqlite": ("pwrite64", "fdatasync", "ftruncate"),
    "postgresql": ("sendto", "recvfrom"),
}
#: How long a recovery may take before it counts as none.
_RECOVERY_LIMIT_S: Final = 15.0
_LIFE_S: Final = 1100


@attrs.frozen
class Sweep:
    """One story in one world, ended in one way at every point."""

    backend: Backend
    io: Io
    story: str
    how: How


@attrs.frozen
class Campaign:
    """What to do. `databases` are the URLs of each slot by backend; `most` bounds the points (0: all of them)."""

    folder: str
    seed: int
    sweeps: tuple[Sweep, ...]
    databases: dict[str, list[str]]
    most: int = 0
    mutant: str | None = None


@attrs.define
class Tally:
    """What came of it."""

    points: int = 0
    crashed: int = 0
    slowest_s: float = 0.0
    counts: dict[str, int] = attrs.field(factory=dict[str, int])
    #: In words, what went wrong first.
    examples: list[str] = attrs.field(factory=list[str])

    def add(self, other: Tally) -> None:
        """Sum up."""
        self.points += other.points
        self.crashed += other.crashed
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.counts = dict(Counter(self.counts) + Counter(other.counts))
        self.examples = (self.examples + other.examples)[:8]


@attrs.frozen
class Slot:
    """A place to crash in: a folder and a database of each backend."""

    folder: Path
    urls: dict[str, str]

    def acknowledged(self) -> Path:
        """A file that is there once the event was answered."""
        return self.folder / "acknowledged"


#: Imported once, here, and not by each of the processes that are forked.
_PRELOADED: Final = (
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.dialects.sqlite.pysqlite",
)


def main() -> int:
    """Entry point; returns the exit code."""
    die_with_parent(limit_s=_LIFE_S)
    quiet()
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    campaign = _campaign(json.load(sys.stdin))
    if campaign.mutant is not None:
        plant(campaign.mutant)
    tally = run(campaign)
    json.dump(attrs.asdict(tally), sys.stdout)
    return 0


def run(campaign: Campaign) -> Tally:
    """Every chosen point, spread over the slots."""
    slots = list(_slots(campaign))
    points = _chosen(campaign, slots)
    shares = [points[start :: len(slots)] for start in range(len(slots))]
    workers = [Child(partial(_worked, slot, share), limit_s=_LIFE_S) for slot, share in zip(slots, shares, strict=True)]
    tally = Tally()
    for worker in workers:
        tally.add(Tally(**worker.result()))
    return tally


def _campaign(given: dict[str, Any]) -> Campaign:
    given["sweeps"] = tuple(Sweep(**one) for one in given["sweeps"])
    return Campaign(**given)


def _slots(campaign: Campaign) -> Iterator[Slot]:
    for number, urls in enumerate(zip(*campaign.databases.values(), strict=True)):
        folder = Path(campaign.folder) / f"slot{number}"
        folder.mkdir()
        yield Slot(folder, dict(zip(campaign.databases, urls, strict=True)))


def _chosen(campaign: Campaign, slots: Sequence[Slot]) -> list[tuple[Sweep, int]]:
    """Every point of every sweep, as a run that goes through counts them; a seeded choice where there is a bound."""
    sweeps = campaign.sweeps
    counters = [
        Child(partial(_counted, slot, sweeps[at :: len(slots)]), limit_s=_LIFE_S) for at, slot in enumerate(slots)
    ]
    counts = [counter.result() for counter in counters]
    numbered = {sweep: counts[at % len(slots)][at // len(slots)] for at, sweep in enumerate(sweeps)}
    points = [(sweep, number) for sweep in sweeps for number in range(1, numbered[sweep] + 1)]
    chance = random.Random(campaign.seed)
    chance.shuffle(points)
    return points[: campaign.most] if campaign.most else points


def _counted(slot: Slot, sweeps: Sequence[Sweep]) -> list[int]:
    return [_points(slot, sweep) for sweep in sweeps]


def _points(slot: Slot, sweep: Sweep) -> int:
    """How many points the sweep has."""
    if sweep.how in ("kill", "stop"):
        return len(Child(lambda: _life(slot, sweep, _steps(sweep, None))).result())
    trace = slot.folder / "count.trace"
    counted = Child(lambda: _life(slot, sweep, Steps(), is_traced=True))
    counted.wait_stopped()
    with attached(counted.pid, trace, [sweep.how], is_waited_for=True):
        counted.go_on()
        counted.result()
    return max(Counter(call.pid for call in calls(trace) if call.name == sweep.how).values(), default=0)


def _worked(slot: Slot, share: Sequence[tuple[Sweep, int]]) -> dict[str, Any]:
    tally = Tally()
    for sweep, number in share:
        tally.add(_at_point(slot, sweep, number))
    return attrs.asdict(tally)


def _steps(sweep: Sweep, target: int | None) -> Steps:
    return Steps(target, "stop" if sweep.how == "stop" else "kill")


def _life(slot: Slot, sweep: Sweep, steps: Steps, *, is_traced: bool = False) -> list[str]:
    """One worker from an empty database to the end of the story, if it gets there; the steps that it took."""
    url = slot.urls[sweep.backend]
    slot.acknowledged().unlink(missing_ok=True)
    Database(url).empty()
    world = World(sweep.io, url, STORIES[sweep.story], steps)
    world.open_payment()
    if is_traced:
        # Until the tracer is there: it is to see the story and nothing of what led up to it.
        os.kill(os.getpid(), signal.SIGSTOP)
        wait_until_traced()
    steps.armed = True
    world.deliver()
    slot.acknowledged().touch()
    world.work()
    steps.armed = False
    world.close()
    return steps.names


def _at_point(slot: Slot, sweep: Sweep, number: int) -> Tally:
    """Crash there, recover, and count."""
    if sweep.how == "stop":
        return _stopped_at(slot, sweep, number)
    if sweep.how == "kill":
        first = Child(lambda: _life(slot, sweep, _steps(sweep, number)))
        went_through = first.result() is not None
    else:
        first = Child(lambda: _life(slot, sweep, Steps(), is_traced=True))
        first.wait_stopped()
        killed = f"{sweep.how}:signal=SIGKILL:when={number}"
        with attached(first.pid, slot.folder / "crash.trace", [sweep.how], injections=[killed], is_waited_for=True):
            first.go_on()
            went_through = first.result() is not None
    return _judged(slot, sweep, number, _recovered(slot, sweep), crashed=not went_through)


def _stopped_at(slot: Slot, sweep: Sweep, number: int) -> Tally:
    """The worker sleeps past its lease; another finishes its work; then it wakes and goes on."""
    sleeper = Child(lambda: _life(slot, sweep, _steps(sweep, number)))
    stopped = sleeper.wait_stopped()
    recovery = _recovered(slot, sweep)
    if stopped:
        sleeper.go_on()
    sleeper.result()
    return _judged(slot, sweep, number, recovery, crashed=stopped)


@attrs.frozen
class Recovery:
    """What the next worker saw and did."""

    was_acknowledged: bool
    was_there: bool
    is_done: bool
    took_s: float


def _recovered(slot: Slot, sweep: Sweep) -> Recovery:
    since = time.monotonic()
    return Recovery(**Child(lambda: attrs.asdict(_next_life(slot, sweep, since))).result())


def _next_life(slot: Slot, sweep: Sweep, since: float) -> Recovery:
    """A fresh worker over what the last one left. Stripe delivers anew what was not answered, and twice what was."""
    database = Database(slot.urls[sweep.backend])
    world = World(sweep.io, slot.urls[sweep.backend], STORIES[sweep.story])
    acknowledged = slot.acknowledged().exists()
    there = database.traces().state is not None
    if not acknowledged:
        world.deliver()
    done = world.work_until(lambda: database.traces().is_done, limit_s=_RECOVERY_LIMIT_S)
    took_s = time.monotonic() - since
    world.deliver()
    world.work()
    world.close()
    return Recovery(acknowledged, there, done, took_s)


def _judged(slot: Slot, sweep: Sweep, number: int, recovery: Recovery, *, crashed: bool) -> Tally:
    traces = Database(slot.urls[sweep.backend]).traces()
    wrong = list(_wrong(STORIES[sweep.story].effects, STORIES[sweep.story].outgoing, traces, recovery))
    where = f"{sweep.backend} {sweep.io} {sweep.story}, {sweep.how} {number}"
    return Tally(
        points=1,
        crashed=int(crashed),
        slowest_s=recovery.took_s if crashed else 0.0,
        counts=dict(Counter(kind for kind, _ in wrong)),
        examples=[f"{where}: {kind}, {what}" for kind, what in wrong],
    )


def _wrong(effects: Any, outgoing: int, traces: Traces, recovery: Recovery) -> Iterator[tuple[str, str]]:
    """What the library promised and did not keep: a kind, and a word on it."""
    if recovery.was_acknowledged and not recovery.was_there:
        yield "lost", "the event was answered and is not in the inbox"
    if not recovery.is_done or not traces.is_done or not traces.is_stamped:
        yield "unfinished", f"the event is {traces.state!r} ({traces.error})"
    for kind, wanted in {**effects, "outbox row": outgoing}.items():
        found = traces.outgoing if kind == "outbox row" else traces.effects.get(kind, 0)
        if found < wanted:
            yield "missing", kind
        if found > wanted:
            yield "doubled", f"{kind} is there {found} times"
    # What a busy machine began too late is given back and counts as no attempt.
    if traces.attempts != traces.claims and traces.error is None:
        yield "miscounted", f"{traces.claims} claims count as {traces.attempts} attempts"


if __name__ == "__main__":
    sys.exit(main())
