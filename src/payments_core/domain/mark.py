"""A look at our own mark in a stored event, without reading the event.

It is a guess that saves work: the runner fetches the payments of a whole claim at once by it. What is acted on is read
strictly afterwards, and a mark that turns out to be another is found out there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .checkout import PAYMENT_ID_KEY
from .envelope import UNREADABLE


class _Metadata(msgspec.Struct, rename={"payment_id": PAYMENT_ID_KEY}):
    payment_id: str


class _Object(msgspec.Struct):
    metadata: _Metadata


class _Data(msgspec.Struct):
    object: _Object


class _Event(msgspec.Struct):
    data: _Data


_decode: Final = msgspec.json.Decoder(_Event).decode


def peek_mark(body: bytes) -> str | None:
    """The payment id that the event's object bears, or None where none can be seen."""
    try:
        return _decode(body).data.object.metadata.payment_id
    except UNREADABLE:
        return None
