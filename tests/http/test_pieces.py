"""How the FastAPI adapter gathers a body that comes in pieces."""

from __future__ import annotations

import tracemalloc

from starlette.types import Message

from payments_core.http.arrivals import Arrivals
from payments_core.http.routes import STRIPE_WEBHOOK
from payments_fastapi.bodies import read_body


async def test_a_body_in_tiny_pieces_holds_no_more_than_it_counts_for() -> None:
    """What all bodies may hold is counted in their bytes: two at a time must not cost twenty times as much."""
    pieces = STRIPE_WEBHOOK.body_limit // 8
    left = pieces

    async def receive() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": (left % 65_536).to_bytes(2, "big"), "more_body": left > 0}

    tracemalloc.start()
    try:
        body = await read_body(receive, STRIPE_WEBHOOK, Arrivals())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) == 2 * pieces
    assert peak < 4 * len(body)
