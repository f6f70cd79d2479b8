"""Structured logs: one JSON object a line, or something readable on a terminal.

The library logs through standard `logging`; structlog only renders. What the library puts beside a message (ids,
amounts, codes) becomes keys of the object.
"""

from __future__ import annotations

import logging
import sys

import structlog

#: They tell about themselves, request by request, what the shop's reader has no use for.
_QUIET = ("alembic", "stripe", "aiosqlite", "asyncio", "uvicorn.access", "gunicorn.access", "werkzeug")


def configure(*, human: bool | None = None) -> None:
    """Render every record on standard output. `human`: for eyes rather than machines; by default on a terminal."""
    readable = sys.stdout.isatty() if human is None else human
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if readable
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "gunicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
