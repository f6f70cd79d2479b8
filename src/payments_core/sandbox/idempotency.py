"""Idempotency keys as Stripe keeps them: https://docs.stripe.com/api/idempotent_requests.

The first reply under a key is given again for 24 hours, to the same request only. A request that was refused by
validation leaves nothing behind, and while the first one runs a second is told to wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from attrs import evolve, frozen

from .errors import JsonObject, StripeRefusal

KEEP_S = 86_400
MAX_KEYS = 10_000
MAX_KEY_LENGTH = 255


@frozen
class Fingerprint:
    """What makes two requests the same."""

    path: str
    params: JsonObject


@frozen
class SavedReply:
    """The first reply under a key, and the request that got it."""

    status: int
    body: JsonObject
    request_id: str


@frozen
class KeyEntry:
    """A key and what it stands for; while the first request runs there is no reply."""

    id: str
    fingerprint: Fingerprint
    at: int
    reply: SavedReply | None


class Entries(Protocol):
    """Where the keys are kept, in the order of their making."""

    def get(self, record_id: str) -> KeyEntry | None:
        """An entry, if it is there."""
        ...

    def put(self, record: KeyEntry) -> KeyEntry:
        """Add or replace one."""
        ...

    def drop(self, record_id: str) -> None:
        """Forget one."""
        ...

    def __iter__(self) -> Iterator[KeyEntry]: ...

    def __len__(self) -> int: ...


class IdempotencyKeys:
    """The keys of one account. `begin` before the work, then `save` or `release`."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def begin(self, key: str, fingerprint: Fingerprint, now: int) -> SavedReply | None:
        """Take a key: None means do the work, a reply means give it again.

        Raises StripeRefusal: 400 `idempotency_error` for another request under the key, 409 while the first runs.
        """
        if len(key) > MAX_KEY_LENGTH:
            raise StripeRefusal("Idempotency keys can be at most 255 characters long.", kind="idempotency_error")
        self._forget_old(now)
        entry = self._entries.get(key)
        if entry is None:
            self._entries.put(KeyEntry(key, fingerprint, now, None))
            return None
        if entry.fingerprint != fingerprint:
            raise StripeRefusal(_mismatch(key, entry.fingerprint, fingerprint), kind="idempotency_error")
        if entry.reply is None:
            raise StripeRefusal(
                f"There is currently another in-progress request using this Idempotent Key: {key}. Please try again "
                "later.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        return entry.reply

    def save(self, key: str, reply: SavedReply) -> None:
        """Keep the reply for whoever asks again."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.put(evolve(entry, reply=reply))

    def release(self, key: str) -> None:
        """Forget a key whose request changed nothing."""
        self._entries.drop(key)

    def _forget_old(self, now: int) -> None:
        """Entries are in the order of their making, so the old ones come first."""
        for entry in self._entries:
            if entry.at > now - KEEP_S and len(self._entries) <= MAX_KEYS:
                return
            if entry.reply is not None:
                self._entries.drop(entry.id)


def _mismatch(key: str, first: Fingerprint, now: Fingerprint) -> str:
    if first.path != now.path:
        return (
            f"Keys for idempotent requests can only be used for the same endpoint they were first used for "
            f"('{first.path}' vs '{now.path}'). Try using a key other than '{key}' if you meant to execute a "
            "different request."
        )
    return (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using "
        f"a key other than '{key}' if you meant to execute a different request."
    )
