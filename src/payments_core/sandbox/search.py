"""Stripe's search query language, over products and prices: https://docs.stripe.com/search.

`field:value` is equal, `field~value` contains (texts only, 3 characters at least), `-` in front negates, and
`field:null` means that there is no value. Clauses are joined by `AND` or by `OR`, not by both. Texts stand in quotes
and are compared without regard to case, as at Stripe. No field of these two resources is a number: `>` and `<` are
refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

from attrs import frozen

from .errors import JsonObject, StripeRefusal, invalid
from .params import Params

Kind: TypeAlias = Literal["token", "text", "boolean"]
MOST_CLAUSES = 10
_CLAUSE = re.compile(
    r"""\s*(?P<minus>-?)\s*
    (?P<field>[A-Za-z_.]+)(?:\[(?P<q>['"])(?P<key>(?:\\.|(?!(?P=q)).)*)(?P=q)\])?\s*
    (?P<operator>:|~|>=|<=|>|<)\s*
    (?:(?P<vq>['"])(?P<text>(?:\\.|(?!(?P=vq)).)*)(?P=vq)|(?P<bare>[^\s'"]+))""",
    re.VERBOSE,
)
_JOINT = re.compile(r"\s+(AND|OR)\s+|\s+(?=\S)")


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)


@frozen
class Field:
    """A searchable field and what a record has in it: one value or none. `token` fields know equality alone."""

    kind: Kind
    value: Callable[[object], str | None]


@frozen
class Fields:
    """What can be searched of one resource; `metadata` by key beside the named ones."""

    named: Mapping[str, Field]
    metadata: Callable[[object], Mapping[str, str]]


@frozen
class _Clause:
    field: Field
    operator: str
    value: str | None
    negated: bool

    def holds(self, record: object) -> bool:
        return self._holds(self.field.value(record)) != self.negated

    def _holds(self, found: str | None) -> bool:
        if found is None or self.value is None:
            return found is self.value
        wanted, found = self.value.casefold(), found.casefold()
        return wanted in found if self.operator == "~" else wanted == found


def search(
    records: Sequence[T], fields: Fields, params: Params, url: str, render: Callable[[T], JsonObject]
) -> JsonObject:
    """One page of what `query` finds, newest first. `page` continues where `next_page` left off."""
    params.only("limit", "page", "query")
    matches = parse(params.required("query"), fields)
    limit = params.integer("limit", minimum=1, maximum=100) or 10
    found = [record for record in records if matches(record)]
    start = _start(params.text("page"), found)
    shown = found[start : start + limit]
    has_more = len(found) > start + limit
    return {
        "object": "search_result",
        "data": [render(record) for record in shown],
        "has_more": has_more,
        "next_page": _cursor(shown[-1].id) if has_more else None,
        "url": url,
    }


def parse(query: str, fields: Fields) -> Callable[[object], bool]:
    """The predicate of a query. Raises StripeRefusal, naming what cannot be read."""
    clauses: list[_Clause] = []
    joints: set[str] = set()
    position = 0
    while True:
        found = _CLAUSE.match(query, position)
        if found is None:
            raise _unreadable(query, position)
        clauses.append(_clause(found, fields))
        position = found.end()
        if not query[position:].strip():
            break
        joint = _JOINT.match(query, position)
        if joint is None:
            raise _unreadable(query, position)
        joints.add(joint[1] or "AND")
        position = joint.end()
    if len(joints) > 1:
        raise invalid("query", "We can't parse your search query: you can't combine AND and OR in the same query.")
    if len(clauses) > MOST_CLAUSES:
        raise invalid("query", f"We can't parse your search query: it has more than {MOST_CLAUSES} clauses.")
    quantifier = any if joints == {"OR"} else all
    return lambda record: quantifier(clause.holds(record) for clause in clauses)


def _clause(found: re.Match[str], fields: Fields) -> _Clause:
    name, key, operator = found["field"], found["key"], found["operator"]
    value = _unescape(found["text"]) if found["text"] is not None else found["bare"]
    field = _field(name, None if key is None else _unescape(key), fields)
    if found["text"] is None and value == "null":
        if operator != ":":
            raise invalid("query", f"Field `{name}` can only be compared with null by `:`.")
        return _Clause(field, operator, None, bool(found["minus"]))
    if found["text"] is None and field.kind in ("text", "token"):
        raise invalid("query", f"We can't parse your search query: the value of `{name}` must be in quotes.")
    if operator not in _operators(field.kind):
        raise invalid("query", f"Operator `{operator}` is not supported for field `{name}`.")
    if operator == "~" and len(value) < 3:
        raise invalid("query", "Substring searches need at least 3 characters.")
    if field.kind == "boolean" and value not in ("true", "false"):
        raise invalid("query", f"Field `{name}` takes true or false, not `{value[:40]}`.")
    return _Clause(field, operator, value, bool(found["minus"]))


def _field(name: str, key: str | None, fields: Fields) -> Field:
    if name == "metadata" and key is not None:
        return Field("text", lambda record: fields.metadata(record).get(key))
    field = fields.named.get(name) if key is None else None
    if field is None:
        known = ", ".join(sorted([*fields.named, "metadata"]))
        raise invalid("query", f"Field `{name}` is an unsupported search field for this resource. Supported: {known}.")
    return field


def _operators(kind: Kind) -> tuple[str, ...]:
    return (":", "~") if kind == "text" else (":",)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _unreadable(query: str, position: int) -> StripeRefusal:
    return invalid("query", f"We can't parse your search query at position {position}: `{query[position:][:40]}`.")


def _cursor(record_id: str) -> str:
    return base64.urlsafe_b64encode(record_id.encode()).decode()


def _start(page: str | None, found: Sequence[_Identified]) -> int:
    if page is None:
        return 0
    try:
        last = base64.urlsafe_b64decode(page.encode()).decode()
    except (binascii.Error, UnicodeError, ValueError):
        last = ""
    for position, record in enumerate(found):
        if record.id == last:
            return position + 1
    raise invalid("page", "Invalid page: use the `next_page` of the previous search.")
