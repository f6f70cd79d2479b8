"""The AsyncAPI 3.1.0 document of all topics: https://www.asyncapi.com/docs/reference/specification/v3.1.0.

Headers follow the Kafka binding of CloudEvents 1.0.2 in binary mode. Operations are named from this library's side:
it sends payment events and receives the catalogue's messages.
"""

from __future__ import annotations

from typing import Any, Final

from payments_core.published.incoming import INCOMING

from .shapes import Models, Schema, schema_of

_VERSION: Final = "3.1.0"
_ABOUT: Final = (
    "What happened to payments, one topic per type; and the catalogue's messages that a shop may publish. Delivery is "
    "at least once: eventId and ce_id are the same for every repeat."
)
_PREFIX: Final = {"description": "PAYMENTS_TOPIC_PREFIX, empty unless it is set.", "default": ""}
_PUBLISHED_KEY: Final = "The payment intent's id if known, else the session's, else the invoice's; a payment keeps it."
_CONSUMED_KEY: Final = "The product's id, so that messages of one product stay in order."


def document(models: Models, versions: dict[str, int], product_version: str) -> Schema:
    """The whole document, self-contained."""
    return {
        "asyncapi": _VERSION,
        "id": "urn:payments-core:events",
        "info": {
            "title": "payments-core",
            "version": product_version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {kind: _channel(kind) for kind in models},
        "operations": {_operation_name(kind): _operation(kind) for kind in models},
        "components": {
            "messages": {kind: _message(kind, schema_of(kind, models[kind], versions[kind])) for kind in models},
            "messageTraits": {"cloudEvent": {"headers": _cloud_event_headers()}},
        },
    }


def _channel(kind: str) -> Schema:
    return {
        "address": f"{{prefix}}{kind}",
        "description": "Messages of one key are in order.",
        "parameters": {"prefix": _PREFIX},
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"}},
    }


def _operation_name(kind: str) -> str:
    return f"{'receive' if kind in INCOMING else 'send'}.{kind}"


def _operation(kind: str) -> Schema:
    incoming = kind in INCOMING
    return {
        "action": "receive" if incoming else "send",
        "summary": "payments consume-products carries it out at Stripe." if incoming else "The relay publishes it.",
        "channel": {"$ref": f"#/channels/{kind}"},
        "messages": [{"$ref": f"#/channels/{kind}/messages/{kind}"}],
    }


def _message(kind: str, schema: Schema) -> Schema:
    incoming = kind in INCOMING
    words = schema.get("description", "")
    payload: Schema = {key: value for key, value in schema.items() if key != "$schema"}
    message: Schema = {
        "name": kind,
        "title": kind,
        "summary": words.splitlines()[0] if words else kind,
        "contentType": "application/json",
        "payload": payload,
        "bindings": {"kafka": _binding(_CONSUMED_KEY if incoming else _PUBLISHED_KEY)},
    }
    if not incoming:
        message["traits"] = [{"$ref": "#/components/messageTraits/cloudEvent"}]
    return message


def _binding(key: str) -> Schema:
    return {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}


def _cloud_event_headers() -> Schema:
    def text(description: str, **more: Any) -> Schema:
        return {"type": "string", "description": description, **more}

    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"],
        "properties": {
            "ce_specversion": text("The version of CloudEvents.", const="1.0"),
            "ce_id": text("The event's eventId.", minLength=1),
            "ce_type": text("The event's eventType."),
            "ce_source": text("Which application published it.", format="uri-reference"),
            "ce_time": text("The event's timestamp.", format="date-time"),
            "content-type": text("application/json, with or without a charset."),
            "traceparent": text("W3C Trace Context of the work that recorded the event, where there was one."),
        },
    }
