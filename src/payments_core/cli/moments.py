"""Times on the command line: read as people write them (`7d` ago, ISO 8601), shown in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_YEAR: Final = timedelta(days=366)
_DURATION: Final = re.compile(r"([0-9]{1,8})([smhdw])")
_SECONDS: Final = (("d", 86_400), ("h", 3_600), ("m", 60))


def moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """A click callback: how long ago, or a date or time in ISO 8601 (UTC where it names no zone), as aware UTC."""
    if value is None:
        return None
    ago = _duration(value)
    try:
        if ago is not None:
            return datetime.now(UTC) - ago
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time; write how long ago it was (90s, 30m, 2h, 7d, 4w), or 2026-11-23T10:30Z."
        ) from None


def past(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """A click callback: the same, and not in the future."""
    found = moment(ctx, param, value)
    if found is not None and found > datetime.now(UTC):
        raise click.BadParameter(f"{value!r} lies in the future.")
    return found


def duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> timedelta | None:
    """A click callback: a length of time, longer than none and no longer than a year."""
    if value is None:
        return None
    found = _duration(value)
    if not found:
        raise click.BadParameter(f"{value!r} is no length of time; write it as 90s, 30m, 2h, 7d or 4w.")
    if found > _YEAR:
        raise click.BadParameter(f"{value!r} is too long; a year is the most.")
    return found


def clock(at: datetime) -> str:
    """A time in UTC, to the second, without its zone."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def span(seconds: float) -> str:
    """A length of time in its largest unit of which it has at least two: 90s, 116m, 26h, 3d."""
    for unit, size in _SECONDS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(max(0.0, seconds))}s"


def _duration(value: str) -> timedelta | None:
    """A length of time as written, None for anything else."""
    found = _DURATION.fullmatch(value)
    try:
        return timedelta(**_in_units(found)) if found is not None else None
    except OverflowError:
        return None


def _in_units(found: re.Match[str]) -> dict[str, Any]:
    return {_UNITS[found[2]]: int(found[1])}
