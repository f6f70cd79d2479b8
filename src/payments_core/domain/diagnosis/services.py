"""The servers that are there only where they are configured: Redis and Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from .findings import Check, Finding, listed

REDIS: Final = Check("redis", "reachable")
BROKERS: Final = Check("kafka", "reachable")
_EVICTION: Final = Check("redis", "eviction")
_TOPICS: Final = Check("kafka", "topics")
_NEVER: Final = "noeviction"


@frozen
class RedisFacts:
    """What Redis says. `policy` is its maxmemory-policy, None where it does not say; `limit_bytes` 0: no limit.

    `failure` names the error of a server that could not be asked; `refuses_us`: that was about user or password.
    """

    policy: str | None = None
    limit_bytes: int = 0
    failure: str | None = None
    refuses_us: bool = False


@frozen
class TopicFacts:
    """A topic that is published to, and whether the brokers have it."""

    name: str
    exists: bool


def examine_redis(facts: RedisFacts) -> list[Finding]:
    """Prices that are lost are asked for again; counters that are lost let a caller begin anew."""
    if facts.failure is None:
        return [REDIS.ok("Redis answers."), _eviction(facts)]
    if facts.refuses_us:
        return [
            REDIS.failed("Redis refuses the credentials.", "Correct the user or the password in PAYMENTS_REDIS_URL.")
        ]
    return [
        REDIS.failed(
            f"Redis does not answer ({facts.failure}). Each process remembers prices and counts callers for itself: "
            "with four workers the limits let four times as many through.",
            "See that it runs, and that PAYMENTS_REDIS_URL has its address.",
        )
    ]


def _eviction(facts: RedisFacts) -> Finding:
    if facts.policy is None:
        return _EVICTION.skipped("Redis does not say what it does when its memory is full.")
    if facts.policy == _NEVER:
        return _EVICTION.ok("noeviction: a full Redis refuses, and each process counts for itself meanwhile.")
    if not facts.limit_bytes:
        return _EVICTION.ok(f"{facts.policy}, and no limit on memory that would bring it about.")
    return _EVICTION.warning(
        f"{facts.policy}: when its memory is full, Redis drops counters of the limits too, and a caller who was "
        "stopped begins anew. Remembered prices it may drop.",
        "Set maxmemory-policy noeviction, or give the payments a Redis with memory enough.",
    )


def examine_topics(topics: Sequence[TopicFacts]) -> list[Finding]:
    """The topics that are published to; events of one that is missing are parked."""
    missing = [topic.name for topic in topics if not topic.exists]
    reachable = BROKERS.ok("The brokers answer.")
    if missing:
        return [
            reachable,
            _TOPICS.failed(
                f"Missing, or not to be seen by this client: {listed(missing)}. Their events are parked.",
                "Make them with `payments topics --create`, or let this client describe them.",
            ),
        ]
    return [reachable, _TOPICS.ok(f"All {len(topics)} are there.")]
