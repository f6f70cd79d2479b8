"""The published documents: made from the models, valid, committed, and changed only with a note."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from payments_core import Money
from payments_core.adapters.kafka.messages import headers_of, source_of
from payments_core.domain.events import (
    DOMAIN_EVENTS,
    CheckoutExpired,
    DomainEvent,
    PaymentFailed,
    PaymentSuccessful,
    Product,
    as_published,
)
from payments_core.domain.strict_json import write_json
from payments_core.ports.publishing import OwedRow
from payments_core.published import models, parse_published
from payments_core.published.incoming import INCOMING
from tests import _services
from tools.npm import CannotFetch
from tools.schemas import versions
from tools.schemas.__main__ import documents, drift, written
from tools.schemas.asyncapi import document
from tools.schemas.shapes import MODELS, fingerprint, schema_of
from tools.schemas.specification import official_schema

texts = st.text(max_size=20)
maybe = st.none() | texts
money = st.builds(Money, st.integers(), st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=3))
common: dict[str, Any] = {
    "event_id": st.text(min_size=1, max_size=20),
    "payment_id": texts,
    "occurred_at": st.datetimes(timezones=st.timezones()),
    "amount": money,
    "user_id": maybe,
    "email": maybe,
    "payment_intent_id": maybe,
    "session_id": maybe,
}
products = st.lists(st.builds(Product, texts, st.integers(), money), max_size=3).map(tuple)
facts: st.SearchStrategy[DomainEvent] = st.one_of(
    st.builds(PaymentSuccessful, **common, products=products, invoice_id=maybe),
    st.builds(PaymentFailed, **common, reason=texts),
    st.builds(CheckoutExpired, **common),
)


@given(facts)
def test_every_event_is_valid_and_comes_back_as_the_same_bytes(fact: DomainEvent) -> None:
    """What is composed validates by its model and by its JSON Schema, and is written back byte for byte."""
    body = write_json(as_published(fact)).encode()
    event = parse_published(body)
    assert write_json(event.as_json()).encode() == body
    kind = fact.type
    jsonschema.Draft202012Validator(schema_of(kind, MODELS[kind], 1)).validate(json.loads(body))
    assert (event.event_id, event.data.money) == (fact.event_id, fact.amount)


def test_every_domain_event_is_published() -> None:
    """A new domain event needs a model, and a model a domain event."""
    assert {kind.type for kind in DOMAIN_EVENTS} == set(models.PUBLISHED)


def test_the_committed_documents_are_what_the_models_give() -> None:
    """Else: python -m tools.schemas."""
    assert drift(MODELS, versions.FOLDER) == []


def test_a_document_that_was_edited_is_found(tmp_path: Path) -> None:
    """By its name, with the command to run; a missing one as well."""
    recorded = versions.read()
    for name, made in {**documents(MODELS, recorded), versions.FILE.name: recorded}.items():
        (tmp_path / name).write_text(written(made), encoding="utf-8")
    assert drift(MODELS, tmp_path) == []
    (tmp_path / "asyncapi.json").write_text("{}\n", encoding="utf-8")
    (tmp_path / "payment.failed.json").unlink()
    assert [line.split(":")[0] for line in drift(MODELS, tmp_path)] == ["payment.failed.json", "asyncapi.json"]


class _More(models.FailedData, frozen=True):
    attempts: int = Field(default=1, description="One field more.")


class _FailedWithMore(models.PaymentFailed, frozen=True):
    data: _More


class _Looser(models.FailedData, frozen=True):
    reason: str | None = None  # type: ignore[assignment]


class _FailedWithLess(models.PaymentFailed, frozen=True):
    data: _Looser


class _FailedInOtherWords(models.PaymentFailed, frozen=True):
    """Other words, the same shape."""


@pytest.mark.parametrize("changed", [_FailedWithMore, _FailedWithLess])
def test_a_changed_shape_without_a_note_is_red_and_with_one_green(changed: type[models.PaymentFailed]) -> None:
    """A field more, a field looser: the checker asks for a new version, and takes it."""
    mutated = {**MODELS, "payment.failed": changed}
    recorded = versions.read()
    (problem,) = versions.problems(mutated, recorded)
    assert problem.startswith("payment.failed: its shape is not that of version 1; run: python -m tools.schemas --note")
    noted = versions.noted(mutated, recorded, "payment.failed", "A field more.")
    assert versions.problems(mutated, noted) == []
    assert schema_of("payment.failed", changed, versions.latest(noted, "payment.failed"))["$id"].endswith("/v2")


def test_other_words_are_no_other_shape() -> None:
    """Descriptions may be improved."""
    assert fingerprint("payment.failed", _FailedInOtherWords) == fingerprint("payment.failed", models.PaymentFailed)
    with pytest.raises(ValueError, match="nothing to note"):
        versions.noted(MODELS, versions.read(), "payment.failed", "Nothing.")


def test_versions_count_up_and_say_what_they_brought() -> None:
    """An entry taken out, an empty note, a type that is gone: each is named."""
    recorded = versions.read()
    (first,) = recorded["payment.failed"]
    assert versions.problems(MODELS, {**recorded, "payment.failed": [{**first, "version": 2}]})
    assert versions.problems(MODELS, {**recorded, "payment.failed": [{**first, "note": " "}]})
    assert versions.problems(MODELS, {**recorded, "payment.lost": [first]})
    assert versions.problems(MODELS, {**recorded, "payment.failed": []})


@pytest.mark.parametrize("kind", MODELS)
def test_a_schema_is_one_by_the_metaschema_and_names_its_version(kind: str) -> None:
    """JSON Schema 2020-12."""
    schema = json.loads((versions.FOLDER / f"{kind}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == f"urn:payments-core:{kind}/v{versions.latest(versions.read(), kind)}"


def test_every_type_has_a_channel_an_operation_and_a_key() -> None:
    """Published types are sent with CloudEvents headers, the catalogue's are received."""
    made = document(MODELS, dict.fromkeys(MODELS, 1), "1")
    assert set(made["channels"]) == set(MODELS)
    actions = {
        operation["channel"]["$ref"].rpartition("/")[2]: operation["action"]
        for operation in made["operations"].values()
    }
    assert actions == {kind: "receive" if kind in INCOMING else "send" for kind in MODELS}
    messages = made["components"]["messages"]
    assert all(message["bindings"]["kafka"]["key"]["description"] for message in messages.values())
    assert {kind for kind, message in messages.items() if "traits" in message} == set(models.PUBLISHED)


@pytest.mark.parametrize("traceparent", [None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"])
def test_the_publishers_headers_are_those_of_the_document(traceparent: str | None) -> None:
    """Every header that is sent is described, every one that is required is sent."""
    row = OwedRow(1, "e1", "payment.failed", "pi_1", "{}", datetime.now(UTC), traceparent)
    sent = {name: value.decode() for name, value in headers_of(row, source_of("shop").encode())}
    schema = document(MODELS, dict.fromkeys(MODELS, 1), "1")["components"]["messageTraits"]["cloudEvent"]["headers"]
    jsonschema.Draft202012Validator({**schema, "additionalProperties": False}).validate(sent)
    assert set(schema["properties"]) - set(sent) == ({"traceparent"} if traceparent is None else set())


@pytest.mark.npm
def test_the_asyncapi_document_is_valid_by_the_official_schema() -> None:
    """AsyncAPI 3.1.0, as its makers publish it; the schema refuses a document that is none."""
    try:
        schema = official_schema()
    except CannotFetch as reason:
        pytest.skip(_services.unavailable("npm", str(reason)))
    validator = jsonschema.Draft7Validator(schema)
    made = json.loads((versions.FOLDER / "asyncapi.json").read_text("utf-8"))
    assert [error.message for error in validator.iter_errors(made)] == []
    made["operations"]["send.payment.failed"]["action"] = "shout"
    assert not validator.is_valid(made)


@pytest.mark.parametrize("group", ["asyncapi", "stripe"])
def test_what_comes_from_npm_is_pinned_by_its_integrity_and_names_no_address(group: str) -> None:
    """An address would name an index."""
    lock = json.loads((versions.FOLDER.parents[2] / "tools" / group / "package-lock.json").read_text("utf-8"))
    for name, package in lock["packages"].items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")
