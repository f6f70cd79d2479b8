"""A worker that dies, or falls asleep, at every step of processing: by failpoints, and at the N-th system call.

After each crash a fresh process takes the work over when the lease has run out, Stripe delivers again, and the traces
are counted: each effect, outgoing event and done-stamp exactly once.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from shutil import copy
from typing import Final

import attrs
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from chaos.crashcampaign import SYSTEM_CALLS, Backend, Campaign, Sweep, Tally
from chaos.crashworld import LEASE_S, STORIES, Database
from chaos.databases import on_server
from chaos.scenario import Figure, Result, Scale, Scenario, Setup
from chaos.tracing import require_strace
from payments_core.adapters.sql import upgrade
from payments_core.ports import Io

ROOT: Final = Path(__file__).resolve().parent.parent
_WORLDS: Final[tuple[Io, ...]] = ("blocking", "async")
_SLOTS: Final = {Scale.SHORT: 8, Scale.LONG: 6}
#: How many points the short form tries in each database, chosen by the seed.
_MOST: Final = {Scale.SHORT: 10, Scale.LONG: 0}
#: What a recovery may take beyond the lease. Only the long form is held to it, on a machine that is not busy.
_SLACK_S: Final = 1.0
_LIMIT_S: Final = 1200


def failpoints(setup: Setup) -> Result:
    """Kill the worker before and after every call of the port and in every handler."""
    return _result(setup, _sweeps(setup, lambda _: ("kill",)))


def sleepers(setup: Setup) -> Result:
    """Stop the worker at every step outside a transaction, until another one has done its work; then wake it."""
    return _result(setup, _sweeps(setup, lambda _: ("stop",)))


def system_calls(setup: Setup) -> Result:
    """Kill the worker at its N-th write, sync, truncate, send and receive."""
    require_strace()
    return _result(setup, _sweeps(setup, lambda backend: SYSTEM_CALLS[backend], ("settled",)))


def _sweeps(
    setup: Setup, ways: Callable[[Backend], Sequence[str]], stories: Sequence[str] = tuple(STORIES)
) -> tuple[Sweep, ...]:
    """Every story in every world, ended in all these ways; in short one of each world, chosen by the seed."""
    chance = random.Random(setup.seed)
    found: list[Sweep] = []
    for backend, io in product(_backends(setup), _WORLDS):
        possible = [Sweep(backend, io, story, how) for story in stories for how in ways(backend)]
        found += possible if setup.scale is Scale.LONG else [chance.choice(possible)]
    return tuple(found)


def _backends(setup: Setup) -> tuple[Backend, ...]:
    return ("sqlite", "postgresql") if setup.postgres_url else ("sqlite",)


def _result(setup: Setup, sweeps: tuple[Sweep, ...]) -> Result:
    slots = _SLOTS[setup.scale]
    with _databases(setup, slots) as databases:
        campaign = Campaign(
            folder=str(setup.folder),
            seed=setup.seed,
            sweeps=sweeps,
            databases=databases,
            most=_MOST[setup.scale] * len(databases),
            mutant=setup.mutant,
        )
        tally = run_apart(campaign)
    figures: dict[str, Figure] = {
        "databases": ", ".join(_backends(setup)),
        "points": tally.points,
        "crashes": tally.crashed,
        **{kind: tally.counts.get(kind, 0) for kind in ("lost", "missing", "doubled", "unfinished", "miscounted")},
        "recovered_max_s": round(tally.slowest_s, 2),
    }
    broken = list(tally.examples)
    if not tally.crashed:
        broken.append("no crash happened, so nothing was shown")
    if setup.scale is Scale.LONG and tally.slowest_s > LEASE_S + _SLACK_S and not _is_busy(slots):
        broken.append(f"a recovery took {tally.slowest_s:.1f} s, with a lease of {LEASE_S} s")
    return Result(figures, tuple(broken))


def _is_busy(slots: int) -> bool:
    """Whether so much else runs on this machine that a second says nothing about the library."""
    return os.getloadavg()[0] > slots + (os.cpu_count() or 1)


def run_apart(campaign: Campaign) -> Tally:
    """Run a campaign in a process of its own: it forks, which a process with threads must not."""
    done = subprocess.run(
        [sys.executable, "-m", "chaos.crashcampaign"],
        input=json.dumps(attrs.asdict(campaign)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the campaign could not run to its end:\n{done.stderr[-3000:]}")
    return Tally(**json.loads(done.stdout))


@contextmanager
def _databases(setup: Setup, slots: int) -> Generator[dict[str, list[str]]]:
    """The URLs of an empty database per slot, with the schema."""
    found = {"sqlite": _files(setup.folder, slots)}
    if setup.postgres_url is None:
        yield found
        return
    with on_server(setup.postgres_url) as url:
        yield found | {"postgresql": _schemas(url, slots)}


def _files(folder: Path, slots: int) -> list[str]:
    template = folder / "template.db"
    upgrade(f"sqlite:///{template}")
    Database(f"sqlite:///{template}").prepare()
    return [f"sqlite:///{copy(template, folder / f'slot{number}.db')}" for number in range(slots)]


def _schemas(url: str, slots: int) -> list[str]:
    """One schema per slot: quicker to make than databases, and as separate."""
    urls: list[str] = []
    for number in range(slots):
        with psycopg.connect(_libpq(url), autocommit=True) as server:
            server.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(f"slot{number}")))
        inside = make_url(url).update_query_dict({"options": f"-csearch_path=slot{number}"})
        urls.append(inside.render_as_string(hide_password=False))
        upgrade(urls[-1])
        Database(urls[-1]).prepare()
    return urls


def _libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario(
        "crash-failpoints",
        "a worker is killed before and after every call of the store and in every handler",
        failpoints,
    ),
    Scenario(
        "crash-sleepers",
        "a worker falls asleep past its lease at every step, and wakes when its work is done",
        sleepers,
    ),
    Scenario(
        "crash-system-calls",
        "a worker is killed at its N-th write, sync, truncate, send and receive",
        system_calls,
        needs=("strace",),
    ),
)
