"""Messages that a consumer takes from Kafka: how one is known again, and when it is tried again.

    (not there) ──handled──> done
        │
        └── attempts used up, or unreadable ──> dead ──replay──> due ──handled──> done
                                                  ^               │
                                                  └───────────────┘

A message that is handled leaves a row without its body, one that nobody asked for leaves none. Attempts are counted in
memory: the message stays at the head of its partition until it is handled or dead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, TypeGuard

from attrs import field, frozen, validators

from ..errors import MalformedEvent, MalformedJson
from .strict_json import Json, read_json

#: CloudEvents, Kafka binding, binary mode: https://github.com/cloudevents/spec (section 3.2).
CE_ID: Final = "ce_id"
CE_SOURCE: Final = "ce_source"
CE_SPECVERSION: Final = "ce_specversion"

#: Ids that other people make may be anything; a longer one would not fit into an index.
_LONGEST_ID: Final = 255

#: Tries of one message before it is dead. With the delays below they spread over about a minute.
MAX_ATTEMPTS: Final = 8
BASE_DELAY_S: Final = 0.5
MAX_DELAY_S: Final = 60.0
#: The longest wait between two looks at a database or provider that does not answer.
MAX_OUTAGE_DELAY_S: Final = 5.0


class MessageState(IntEnum):
    """Stored as a small integer; the numbers are part of the schema."""

    DUE = 1
    DONE = 2
    DEAD = 3


@frozen
class Message:
    """A record of a topic. `position` is its offset; `body` is None for a tombstone. Headers are text, by name."""

    topic: str
    partition: int
    position: int
    key: bytes | None = field(repr=False)
    body: bytes | None = field(repr=False)
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)


@frozen(kw_only=True)
class ConsumptionPolicy:
    """How often a message is tried and how long is waited in between; its partition waits with it."""

    max_attempts: int = field(default=MAX_ATTEMPTS, validator=validators.ge(1))
    base_delay_s: float = field(default=BASE_DELAY_S, validator=validators.gt(0))
    max_delay_s: float = field(default=MAX_DELAY_S, validator=validators.gt(0))

    def delay_s(self, attempt: int, fraction: float) -> float:
        """Seconds until the next attempt after number `attempt` (from 1): full jitter over an exponential ceiling.

        `fraction` is a random number in [0, 1).
        """
        return self._jittered(attempt, fraction, self.max_delay_s)

    def outage_delay_s(self, waits: int, fraction: float) -> float:
        """Seconds until the next look at what does not answer, after `waits` of them (from 1)."""
        return self._jittered(waits, fraction, min(self.max_delay_s, MAX_OUTAGE_DELAY_S))

    def _jittered(self, number: int, fraction: float, longest_s: float) -> float:
        # The exponent is bounded: an outage may last for days.
        ceiling_s: float = min(longest_s, self.base_delay_s * 2.0 ** min(number, 30))
        return max(0.01, ceiling_s * fraction)


def message_id(message: Message) -> str:
    """What a message is known by: its `ce_id`, else the `eventId` in its body, else a hash of topic, key and body.

    An id that is blank, longer than 255 characters or not printable counts as none.
    """
    named = message.headers.get(CE_ID)
    if _is_usable(named):
        return named
    named = _event_id(message.body)
    return named if _is_usable(named) else _fingerprint(message)


def read_envelope(message: Message) -> Mapping[str, Json]:
    """The JSON object in a message. Raises MalformedEvent, with the reason, for anything else."""
    stated = message.headers.get(CE_SPECVERSION)
    if stated is not None and not stated.startswith("1."):
        raise MalformedEvent("The message is of a version of CloudEvents that is not known here; 1.x is.")
    if message.body is None:
        raise MalformedEvent("The message has no body.")
    try:
        value = read_json(message.body)
    except MalformedJson as wrong:
        raise MalformedEvent(str(wrong)) from None
    if not isinstance(value, dict):
        raise MalformedEvent("The message is not a JSON object.")
    return value


def _event_id(body: bytes | None) -> str | None:
    try:
        value = read_json(body or b"")
    except MalformedJson:
        return None
    named = value.get("eventId") if isinstance(value, dict) else None
    return named if isinstance(named, str) else None


def _is_usable(named: str | None) -> TypeGuard[str]:
    return named is not None and not named.isspace() and 0 < len(named) <= _LONGEST_ID and named.isprintable()


def _fingerprint(message: Message) -> str:
    digest = hashlib.sha256()
    for part in (message.topic.encode(), message.key, message.body):
        # With its length, so that no two messages look alike by where one part ends and the next begins.
        digest.update(b"-" if part is None else len(part).to_bytes(8, "big") + part)
    return f"sha256:{digest.hexdigest()}"
