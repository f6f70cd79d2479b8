"""Stripe's tutorial in FastAPI: `construct_event`, and nothing stored."""

from __future__ import annotations

import stripe
from fastapi import FastAPI, HTTPException, Request

from bench.candidates.place import PATH, secret

app = FastAPI()
_SECRET = secret()


@app.post(PATH)
async def webhook(request: Request) -> dict[str, bool]:
    """Verify, and answer."""
    verified(await request.body(), request.headers.get("stripe-signature", ""))
    return {"received": True}


def verified(body: bytes, signature: str) -> stripe.Event:
    """The event, as the tutorial gets it."""
    try:
        event: stripe.Event = stripe.Webhook.construct_event(body, signature, _SECRET)
    except (ValueError, stripe.SignatureVerificationError):
        raise HTTPException(400) from None
    return event
