"""An outgoing event as a Kafka message: CloudEvents 1.0 in binary mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md: each attribute is a
header `ce_…`, the data stands in the value alone, its media type in `content-type`.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from payments_core.domain.events import isoformat_utc
from payments_core.ports.publishing import OwedRow

Headers: TypeAlias = list[tuple[str, bytes]]

_SPEC_VERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", b"application/json")


def source_of(app: str | None) -> str:
    """The `ce_source` of a deployment; `app` is PAYMENTS_APP."""
    return "/payments-core" if app is None else f"/payments-core/{app}"


def headers_of(row: OwedRow, source: bytes) -> Headers:
    """The headers of a row's message."""
    made: Headers = [
        _SPEC_VERSION,
        ("ce_id", row.event_id.encode()),
        ("ce_type", row.type.encode()),
        ("ce_source", source),
        ("ce_time", isoformat_utc(row.occurred_at).encode()),
        _CONTENT_TYPE,
    ]
    if row.traceparent is not None:
        made.append(("traceparent", row.traceparent.encode()))
    return made
