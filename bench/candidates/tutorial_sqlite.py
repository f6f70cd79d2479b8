"""The tutorial with one insert into SQLite, durable (`synchronous=FULL`), before it answers.

BENCH_JOURNAL is the journal mode: WAL, the fastest, unless said otherwise.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiosqlite
from fastapi import FastAPI, Request

from bench.candidates.place import PATH, sqlite_path
from bench.candidates.tutorial import verified


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncGenerator[None]:
    """One connection for the whole process."""
    async with aiosqlite.connect(sqlite_path(), isolation_level=None) as connection:
        await connection.execute(f"PRAGMA journal_mode = {os.environ.get('BENCH_JOURNAL', 'WAL')}")
        await connection.execute("PRAGMA synchronous = FULL")
        application.state.connection = connection
        yield


app = FastAPI(lifespan=lifespan)


@app.post(PATH)
async def webhook(request: Request) -> dict[str, bool]:
    """Verify, store, and answer."""
    body = await request.body()
    event = verified(body, request.headers.get("stripe-signature", ""))
    connection: aiosqlite.Connection = request.app.state.connection
    await connection.execute("INSERT INTO event (id, body) VALUES (?, ?) ON CONFLICT DO NOTHING", (event.id, body))
    return {"received": True}
