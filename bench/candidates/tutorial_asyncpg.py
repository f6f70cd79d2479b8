"""The tutorial with one insert into PostgreSQL by asyncpg, before it answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request

from bench.candidates.place import PATH, database_url
from bench.candidates.tutorial import verified


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncGenerator[None]:
    """A pool of ten connections, asyncpg's own default."""
    async with asyncpg.create_pool(database_url(), min_size=10, max_size=10) as pool:
        application.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post(PATH)
async def webhook(request: Request) -> dict[str, bool]:
    """Verify, store, and answer."""
    body = await request.body()
    event = verified(body, request.headers.get("stripe-signature", ""))
    insert = "INSERT INTO event (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    await request.app.state.pool.execute(insert, event.id, body)
    return {"received": True}
