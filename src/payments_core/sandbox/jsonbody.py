"""The v2 API's JSON bodies, read into the same tree as v1's forms: one set of readers checks both."""

from __future__ import annotations

import json
from typing import cast

from .errors import StripeRefusal
from .form import MAX_DEPTH, MAX_PAIRS, Tree


def decode(body: bytes) -> Tree:
    """A JSON object as a tree; null is Stripe's way to unset here and becomes the empty text.

    Raises StripeRefusal for anything else, for too many values and too deep nesting.
    """
    try:
        value: object = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise StripeRefusal("Invalid request: the body is not valid JSON.") from None
    tree = _Reader().node(value, 1)
    if not isinstance(value, dict) or isinstance(tree, str):
        raise StripeRefusal("Invalid request: the body must be a JSON object.")
    return tree


class _Reader:
    """Counts while it reads: a small body may unfold into no more than a form could hold."""

    def __init__(self) -> None:
        self._left = MAX_PAIRS

    def node(self, value: object, depth: int) -> Tree | str:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise StripeRefusal("Invalid request: the body has too many values or is nested too deeply.")
        if isinstance(value, dict):
            members = cast("dict[str, object]", value)
            return {_plain(name): self.node(member, depth + 1) for name, member in members.items()}
        if isinstance(value, list):
            items = cast("list[object]", value)
            return {str(index): self.node(item, depth + 1) for index, item in enumerate(items)}
        return "" if value is None else _plain(_text(value))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _plain(text: str) -> str:
    """Text without what no parameter may contain."""
    if "\x00" in text or any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise StripeRefusal("Invalid request: text must be valid Unicode without null characters.")
    return text
