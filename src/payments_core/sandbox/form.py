"""Stripe's v1 form encoding, read back into a tree.

`line_items[0][price]=x` may come with literal or percent-encoded brackets, with indexes or with `[]`. The result is
a tree of dicts with text leaves; a list is a dict whose keys are its indexes. Which of them a parameter must be is
decided where it is read (`params`), since the encoding itself cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode

from .errors import StripeRefusal

Tree: TypeAlias = "dict[str, Tree | str]"

MAX_PAIRS = 10_000
MAX_DEPTH = 12
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_SEGMENT = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> Tree:
    """Decode `application/x-www-form-urlencoded` text; a repeated scalar takes its last value.

    Raises StripeRefusal for malformed keys, too many pairs or too deep nesting, and for a key used both as a value
    and as a container.
    """
    tree: Tree = {}
    for name, value in _pairs(text):
        _place(tree, _segments(name), value, name)
    return tree


def encode(tree: Tree) -> str:
    """The text that `decode` reads back into this tree."""
    return urlencode(list(_leaves(tree, "")))


def _leaves(tree: Tree, path: str) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{path}[{key}]" if path else key
        if isinstance(value, str):
            yield name, value
        else:
            yield from _leaves(value, name)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=False, max_num_fields=MAX_PAIRS, errors="strict")
    except UnicodeDecodeError:
        raise StripeRefusal("Invalid request: the parameters are not valid UTF-8.") from None
    except ValueError:
        raise StripeRefusal(f"Invalid request: more than {MAX_PAIRS} parameters.") from None
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise StripeRefusal("Invalid request: parameters must not contain null bytes.")
    yield from pairs


def _segments(name: str) -> list[str]:
    found = _KEY.fullmatch(name)
    if found is None:
        raise StripeRefusal(f"Invalid request: cannot read the parameter name {name[:80]!r}.")
    segments = [found[1], *_SEGMENT.findall(found[2])]
    if len(segments) > MAX_DEPTH:
        raise StripeRefusal("Invalid request: the parameters are nested too deeply.")
    return segments


def _place(tree: Tree, segments: list[str], value: str, name: str) -> None:
    node = tree
    for position, segment in enumerate(segments[:-1]):
        child = node.setdefault(_index(node, segment, segments[position + 1 :]), {})
        if isinstance(child, str):
            raise StripeRefusal(f"Invalid request: {name} is given both as a value and as an object.")
        node = child
    last = _index(node, segments[-1], [])
    if isinstance(node.get(last), dict):
        raise StripeRefusal(f"Invalid request: {name} is given both as a value and as an object.")
    node[last] = value


def _index(node: Tree, segment: str, rest: list[str]) -> str:
    """The key for a segment: `[]` appends, but keeps filling the last object while its next key is still free."""
    if segment:
        return segment
    latest = node.get(str(len(node) - 1))
    if rest and isinstance(latest, dict) and rest[0] and rest[0] not in latest:
        return str(len(node) - 1)
    return str(len(node))
