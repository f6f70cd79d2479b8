"""From pydantic's list of errors to ours: a path as the client wrote it, and a sentence for a human.

Pydantic's own messages quote input and name Python types; none of them goes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from payments_core.errors import FieldProblem
from payments_core.http.fields import PROBLEM

MAX_PROBLEMS: Final = 50
_SHOWN_KEY_CHARS: Final = 40
_UNSHOWN = re.compile(r"[^\x20-\x7e]")

_SENTENCES: Final = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} entry",
    "too_long": "must have at most {max_length} entries",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "literal_error": "must be {expected}",
}


def problems_of(errors: Iterable[Mapping[str, Any]]) -> tuple[FieldProblem, ...]:
    """What pydantic found, given its `errors()`: each field once, at most fifty."""
    found: dict[str, FieldProblem] = {}
    for error in errors:
        path = path_of(error["loc"])
        found.setdefault(path, FieldProblem(path, _sentence(error)))
        if len(found) == MAX_PROBLEMS:
            break
    return tuple(found.values())


def path_of(location: Iterable[int | str]) -> str:
    """`("products", 0, "price")` as `products[0].price`. A key that the client made up is shortened."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            shown = _UNSHOWN.sub("?", part[:_SHOWN_KEY_CHARS])
            path += f".{shown}" if path else shown
    return path


def _sentence(error: Mapping[str, Any]) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    if error["type"] == PROBLEM:
        return str(context["message"])
    return _SENTENCES.get(error["type"], "cannot be used").format_map(context)
