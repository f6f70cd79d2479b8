"""One reading of JSON, and the exact writing of numbers.

Parsers disagree on duplicate keys, NaN, huge numbers and lone surrogates; whoever checks a body with one parser and
acts on it with another can be fooled (OWASP ASVS 5.0, 1.5.3). This reader refuses all of them. Fractions come out as
`Decimal`, never as float, and `write_json` puts a `Decimal` back as the same JSON number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias, cast

from ..errors import MalformedJson

Json: TypeAlias = "str | int | Decimal | bool | list[Json] | dict[str, Json] | None"

MAX_DEPTH: Final = 32
_MAX_DIGITS: Final = 40


def read_json(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Json:
    """The value in `raw` (UTF-8). Raises MalformedJson for anything two parsers could read differently."""
    try:
        text = raw.decode("utf-8")
        value = cast(Json, _decode(text))
    except UnicodeDecodeError:
        raise MalformedJson("The body is not UTF-8 text.") from None
    except RecursionError:
        raise MalformedJson(f"The body nests deeper than {max_depth} levels.") from None
    except json.JSONDecodeError as wrong:
        raise MalformedJson(f"The body is not JSON: {wrong.msg} (line {wrong.lineno}, column {wrong.colno}).") from None
    # Only an escape can make half of a surrogate pair, and what opens few brackets nests no deeper.
    if "\\u" in text or text.count("{") + text.count("[") > max_depth:
        _check_tree(value, max_depth)
    return value


def write_json(value: object) -> str:
    """Compact JSON text of `value`, decimals as exact numbers (`Decimal("29.90")` gives 29.90)."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{write_json(item)}" for key, item in items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(write_json(item) for item in cast("list[object]", value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _no_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJson("An object in the body has the same key twice.")
    return found


def _no_constant(name: str) -> Json:
    raise MalformedJson(f"{name} is not JSON.")


def _bounded_int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise MalformedJson("A number in the body has too many digits.")
    return int(digits)


def _bounded_decimal(digits: str) -> Decimal:
    if len(digits) > _MAX_DIGITS:
        raise MalformedJson("A number in the body has too many digits.")
    try:
        return Decimal(digits)
    except InvalidOperation:  # an exponent beyond what Decimal can hold
        raise MalformedJson("A number in the body is too large.") from None


#: Made once: `json.loads` makes a decoder for every call that asks for anything else than its defaults.
_decode: Final = json.JSONDecoder(
    object_pairs_hook=_no_duplicates,
    parse_constant=_no_constant,
    parse_int=_bounded_int,
    parse_float=_bounded_decimal,
).decode


def _check_tree(value: Json, max_depth: int) -> None:
    """Depth within bounds, and every string fit for UTF-8 (no lone surrogate), in one walk without recursion."""
    level: list[Json] = [value]
    depth = 0
    while level:
        below: list[Json] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                below.extend(item.keys())
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = below
        depth += 1
        if depth >= max_depth and any(isinstance(item, (dict, list)) for item in level):
            raise MalformedJson(f"The body nests deeper than {max_depth} levels.")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedJson("A string in the body holds half of a surrogate pair.") from None
