"""A Stripe that opens checkout sessions and fails in every way in which a network and a provider do.

Keys are kept as https://docs.stripe.com/api/idempotent_requests says: the first result of a request that was begun is
given again, answers 500 included; while it runs, another request with its key is 409; a request that was refused before
it began, by a limit, a lock or its parameters, leaves nothing. A request whose caller has gone is carried out all the
same.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from socket import socket
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web
from attrs import Factory, define, field, frozen

#: How requests go wrong: before they begin, and while they are carried out.
BEFORE: Final = ("429", "409", "cut before")
WITHIN: Final = ("500 before", "500 after", "cut after", "hang")
#: What meets a request, a card each: three in ten go wrong.
ANSWERING: Final = (*BEFORE, *[""] * 7)
CREATING: Final = (*BEFORE, *WITHIN, *[""] * 16)
#: Longer than the shop waits for an answer.
HANG_S: Final = 1.0
_THINK_S: Final = 0.02
_PAGE: Final = 100


@define
class Deck:
    """Cards in an order of chance, shuffled anew when they are used up: each comes once in every round.

    A short run would miss a fault now and then if each were drawn for itself, and with it the mistake it is to find.
    """

    cards: Sequence[str]
    chance: random.Random
    _left: list[str] = field(factory=list[str])

    def draw(self) -> str:
        """The next card."""
        if not self._left:
            self._left = self.chance.sample(self.cards, len(self.cards))
        return self._left.pop()


@frozen
class Kept:
    """The first result under a key."""

    params: Mapping[str, str]
    status: int = 0
    body: Mapping[str, Any] = field(factory=dict[str, Any])


@define
class FakeStripe:
    """One account. `sessions` are in the order in which they were made; `faults` counts what went wrong."""

    chance: random.Random
    sessions: list[dict[str, Any]] = field(factory=list[dict[str, Any]])
    keys: dict[str, Kept] = field(factory=dict[str, Kept])
    faults: Counter[str] = field(factory=Counter[str])
    replays: int = 0
    lists: int = 0
    _creating: Deck = field(default=Factory(lambda self: Deck(CREATING, self.chance), takes_self=True))
    _answering: Deck = field(default=Factory(lambda self: Deck(ANSWERING, self.chance), takes_self=True))

    def made_for(self) -> Counter[str]:
        """How many sessions each order has."""
        return Counter(str(session["metadata"]["order"]) for session in self.sessions)

    async def serve(self, door: socket) -> web.AppRunner:
        """Answer on a listening socket until the runner is cleaned up."""
        app = web.Application()
        app.router.add_post("/v1/checkout/sessions", self._create)
        app.router.add_get("/v1/checkout/sessions", self._list)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, door).start()
        return runner

    async def _create(self, request: web.Request) -> web.StreamResponse:
        key = request.headers["Idempotency-Key"]
        params = dict(parse_qsl(await request.text()))
        kept = self.keys.get(key)
        fault = self._drawn(self._answering if kept else self._creating)
        if fault in BEFORE:
            return self._refused(request, fault)
        if kept is not None:
            return self._again(kept, params)
        self.keys[key] = Kept(params)
        await asyncio.sleep(self.chance.random() * _THINK_S)
        if fault == "hang":
            await asyncio.sleep(HANG_S)
        if fault != "500 before":
            self.sessions.append(self._session(params))
        failed = fault in ("500 before", "500 after")
        body = _error("api_error") if failed else self.sessions[-1]
        self.keys[key] = Kept(params, 500 if failed else 200, body)
        if fault == "cut after":
            return _cut(request)
        return _answer(500 if failed else 200, body)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self.lists += 1
        fault = self._drawn(self._answering)
        if fault in BEFORE:
            return self._refused(request, fault)
        since, until = int(request.query["created[gte]"]), int(request.query["created[lt]"])
        found = [one for one in reversed(self.sessions) if since <= one["created"] < until]
        after = request.query.get("starting_after")
        if after is not None:
            found = found[[one["id"] for one in found].index(after) + 1 :]
        page = {"object": "list", "data": found[:_PAGE], "has_more": len(found) > _PAGE}
        return _answer(200, page)

    def _drawn(self, deck: Deck) -> str:
        fault = deck.draw()
        if fault:
            self.faults[fault] += 1
        return fault

    def _refused(self, request: web.Request, fault: str) -> web.StreamResponse:
        if fault == "cut before":
            return _cut(request)
        code = "rate_limit" if fault == "429" else "lock_timeout"
        return _answer(int(fault), _error("invalid_request_error", code))

    def _again(self, kept: Kept, params: Mapping[str, str]) -> web.StreamResponse:
        if kept.params != params:
            return _answer(400, _error("idempotency_error"))
        if not kept.status:
            return _answer(409, _error("idempotency_error", "idempotency_key_in_use"))
        self.replays += 1
        return _answer(kept.status, kept.body, replayed=True)

    def _session(self, params: Mapping[str, str]) -> dict[str, Any]:
        session_id = f"cs_test_{len(self.sessions):08}"
        marks = {name[9:-1]: value for name, value in params.items() if name.startswith("metadata[")}
        now = int(time.time())
        return {
            "id": session_id,
            "object": "checkout.session",
            "mode": "payment",
            "status": "open",
            "payment_status": "unpaid",
            "created": now,
            "expires_at": now + 86_400,
            "url": f"https://checkout.stripe.example/c/pay/{session_id}",
            "metadata": marks,
        }


def _answer(status: int, body: Mapping[str, Any], *, replayed: bool = False) -> web.Response:
    headers = {"Request-Id": "req_chaos"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if status == 500:
        headers["Stripe-Should-Retry"] = "false"
    return web.Response(status=status, text=json.dumps(body), content_type="application/json", headers=headers)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _error(kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "made to go wrong", "code": code}}
