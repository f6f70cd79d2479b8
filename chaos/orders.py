"""Orders: each is opened once, while Stripe fails in every way and the web servers die by kill -9.

Every buyer repeats his request until he has an answer, some of them twice at a time; then he asks once more, and must
get the very same session. Half of the orders bear an Idempotency-Key, the others are the cart of a signed-in user. At
the end Stripe's own book is read: exactly one session for each order, and it is the one that the buyer was given and
that the database leads to.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import aiohttp
from attrs import asdict, define, field, frozen
from sqlalchemy import select

from chaos.databases import database, engine_of
from chaos.fakestripe import FakeStripe
from chaos.processes import Crowd, listener, reached
from chaos.roles import PREFIX
from chaos.scenario import BASES, FRAMEWORKS, Figure, Result, Scale, Scenario, Setup
from chaos.shop import USER_HEADER, Spec
from chaos.teams import Post, Team
from payments_core.adapters.sql.tables import payment as payments


@frozen
class Size:
    """How much of it."""

    orders: int
    kills: int
    patience_s: float


SIZES: Final = {
    Scale.SHORT: Size(orders=60, kills=5, patience_s=90),
    Scale.LONG: Size(orders=1000, kills=80, patience_s=540),
}
LEASE_S: Final = 1
BUYERS: Final = 8
_AGAIN_S: Final = 0.05
_ANSWER_S: Final = 20
#: While servers die and Stripe fails, these are honest; 502 would say that Stripe has refused.
HONEST: Final = (200, 409, 503)


@define
class Market:
    """The buyers of one run. `given` is the session of each order, as the buyer was told; `odd` what was not honest."""

    url: str
    given: dict[str, str] = field(factory=dict[str, str])
    statuses: Counter[int] = field(factory=Counter[int])
    cuts: int = 0
    odd: list[str] = field(factory=list[str])

    async def sell(self, orders: Sequence[str], chance: random.Random) -> None:
        """Open every order, several buyers at a time."""
        waiting = iter(orders)
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as client, asyncio.TaskGroup() as group:

            async def buy() -> None:
                for order in waiting:
                    clicks = [self._until_given(client, order) for _ in range(chance.randint(1, 2))]
                    replies = {*await asyncio.gather(*clicks), await self._until_given(client, order)}
                    if len(replies) != 1:
                        self.odd.append(f"{order} was given {len(replies)} different replies")
                    self.given[order] = str(json.loads(replies.pop())["sessionId"])

            for _ in range(BUYERS):
                group.create_task(buy())

    async def _until_given(self, client: aiohttp.ClientSession, order: str) -> bytes:
        while True:
            try:
                async with client.post(self.url, **_request(order)) as reply:
                    body, status = await reply.read(), reply.status
            except (aiohttp.ClientError, TimeoutError, OSError):
                self.cuts += 1
            else:
                self.statuses[status] += 1
                if status == 200:
                    return body
                if status not in HONEST:
                    self.odd.append(f"{order} was answered {status}")
            await asyncio.sleep(_AGAIN_S)


def _request(order: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Connection": "close"}
    # The last digit says by what an order is known.
    headers |= {"Idempotency-Key": order} if int(order[-1]) % 2 else {USER_HEADER: f"buyer of {order}"}
    body = {
        "products": [{"name": "Tee", "price": 29.99, "quantity": 1}],
        "successUrl": "https://shop.example/thanks",
        "cancelUrl": "https://shop.example/cart",
        "metadata": {"order": order},
    }
    return {"headers": headers, "data": json.dumps(body)}


@define
class Run:
    """One run while it lasts."""

    size: Size
    team: Team
    stripe: FakeStripe
    market: Market
    chance: random.Random
    kills: int = 0

    async def go(self, orders: Sequence[str], stripe_door: Any) -> None:
        """Serve, sell and kill."""
        serving = await self.stripe.serve(stripe_door)
        self.team.start()
        try:
            async with asyncio.timeout(self.size.patience_s), asyncio.TaskGroup() as group:
                group.create_task(self.market.sell(orders, self.chance))
                group.create_task(self._kill(len(orders)))
        finally:
            self.team.dismiss()
            await serving.cleanup()

    async def _kill(self, orders: int) -> None:
        for moment in sorted(self.chance.random() * 0.95 * orders for _ in range(self.size.kills)):
            await reached(partial(self._is_at, moment), self.size.patience_s)
            self.team.kill_one(self.chance)
            self.kills += 1

    def _is_at(self, moment: float) -> bool:
        return len(self.market.given) >= moment


def _orders(framework: str, kind: str, setup: Setup) -> Result:
    size = SIZES[setup.scale]
    chance = random.Random(f"{setup.seed} {framework} {kind}")
    orders = [f"order-{setup.seed}-{number}" for number in range(size.orders)]
    with database(setup, kind) as url, listener() as door, listener() as stripe_door:
        stripe = f"http://127.0.0.1:{stripe_door.getsockname()[1]}"
        spec = Spec(url, f"o{setup.seed}", lease_s=LEASE_S, mutant=setup.mutant, stripe=stripe)
        with Crowd(asdict(spec), setup.folder / "log") as crowd:
            team = Team(crowd, [Post(framework, (door.fileno(),)) for _ in range(2)])
            market = Market(f"http://127.0.0.1:{door.getsockname()[1]}{PREFIX}/create-checkout-session")
            run = Run(size, team, FakeStripe(random.Random(setup.seed)), market, chance)
            asyncio.run(run.go(orders, stripe_door))
            crowd.finish(setup.scale)
        return _counted(run, orders, _saved(url))


def _saved(url: str) -> Counter[str]:
    """How many payments lead to each session."""
    with engine_of(url).connect() as connection:
        found = connection.execute(select(payments.c.session_id).where(payments.c.session_id.is_not(None)))
        return Counter(found.scalars())


def _counted(run: Run, orders: Sequence[str], saved: Counter[str]) -> Result:
    stripe, market = run.stripe, run.market
    made = stripe.made_for()
    ours = {str(one["metadata"]["order"]): str(one["id"]) for one in stripe.sessions}
    counts = {
        "without session": [order for order in orders if not made[order]],
        "doubled": [order for order, count in made.items() if count > 1],
        "given another": [order for order in orders if market.given.get(order) != ours.get(order)],
        "not saved": [order for order in orders if saved[market.given.get(order, "")] != 1],
    }
    broken = [f"{len(found)} {name}: {', '.join(found[:3])}" for name, found in counts.items() if found]
    broken += market.odd[:5]
    broken += [] if run.kills == run.size.kills else ["not everybody was killed who should have been"]
    figures: dict[str, Figure] = {
        "orders": len(orders),
        "kills": run.kills,
        "faults": stripe.faults.total(),
        "of them kept 500": stripe.faults["500 before"] + stripe.faults["500 after"],
        "of them cut or late after execution": stripe.faults["cut after"] + stripe.faults["hang"],
        "replays": stripe.replays,
        "looked up": stripe.lists,
        "answers 503": market.statuses[503],
        "answers 409": market.statuses[409],
        "cut connections": market.cuts,
        **{name: len(found) for name, found in counts.items()},
    }
    return Result(figures, tuple(broken))


def _run(framework: str, kind: str) -> Callable[[Setup], Result]:
    return partial(_orders, framework, kind)


SCENARIOS: Final = tuple(
    Scenario(
        f"orders-{framework}-{kind}",
        f"{title} over {base}: every order has one session, though Stripe fails at 30 % and web servers are killed.",
        _run(framework, kind),
    )
    for framework, title in FRAMEWORKS
    for kind, base in BASES
)
