"""What happens to one message of a topic: handled once, skipped, tried again, or kept as a dead letter.

Handling a message and remembering that it was handled is one transaction, so that its effects happen once however often
the message comes: after a crash, a rebalance, a broker that delivers it twice, a producer that sends it twice. The
broker is told afterwards; when that is lost, the message comes again and is known.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

from attrs import define, frozen

from ..domain.consumption import ConsumptionPolicy, Message, message_id
from ..errors import MalformedEvent, PaymentsError, StoreUnavailable, StripeUnavailable, frames_of, reason_of
from ..ports.consuming import Consumed, KeptMessage, Lane, MessageHandler, Rejected

T = TypeVar("T")
_log = logging.getLogger("payments_core.consumer")

#: Nothing is wrong with the message: it waits until they answer, and uses up no attempt.
_OUTAGES: Final = (StoreUnavailable, StripeUnavailable)
_REPLAYS_AT_ONCE: Final = 20


class Verdict(StrEnum):
    """How a message ended."""

    HANDLED = "handled"
    KNOWN = "known"
    UNASKED = "unasked"
    DEAD = "dead"


@frozen
class Again:
    """Not yet: try again in so many seconds."""

    delay_s: float


@define
class Delivery:
    """A message on its way to its end, and how often it was tried. `replayed`: it was dead, and is due again."""

    message: Message
    message_id: str
    replayed: bool = False
    attempts: int = 0
    outages: int = 0
    #: Once set, nothing more is tried: it only has to be kept.
    dead_because: str | None = None

    @classmethod
    def of(cls, message: Message) -> Delivery:
        """A message that has just come."""
        return cls(message, message_id(message))

    @classmethod
    def again(cls, kept: KeptMessage) -> Delivery:
        """A message that was dead, and is due again."""
        return cls(kept.message, kept.message_id, replayed=True)

    def facts(self) -> dict[str, object]:
        """What a log line says of it: no key and no body."""
        return {
            "messageId": self.message_id,
            "topic": self.message.topic,
            "partition": self.message.partition,
            "offset": self.message.position,
        }


class Drive(Protocol):
    """Runs a flow over the consumer's database in the world that the database is in."""

    def __call__(self, flow: Coroutine[Any, Any, T], /) -> Awaitable[T]:
        """Its result."""
        ...


@frozen
class Consumption:
    """Handles the messages of one consumer group. `random` gives a number in [0, 1) for the retry's jitter."""

    group: str
    consumed: Consumed
    handler: MessageHandler
    policy: ConsumptionPolicy
    random: Callable[[], float]

    async def deliver(self, delivery: Delivery, lane: Lane, drive: Drive) -> bool:
        """Bring a message to its end; False when the lane is left before that.

        Only the pauses are awaited in the caller's world; whatever touches the database is left to `drive`.
        """
        while not lane.is_leaving:
            outcome = await drive(self.attempt(delivery))
            if not isinstance(outcome, Again):
                return True
            await lane.pause(outcome.delay_s)
        return False

    async def replay_due(self, lane: Lane, drive: Drive) -> int:
        """Handle the messages that an operator made due again; how many came to an end."""
        try:
            due = await drive(self.consumed.due(self.group, _REPLAYS_AT_ONCE))
        except StoreUnavailable:
            return 0
        ended = 0
        for kept in due:
            ended += await self.deliver(Delivery.again(kept), lane, drive)
        return ended

    async def attempt(self, delivery: Delivery) -> Verdict | Again:
        """One try. Raises nothing but what ends the process."""
        try:
            verdict = await self._tried(delivery) if delivery.dead_because is None else None
            if verdict is None:
                verdict = await self._buried(delivery)
        except _OUTAGES as outage:
            return self._wait(delivery, outage)
        delivery.outages = 0
        return verdict

    async def _tried(self, delivery: Delivery) -> Verdict | Again | None:
        """None: it is to be kept as a dead letter."""
        try:
            return await self._handled(delivery)
        except _OUTAGES:
            raise
        except Rejected as never:
            delivery.dead_because = str(never)
        except (Exception, SystemExit) as failure:  # noqa: BLE001 - a handler may raise anything; nothing is forgotten
            delivery.attempts += 1
            reason = reason_of(failure)
            if delivery.attempts < self.policy.max_attempts:
                return self._again(delivery, failure, reason)
            delivery.dead_because = reason
        return None

    async def _handled(self, delivery: Delivery) -> Verdict:
        asked = self._read(delivery)
        if asked is None:
            if delivery.replayed:
                raise Rejected("No handler is registered for it any more.")
            return Verdict.UNASKED
        if self.handler.works_outside:
            if not delivery.replayed and await self.consumed.is_known(self.group, delivery.message_id):
                return Verdict.KNOWN
            await self.handler.outside(asked, delivery.message)
        async with self.consumed.transaction() as tx:
            if delivery.replayed:
                is_ours = await tx.retake(self.group, delivery.message_id)
            else:
                is_ours = await tx.take(self.group, delivery.message_id, delivery.message)
            if is_ours:
                await self.handler.inside(asked, tx.handle)
                await tx.flush()
        return Verdict.HANDLED if is_ours else Verdict.KNOWN

    def _read(self, delivery: Delivery) -> Any | None:
        try:
            return self.handler.read(delivery.message)
        except MalformedEvent as poison:
            raise Rejected(str(poison)) from None

    async def _buried(self, delivery: Delivery) -> Verdict:
        reason = delivery.dead_because or ""
        if not await self.consumed.bury(self.group, delivery.message_id, delivery.message, reason):
            return Verdict.KNOWN
        facts = delivery.facts() | {"attempts": delivery.attempts}
        _log.error("Message is a dead letter of %s: %s", self.group, reason, extra=facts)
        return Verdict.DEAD

    def _again(self, delivery: Delivery, failure: BaseException, reason: str) -> Again:
        delay_s = self.policy.delay_s(delivery.attempts, self.random())
        facts = delivery.facts() | {"attempt": delivery.attempts, "retryInSeconds": round(delay_s, 1)}
        if not isinstance(failure, PaymentsError):
            facts["frames"] = frames_of(failure)
        _log.error("Message will be tried again: %s", reason, extra=facts)
        return Again(delay_s)

    def _wait(self, delivery: Delivery, outage: PaymentsError) -> Again:
        delivery.outages += 1
        if delivery.outages == 1:
            _log.warning("Message waits: %s", outage, extra=delivery.facts())
        return Again(self.policy.outage_delay_s(delivery.outages, self.random()))
