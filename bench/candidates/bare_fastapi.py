"""A FastAPI route that reads the body and answers."""

from __future__ import annotations

from fastapi import FastAPI, Request

from bench.candidates.place import PATH

app = FastAPI()


@app.post(PATH)
async def webhook(request: Request) -> dict[str, bool]:
    """Read, and answer."""
    await request.body()
    return {"received": True}
