"""What pydantic found wrong, in words that hold nothing of what was sent."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

#: The one field whose keys are the sender's own words; they would stand in pydantic's paths.
_FREE: Final = "metadata"


def reasons(wrong: ValidationError) -> str:
    """The first few problems, each with its field: `data.products[0].price: Input should be a valid integer`."""
    found = wrong.errors(include_url=False, include_context=False, include_input=False)
    return " ".join(f"{_path(one['loc'])}: {one['msg'].removeprefix('Value error, ')}." for one in found[:5])


def _path(loc: tuple[int | str, ...]) -> str:
    if _FREE in loc:
        loc = loc[: loc.index(_FREE) + 1]
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return steps.removeprefix(".") or "the message"
