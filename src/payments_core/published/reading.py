"""From the bytes of a record to a published event, or to a reason."""

from __future__ import annotations

from pydantic import ValidationError

from ..domain.strict_json import Json, read_json
from ..errors import MalformedEvent, MalformedJson, UnknownEvent
from .models import PUBLISHED, PublishedEvent
from .reasons import reasons


def parse_published(body: bytes) -> PublishedEvent:
    """The event in `body` (UTF-8 JSON), of the class that its `eventType` names.

    Raises UnknownEvent for a type that this version does not know, which a consumer may skip, and MalformedEvent for
    everything else that is no published event. The messages say which field is wrong and how, never what stood there.
    """
    value = _read(body)
    if not isinstance(value, dict):
        raise MalformedEvent("The event is not a JSON object.")
    named = value.get("eventType")
    if not isinstance(named, str):
        raise MalformedEvent("eventType: should be a string.")
    model = PUBLISHED.get(named)
    if model is None:
        raise UnknownEvent(named)
    try:
        # By alias only: on the wire a field has one name.
        return model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as wrong:
        raise MalformedEvent(reasons(wrong)) from None


def _read(body: bytes) -> Json:
    try:
        return read_json(body)
    except MalformedJson as wrong:
        raise MalformedEvent(str(wrong)) from None
