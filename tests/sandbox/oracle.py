"""Says what is wrong with a reply, field by field, by the classes of stripe-python at the pinned version.

Every object in a reply must have each field that its class requires and no field that the class does not know, with
values of the right type and, where the class lists words, one of these words.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.sandbox import pinned

_PLAIN: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "bool": bool,
    "Decimal": str,
    "float": (int, float),
    "datetime": str,
}
#: Not optional in the class, and yet left out of replies: `deleted` of what is not, lists that `expand` brings.
_OFTEN_ABSENT = {"deleted"}
#: Fields that subclasses of their own bring, one for each type of event.
_OF_SUBCLASSES = {"v2.core.event": {"data", "related_object"}}
#: What only Stripe's own tool gets to see: the SDK has no class for it.
_OF_THE_TOOL = {"stripecli_session"}
_LISTS = {
    "list": ({"object", "data", "has_more", "url"}, set[str]()),
    "search_result": ({"object", "data", "has_more", "url", "next_page"}, {"total_count"}),
}


def problems(value: dict[str, Any], path: str = "") -> list[str]:
    """Everything that is wrong with a reply: an object, a list of objects, a search result, something deleted."""
    return list(_object(value, path or str(value.get("object"))))


def error_problems(body: dict[str, Any]) -> list[str]:
    """Everything that is wrong with the body of a refusal."""
    error = body.get("error", {})
    known = pinned.classes("_error_object.py")["ErrorObject"]
    found = [f"error.{key}: unknown field" for key in error.keys() - known.keys()]
    found += [f"error.{key}: missing" for key in {"type", "message"} - error.keys()]
    for name in ("payment_intent", "payment_method"):
        if name in error:
            found += problems(error[name], f"error.{name}")
    return found + [f"{key}: beside the error" for key in body.keys() - {"error"}]


def _object(value: Any, path: str, kinds: tuple[str, ...] = ()) -> Iterator[str]:
    """An object of its own kind, which must be one of the classes named."""
    if not isinstance(value, dict) or not isinstance(value.get("object"), str):
        if isinstance(value, dict) and {"data", "next_page_url"} <= value.keys():
            yield from _items(value["data"], path)
            return
        yield f"{path}: {value!r} is no object of Stripe's"
        return
    kind: str = value["object"]
    if kind in _LISTS:
        required, optional = _LISTS[kind]
        yield from (f"{path}.{name}: missing" for name in required - value.keys())
        yield from (f"{path}.{name}: unknown field" for name in value.keys() - required - optional)
        yield from _items(value.get("data", []), path)
        return
    if kind in _OF_THE_TOOL or value.keys() == {"id", "object", "deleted"}:
        return
    if kind not in pinned.homes():
        yield f"{path}: there is no {kind} in the SDK"
    else:
        module, name = pinned.homes()[kind]
        if kinds and not any(wanted.removesuffix("Resource") == name for wanted in kinds):
            yield f"{path}: a {name}, where a {' or '.join(kinds)} belongs"
        own = {key: leaf for key, leaf in value.items() if key not in _OF_SUBCLASSES.get(kind, ())}
        yield from _fields(module, name, own, path)
        if kind == "event":
            yield from _object(value["data"]["object"], f"{path}[{value['type']}]")


def _items(items: list[Any], path: str) -> Iterator[str]:
    for index, item in enumerate(items):
        yield from _object(item, f"{path}.data[{index}]")


def _fields(module: str, name: str, value: dict[str, Any], path: str) -> Iterator[str]:
    fields = pinned.classes(module)[name]
    yield from (f"{path}.{key}: unknown field" for key in value.keys() - fields.keys())
    for key, written in fields.items():
        kind = _parsed(written)
        if key in value:
            yield from _value(module, name, kind, value[key], f"{path}.{key}")
        elif not _is(kind, "Optional") and key not in _OFTEN_ABSENT:
            yield f"{path}.{key}: missing"


def _value(module: str, owner: str, kind: ast.expr, value: Any, path: str) -> Iterator[str]:
    if _is(kind, "Optional"):
        if value is not None:
            yield from _value(module, owner, _inside(kind), value, path)
    elif _is(kind, "List"):
        yield from _list(module, owner, _inside(kind), value, path)
    elif _is(kind, "ExpandableField"):
        if not isinstance(value, str):
            yield from _object(value, path, _names(_inside(kind)))
    elif _is(kind, "ListObject"):
        yield from _object(value, path)
    elif _is(kind, "UntypedStripeObject"):
        yield from _untyped(kind, value, path)
    elif words := _words(kind):
        if value not in words:
            yield f"{path}: {value!r} is none of {', '.join(map(str, words))}"
    elif names := _names(kind):
        yield from _object(value, path, names)
    else:
        yield from _plain(module, owner, ast.unparse(kind), value, path)


def _list(module: str, owner: str, kind: ast.expr, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: {value!r} is no list"
        return
    for index, item in enumerate(value):
        yield from _value(module, owner, kind, item, f"{path}[{index}]")


def _untyped(kind: ast.expr, value: Any, path: str) -> Iterator[str]:
    """Free keys, values of one type or of any."""
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
    elif isinstance(kind, ast.Subscript) and (plain := _PLAIN.get(ast.unparse(kind.slice))):
        yield from (
            f"{path}.{key}: {leaf!r} has the wrong type" for key, leaf in value.items() if not isinstance(leaf, plain)
        )


def _plain(module: str, owner: str, kind: str, value: Any, path: str) -> Iterator[str]:
    if kind in ("Any", "object", "UntypedStripeObject"):
        return
    if kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "bool"):
            yield f"{path}: {value!r} is no {kind}"
        return
    scope = owner
    while scope and f"{scope}.{kind}" not in pinned.classes(module):
        scope = scope.rpartition(".")[0]
    if not scope:
        yield f"{path}: the SDK's type {kind} is not found from {owner}"
    elif not isinstance(value, dict):
        yield f"{path}: {value!r} is no {kind}"
    else:
        yield from _fields(module, f"{scope}.{kind}", value, path)


@cache
def _parsed(written: str) -> ast.expr:
    return ast.parse(written, mode="eval").body


def _is(kind: ast.expr, name: str) -> bool:
    return ast.unparse(kind.value if isinstance(kind, ast.Subscript) else kind) == name


def _inside(kind: ast.expr) -> ast.expr:
    assert isinstance(kind, ast.Subscript)
    return kind.slice


def _words(kind: ast.expr) -> list[object]:
    """The words of a Literal, alone or with `str` beside it (other words may come, but none does here)."""
    for node in ast.walk(kind):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
            return [leaf.value for leaf in ast.walk(node.slice) if isinstance(leaf, ast.Constant)]
    return []


def _names(kind: ast.expr) -> tuple[str, ...]:
    """The classes named in quotes, one or a union of them."""
    found = [node.value for node in ast.walk(kind) if isinstance(node, ast.Constant)]
    return tuple(name for name in found if isinstance(name, str))
