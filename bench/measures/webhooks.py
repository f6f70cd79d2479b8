"""T1b to T5: webhooks over HTTP, one server process each, against what others do with them."""

from __future__ import annotations

from typing import Final

from bench import databases
from bench.candidates import djstripe_tables
from bench.intake import Candidate, Load, interleaved
from bench.measured import Claim, Measure, Measured
from bench.servers import gunicorn, node, uvicorn
from bench.stage import Stage

STARLETTE: Final = "bare Starlette"
FASTAPI: Final = "bare FastAPI"
FLASK_BARE: Final = "bare Flask"
HONO: Final = "Hono + stripe-node + pg, id only"
TUTORIAL: Final = "FastAPI + construct_event"
DJSTRIPE: Final = "dj-stripe, event stored"
OURS: Final = "ours, FastAPI"
OURS_FLASK: Final = "ours, Flask"
PLAIN: Final = "ours, FastAPI, plain insert"
_DOWN: Final = "ours, FastAPI, relay inside, broker down"
_WAL: Final = "tutorial, SQLite WAL FULL"
_TRUNCATE: Final = "tutorial, SQLite TRUNCATE FULL"
_ASYNCPG: Final = "tutorial, asyncpg"


def _starlette() -> Candidate:
    return Candidate(STARLETTE, uvicorn("bare_starlette"), verifies=False)


def _calm(stage: Stage) -> Measured:
    candidates = [
        _starlette(),
        Candidate(FASTAPI, uvicorn("bare_fastapi"), verifies=False),
        Candidate(OURS, uvicorn("ours_fastapi", BENCH_STORE="none")),
        Candidate(TUTORIAL, uvicorn("tutorial")),
    ]
    return interleaved(stage, "T1b", Load(16), candidates)


def _postgres(stage: Stage) -> Measured:
    server = stage.postgres()
    candidates = [
        _starlette(),
        Candidate(OURS, uvicorn("ours_fastapi"), databases.ours_postgres(server)),
        Candidate(HONO, node("hono.mjs"), databases.ids_postgres(server)),
        Candidate(_ASYNCPG, uvicorn("tutorial_asyncpg"), databases.bodies_postgres(server)),
        Candidate(DJSTRIPE, gunicorn("djstripe_site", "djstripe"), djstripe_tables.database(server)),
    ]
    return interleaved(stage, "T2", Load(16), candidates)


def _slow_disk(stage: Stage) -> Measured:
    server = stage.postgres(slow_sync=True)
    candidates = [
        Candidate(OURS, uvicorn("ours_fastapi"), databases.ours_postgres(server)),
        Candidate(HONO, node("hono.mjs"), databases.ids_postgres(server)),
    ]
    return interleaved(stage, "T2b", Load(64), candidates)


def _sqlite(stage: Stage) -> Measured:
    tables = databases.bodies_sqlite(stage.folder)
    candidates = [
        _starlette(),
        Candidate(OURS, uvicorn("ours_fastapi"), databases.ours_sqlite(stage.folder)),
        Candidate(_WAL, uvicorn("tutorial_sqlite"), tables),
        Candidate(_TRUNCATE, uvicorn("tutorial_sqlite", BENCH_JOURNAL="TRUNCATE"), tables),
    ]
    return interleaved(stage, "T3", Load(16), candidates)


def _flask(stage: Stage) -> Measured:
    candidates = [
        Candidate(FLASK_BARE, gunicorn("bare_flask"), verifies=False),
        Candidate(OURS_FLASK, gunicorn("ours_flask"), databases.ours_postgres(stage.postgres())),
    ]
    return interleaved(stage, "T4", Load(16, most_per_s=10_000), candidates)


def _outage(stage: Stage) -> Measured:
    server = stage.postgres()
    candidates = [
        Candidate(OURS, uvicorn("ours_fastapi"), databases.owing_postgres(server)),
        # Nobody listens there.
        Candidate(_DOWN, uvicorn("ours_fastapi", BENCH_BROKER="127.0.0.1:1"), databases.owing_postgres(server)),
    ]
    return interleaved(stage, "C18", Load(16), candidates)


def _lonely(stage: Stage) -> Measured:
    tables = databases.ours_postgres(stage.postgres())
    candidates = [
        Candidate(OURS, uvicorn("ours_fastapi"), tables),
        Candidate(PLAIN, uvicorn("ours_fastapi", BENCH_STORE="plain"), tables),
    ]
    return interleaved(stage, "T5", Load(1, most_per_s=12_000), candidates)


CALM: Final = Measure(
    "route without a store",
    (
        Claim("T1b", "CPU / bare FastAPI", "cpu_us", OURS, FASTAPI, at_most=1.0),
        Claim("T1b", "CPU / bare Starlette", "cpu_us", OURS, STARLETTE),
        Claim("T1b", "bare FastAPI's CPU / bare Starlette", "cpu_us", FASTAPI, STARLETTE),
        Claim("T1b", "requests per second / FastAPI + construct_event", "per_s", OURS, TUTORIAL),
    ),
    _calm,
)
POSTGRES: Final = Measure(
    "durable intake, PostgreSQL, 16 connections",
    (
        Claim("T2", f"requests per second / {HONO}", "per_s", OURS, HONO, at_least=1.0),
        Claim("T2", "requests per second / FastAPI + construct_event + asyncpg", "per_s", OURS, _ASYNCPG, at_least=5.0),
        Claim("T2", f"requests per second / {DJSTRIPE}", "per_s", OURS, DJSTRIPE, at_least=40.0),
        Claim("T2", f"99th percentile / {HONO}", "p99_ms", OURS, HONO, at_most=1.0),
        Claim("T2", "CPU with the database's / bare Starlette", "cpu_us", OURS, STARLETTE),
        Claim("T2", "Hono's CPU with the database's / bare Starlette", "cpu_us", HONO, STARLETTE),
    ),
    _postgres,
)
SLOW_DISK: Final = Measure(
    "the same, 64 connections, sync 2 ms slower",
    (Claim("T2b", f"requests per second / {HONO}", "per_s", OURS, HONO, at_least=4.0),),
    _slow_disk,
)
SQLITE: Final = Measure(
    "durable intake, SQLite FULL",
    (
        Claim("T3", "requests per second / FastAPI + construct_event, WAL", "per_s", OURS, _WAL, at_least=4.5),
        Claim("T3", "CPU / bare Starlette", "cpu_us", OURS, STARLETTE, at_most=3.5),
        Claim("T3", "requests per second / the same peer, journal TRUNCATE", "per_s", OURS, _TRUNCATE),
    ),
    _sqlite,
)
FLASK: Final = Measure(
    "durable intake, Flask, gunicorn gthread, PostgreSQL",
    (
        Claim("T4", "CPU with the database's / bare Flask", "cpu_us", OURS_FLASK, FLASK_BARE, at_most=1.7),
        Claim("T4", "CPU of the application / bare Flask", "app_cpu_us", OURS_FLASK, FLASK_BARE, at_most=1.45),
        Claim("T4", "requests per second / bare Flask", "per_s", OURS_FLASK, FLASK_BARE),
    ),
    _flask,
)
OUTAGE: Final = Measure(
    "the broker is down",
    (
        Claim("C18", "99th percentile with the relay inside / without", "p99_ms", _DOWN, OURS, at_most=1.2),
        Claim("C18", "requests per second", "per_s", _DOWN, OURS),
    ),
    _outage,
)
LONELY: Final = Measure(
    "one connection",
    (Claim("T5", "median latency / the same with a plain insert", "p50_ms", OURS, PLAIN, at_most=1.1),),
    _lonely,
)
