"""The little that must be read of an event before it is stored: who it is and what kind.

`id` and `type` are strings and `data.object` is an object; nothing else is required, and an absent field is unknown
rather than false. The body itself is kept as it came and read strictly later, by the runner; a mistake here can
therefore cost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from attrs import frozen
from pydantic_core import from_json

from ..errors import MalformedEvent

_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}")


@frozen
class Envelope:
    """The outside of an event. `account`, `livemode` and `created_s` (Unix seconds) are None where not stated."""

    event_id: str
    type: str
    account: str | None = None
    livemode: bool | None = None
    created_s: int | None = None


def read_envelope(body: bytes) -> Envelope:
    """The envelope of a snapshot event. Raises MalformedEvent, with the reason, for a body of another shape."""
    try:
        document = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        raise MalformedEvent("The signed body is not JSON.") from None
    if not isinstance(document, dict):
        raise MalformedEvent("The signed body is not an object.")
    return envelope_of(cast("dict[str, Any]", document))


def envelope_of(document: Mapping[str, Any]) -> Envelope:
    """The envelope of an event already parsed. Raises MalformedEvent as `read_envelope` does."""
    event_id, kind, data = document.get("id"), document.get("type"), document.get("data")
    if not isinstance(event_id, str) or not _NAME.fullmatch(event_id):
        raise MalformedEvent("The event has no usable id.")
    if not isinstance(kind, str) or not _NAME.fullmatch(kind):
        raise MalformedEvent("The event has no usable type.")
    if not isinstance(data, dict) or not isinstance(cast("dict[str, Any]", data).get("object"), dict):
        raise MalformedEvent("The event has no data.object; send snapshot events to this endpoint.")
    account, livemode, created = document.get("account"), document.get("livemode"), document.get("created")
    return Envelope(
        event_id,
        kind,
        account if isinstance(account, str) and _NAME.fullmatch(account) else None,
        livemode if isinstance(livemode, bool) else None,
        created if type(created) is int else None,
    )
