"""The little that must be read of an event before it is stored: who it is and what kind.

`id` and `type` are strings and `data.object` is an object; nothing else is required, and an absent field is unknown
rather than false. The body itself is kept as it came and read strictly later, by the runner; a mistake here can
therefore cost nothing, and the object is passed over without being taken apart, which is what makes it fast.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
from pydantic_core import from_json

from ..errors import MalformedEvent

#: A thin event, and the only one that is taken: Stripe could not make an event (see `notices`).
FAILURE_NOTICE: Final = "v2.core.health.event_generation_failure.resolved"

#: What msgspec raises for a body: bytes that are no UTF-8 are a UnicodeDecodeError, and none of its own errors.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Envelope(msgspec.Struct, frozen=True):
    """The outside of an event. `account`, `livemode` and `created_s` (Unix seconds) are None where not stated."""

    event_id: str
    type: str
    account: str | None = None
    livemode: bool | None = None
    created_s: int | None = None


class _Object(msgspec.Struct):
    """An object, of which nothing is read."""


class _Data(msgspec.Struct):
    object: _Object


class _Snapshot(msgspec.Struct):
    id: str
    type: str
    data: _Data
    account: object = None
    livemode: object = None
    created: object = None


_decode: Final = msgspec.json.Decoder(_Snapshot).decode


def read_envelope(body: bytes) -> Envelope:
    """The envelope of a snapshot event. Raises MalformedEvent, with the reason, for a body of another shape."""
    try:
        snapshot = _decode(body)
    except UNREADABLE:
        return _read_slowly(body)
    return _envelope(snapshot.id, snapshot.type, snapshot.account, snapshot.livemode, snapshot.created)


def _read_slowly(body: bytes) -> Envelope:
    """What is wrong with a body, in words; or the envelope of the one kind of event that has no object."""
    try:
        document = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        raise MalformedEvent("The signed body is not JSON.") from None
    if not isinstance(document, dict):
        raise MalformedEvent("The signed body is not an object.")
    return envelope_of(cast("dict[str, Any]", document))


def envelope_of(document: Mapping[str, Any]) -> Envelope:
    """The envelope of an event already parsed. Raises MalformedEvent as `read_envelope` does."""
    data = document.get("data")
    envelope = _envelope(*(document.get(name) for name in ("id", "type", "account", "livemode", "created")))
    is_snapshot = isinstance(data, dict) and isinstance(cast("dict[str, Any]", data).get("object"), dict)
    if not is_snapshot and envelope.type != FAILURE_NOTICE:
        raise MalformedEvent("The event has no data.object; send snapshot events to this endpoint.")
    return envelope


def _envelope(event_id: object, kind: object, account: object, livemode: object, created: object) -> Envelope:
    if not isinstance(event_id, str) or not _NAME.fullmatch(event_id):
        raise MalformedEvent("The event has no usable id.")
    if not isinstance(kind, str) or not _NAME.fullmatch(kind):
        raise MalformedEvent("The event has no usable type.")
    return Envelope(
        event_id,
        kind,
        account if isinstance(account, str) and _NAME.fullmatch(account) else None,
        livemode if isinstance(livemode, bool) else None,
        created if isinstance(created, int) and not isinstance(created, bool) else None,
    )
