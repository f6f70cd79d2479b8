"""Whatever the duplicates, crashes, rebalances, outages and failing handlers: each fact has its effect exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from payments_core.adapters.memory.consuming import MemoryConsumed
from payments_core.domain.consumption import ConsumptionPolicy, Message
from payments_core.drive import run_blocking
from payments_core.errors import MalformedEvent, StoreUnavailable
from payments_core.ports import Transaction
from payments_core.ports.consuming import ConsumedTransaction, Rejected
from payments_core.services.consumption import Again, Consumption, Delivery

GROUP = "orders"
PARTITIONS = 2
POISON = b"poison"
MAX_ATTEMPTS = 3


class Killed(BaseException):
    """The process is gone."""


class Ledger(MemoryConsumed):
    """A database whose transactions hold effects too, and which can be out of order in three ways."""

    def __init__(self) -> None:
        super().__init__()
        self.effects: list[tuple[str, int]] = []
        self.pending: list[tuple[str, int]] = []
        self.trouble: str | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ConsumedTransaction]:
        if self.trouble == "down":
            raise StoreUnavailable("down")
        self.pending = []
        async with super().transaction() as tx:
            yield tx
            if self.trouble == "refuses the commit":
                raise StoreUnavailable("not committed")
        self.effects += self.pending
        if self.trouble == "loses the answer":
            raise StoreUnavailable("committed, and nobody was told")

    async def bury(self, group: str, message_id: str, message: Message, reason: str) -> bool:
        if self.trouble is not None:
            raise StoreUnavailable("down")
        return await super().bury(group, message_id, message, reason)


class Bookkeeper:
    """A handler that books, and fails in whatever way it is told to."""

    works_outside = False

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.mood: str | None = None

    def read(self, message: Message) -> Message | None:
        if message.body == POISON:
            raise MalformedEvent("It is poison.")
        return message

    async def outside(self, asked: Any, message: Message) -> None:
        raise AssertionError("there is no work outside")

    async def inside(self, asked: Any, tx: Transaction) -> None:
        self.ledger.pending.append((asked.headers["ce_id"], asked.partition))
        if self.mood == "killed":
            raise Killed
        if self.mood == "raises":
            raise RuntimeError("the handler failed")
        if self.mood == "rejects":
            raise Rejected("never")


class Consumers(RuleBasedStateMachine):
    """Two partitions; each has one owner, and perhaps an earlier one that does not know yet that it is none."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.handler = Bookkeeper(self.ledger)
        self.policy = ConsumptionPolicy(max_attempts=MAX_ATTEMPTS)
        self.flow = Consumption(GROUP, self.ledger, self.handler, self.policy, lambda: 0.5)
        self.log: list[list[Message]] = [[] for _ in range(PARTITIONS)]
        self.committed = [0] * PARTITIONS
        self.finished = [0] * PARTITIONS
        self.in_hand: list[Delivery | None] = [None] * PARTITIONS
        self.zombies: list[Delivery] = []
        self.replayed: set[str] = set()
        self.facts = 0

    @initialize()
    def begin(self) -> None:
        run_blocking(self.ledger.prepare())

    @rule(place=st.integers(0, PARTITIONS - 1), poisonous=st.sampled_from([False, False, False, True]))
    def produced(self, place: int, poisonous: bool) -> None:
        """Something new happened."""
        self.facts += 1
        self._append(place, f"m{self.facts}", POISON if poisonous else b"{}")

    @rule(place=st.integers(0, PARTITIONS - 1), which=st.integers(0, 30))
    def produced_again(self, place: int, which: int) -> None:
        """The producer sends one again, to the same partition or another."""
        known = [message for log in self.log for message in log]
        if known:
            again = known[which % len(known)]
            self._append(place, again.headers["ce_id"], again.body)

    @rule(place=st.integers(0, PARTITIONS - 1))
    def worked(self, place: int) -> None:
        """The owner tries the message at the head of its partition once."""
        self._step(place)

    @rule(place=st.integers(0, PARTITIONS - 1), mood=st.sampled_from(["killed", "raises", "rejects"]))
    def worked_badly(self, place: int, mood: str) -> None:
        """The handler fails after it has written."""
        self.handler.mood = mood
        try:
            self._step(place)
        except Killed:
            self._forget(place)
        finally:
            self.handler.mood = None

    @rule(
        place=st.integers(0, PARTITIONS - 1),
        trouble=st.sampled_from(["down", "refuses the commit", "loses the answer"]),
    )
    def worked_during_an_outage(self, place: int, trouble: str) -> None:
        """No attempt is used up, and nothing moves on that was not written."""
        before = self.in_hand[place].attempts if self.in_hand[place] is not None else 0
        self.ledger.trouble = trouble
        self._step(place)
        self.ledger.trouble = None
        delivery = self.in_hand[place]
        assert delivery is None or delivery.attempts == before

    @rule(place=st.integers(0, PARTITIONS - 1))
    def reported(self, place: int) -> None:
        """The broker is told what is finished."""
        self.committed[place] = max(self.committed[place], self.finished[place])

    @rule(place=st.integers(0, PARTITIONS - 1), told=st.booleans(), survives=st.booleans())
    def rebalanced(self, place: int, told: bool, survives: bool) -> None:
        """The partition goes to another member; the first one may go on with what it has in hand."""
        delivery = self.in_hand[place]
        if survives and delivery is not None:
            self.zombies.append(delivery)
        if told:
            self.reported(place)
        self._forget(place)

    @rule(which=st.integers(0, 5))
    def zombie_worked(self, which: int) -> None:
        """A member that lost its partition finishes what it had in hand."""
        if self.zombies:
            run_blocking(self.flow.attempt(self.zombies.pop(which % len(self.zombies))))

    @rule()
    def replayed_all(self) -> None:
        """An operator makes the dead messages due again, and a member finds them."""
        run_blocking(self.ledger.revive_all(GROUP))
        self._replay()

    @invariant()
    def nothing_happens_twice(self) -> None:
        """No fact has two effects; none is dead and has one."""
        counted = Counter(message_id for message_id, _ in self.ledger.effects)
        assert all(count == 1 for count in counted.values()), counted
        assert not self._dead() & counted.keys()

    @invariant()
    def order_is_kept(self) -> None:
        """Facts of one partition alone, never dead, have their effects in the order in which they were produced."""
        homes: dict[str, set[int]] = {}
        for place, log in enumerate(self.log):
            for message in log:
                homes.setdefault(message.headers["ce_id"], set()).add(place)
        for place in range(PARTITIONS):
            done = [
                int(message_id[1:])
                for message_id, _ in self.ledger.effects
                if homes[message_id] == {place} and message_id not in self.replayed
            ]
            assert done == sorted(done)

    def teardown(self) -> None:
        """Once all is well again, everything that can be handled has its effect exactly once."""
        for place in range(PARTITIONS):
            while self.finished[place] < len(self.log[place]):
                self._step(place)
        run_blocking(self.ledger.revive_all(GROUP))
        self._replay()
        counted = Counter(message_id for message_id, _ in self.ledger.effects)
        fit = {message.headers["ce_id"] for log in self.log for message in log if message.body != POISON}
        poison = {message.headers["ce_id"] for log in self.log for message in log if message.body == POISON}
        assert counted == Counter(dict.fromkeys(fit, 1))
        assert self._dead() == poison

    def _append(self, place: int, message_id: str, body: bytes | None) -> None:
        log = self.log[place]
        log.append(Message("payment.successful", place, len(log), b"k", body, {"ce_id": message_id}))

    def _step(self, place: int) -> None:
        at = self.finished[place]
        if at >= len(self.log[place]):
            return
        delivery = self.in_hand[place] or Delivery.of(self.log[place][at])
        self.in_hand[place] = delivery
        if not isinstance(run_blocking(self.flow.attempt(delivery)), Again):
            self.finished[place] += 1
            self.in_hand[place] = None

    def _forget(self, place: int) -> None:
        self.finished[place] = self.committed[place]
        self.in_hand[place] = None

    def _replay(self) -> None:
        for kept in run_blocking(self.ledger.due(GROUP, 100)):
            self.replayed.add(kept.message_id)
            run_blocking(self.flow.attempt(Delivery.again(kept)))

    def _dead(self) -> set[str]:
        return {record.message_id for record in run_blocking(self.ledger.kept(GROUP, 1000))}


TestConsumers = Consumers.TestCase
TestConsumers.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
