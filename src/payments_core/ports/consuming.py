"""A consumer's side of Kafka: where messages come from, who handles them, and what remembers which were handled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from attrs import field, frozen

from ..domain.consumption import Message, MessageState
from .kinds import Io
from .store import Transaction


class Rejected(Exception):
    """Raised by a handler: this message can never be handled. It is a dead letter at once, with this reason.

    The reason is stored and logged: put no personal data into it.
    """


class MessageHandler(Protocol):
    """What a consumer does with messages.

    - `read` does no I/O. It raises MalformedEvent for what can never be handled, and returns None for what nobody
      asked for; what it returns goes to the other two.
    - `outside` is for work that cannot be part of a database transaction, such as calls of another service. It runs
      before the transaction, at least once, and only where `works_outside` says so.
    - `inside` runs in the transaction that records the message as handled: its writes happen once, or not at all.
    - StoreUnavailable and StripeUnavailable raised by either mean "later": no attempt is used up. Rejected means
      "never". Whatever else is raised uses up one attempt.
    """

    @property
    def works_outside(self) -> bool:
        """Whether there is work outside the transaction."""
        ...

    def read(self, message: Message) -> Any | None:
        """What the message says, or None."""
        ...

    async def outside(self, asked: Any, message: Message) -> None:
        """Work before the transaction."""
        ...

    async def inside(self, asked: Any, tx: Transaction) -> None:
        """Work in the transaction."""
        ...


class Lane(Protocol):
    """A partition as the one message sees it that is at its head.

    - `is_leaving` becomes true when the partition goes to another consumer, or the process ends.
    - `pause` lets at most `seconds` pass, and less when `is_leaving` becomes true. The others go on meanwhile.
    """

    @property
    def is_leaving(self) -> bool:
        """Whether to begin nothing more."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait."""
        ...


class MessageSource(Protocol):
    """Delivers messages to a consumer group.

    - Of one partition a message is delivered only when the one before it is finished; partitions do not wait for each
      other.
    - A message is finished when `deliver` returned True. Only then may it be reported to the broker as consumed, and
      what is not finished is delivered again: to this process or to another.
    - Before a partition goes to another consumer, what is in hand is finished or dropped.
    - The broker's outages are waited for; `run` returns after `stop`, and raises only what `deliver` raises.
    """

    async def run(self, deliver: Callable[[Message, Lane], Awaitable[bool]]) -> None:
        """Deliver until `stop`."""
        ...

    def stop(self) -> None:
        """Finish what is in hand, and end. On the loop that runs it."""
        ...


@frozen
class KeptMessage:
    """A dead message, or one that is due again, with all that is needed to handle it."""

    group: str
    message_id: str
    state: MessageState
    message: Message = field(repr=False)
    reason: str | None
    since: datetime


@frozen
class KeptRecord:
    """A dead message, or one that is due again, without key, body and headers. `since` is aware UTC."""

    group: str
    message_id: str
    state: MessageState
    topic: str
    partition: int
    position: int
    reason: str | None
    since: datetime


class ConsumedTransaction(Protocol):
    """One transaction: the record that a message was handled, and what its handlers write.

    - All writes commit together when the block ends, and none does when it raises.
    - `take` and `retake` come first. Of several transactions that take one message, one gets True and commits; the
      others wait for it and get False, or get StoreUnavailable and try again.
    """

    @property
    def handle(self) -> Transaction:
        """What handlers are given."""
        ...

    async def take(self, group: str, message_id: str, message: Message) -> bool:
        """Record the message as handled. False when the group has it already: handled, dead or due again."""
        ...

    async def retake(self, group: str, message_id: str) -> bool:
        """Record a message that is due again as handled, and forget its body. False when it is not due (any more)."""
        ...

    async def flush(self) -> None:
        """Send what handlers left pending in `handle.session`, so that its errors surface before the commit."""
        ...


class Consumed(Protocol):
    """Which messages a consumer group has handled, and its dead ones.

    - A message is known by group and id: groups do not know of each other.
    - `bury` keeps the message whole, durable on return. It returns False, and changes nothing, for one that is handled
      or dead already.
    - `revive` and `revive_all` make dead messages due again; what is not dead is left alone.
    - Whatever goes wrong with the database comes out as StoreUnavailable, and is worth trying again.
    """

    @property
    def io(self) -> Io:
        """Whether its methods block the thread or suspend on the loop."""
        ...

    @property
    def writers(self) -> int:
        """How many transactions it lets write at once: 1 for an embedded file."""
        ...

    async def prepare(self) -> None:
        """Make ready, as Store.prepare."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[ConsumedTransaction]:
        """A transaction; see ConsumedTransaction."""
        ...

    async def is_known(self, group: str, message_id: str) -> bool:
        """Whether the group has it: handled, dead or due again."""
        ...

    async def bury(self, group: str, message_id: str, message: Message, reason: str) -> bool:
        """Make a message dead that is new or due again."""
        ...

    async def due(self, group: str, limit: int) -> Sequence[KeptMessage]:
        """Messages that are due again, those first that are so longest."""
        ...

    async def kept(self, group: str | None, limit: int) -> Sequence[KeptRecord]:
        """Messages that are dead or due again, newest first, of one group or of all."""
        ...

    async def named(self, message_id: str, group: str | None) -> Sequence[KeptMessage]:
        """The messages of that id that are dead or due again, one of each group."""
        ...

    async def revive(self, group: str, message_id: str) -> bool:
        """Make a dead message due again. False when it is not dead."""
        ...

    async def revive_all(self, group: str | None) -> int:
        """Make every dead message due again, of one group or of all; how many."""
        ...
