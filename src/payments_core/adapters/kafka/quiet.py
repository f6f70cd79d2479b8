"""What the client's own loggers may say while we use it.

They tell of every attempt on a broker that is down, several times a second, and at DEBUG they quote what is sent. What
comes of it is said once by who uses the client here.
"""

from __future__ import annotations

import logging
from typing import Final

_LOUD: Final = ("aiokafka", "aiokafka.cluster", "aiokafka.conn", "aiokafka.producer.sender")


def quiet() -> None:
    """Silence them; a logger whose level somebody has set is left alone."""
    for name in _LOUD:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            # A filter, since a level would be inherited by the consumer's loggers.
            logger.addFilter(_nothing_below_critical)


def _nothing_below_critical(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.CRITICAL
