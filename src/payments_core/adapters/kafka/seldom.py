"""What the client's consumer may say while we use it: each thing once a minute.

With a broker away it tells of every attempt of every connection, several times a second.
"""

from __future__ import annotations

import logging
import time
from typing import Final

_LOUD: Final = ("aiokafka.consumer.consumer", "aiokafka.consumer.fetcher", "aiokafka.consumer.group_coordinator")
_SILENCE_S: Final = 60.0


class Seldom(logging.Filter):
    """Lets a message pass whose template was not seen for a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter."""
        now_s, template = time.monotonic(), str(record.msg)
        if now_s - self._passed_s.get(template, -_SILENCE_S) < _SILENCE_S:
            return False
        self._passed_s[template] = now_s
        return True


_SELDOM: Final = Seldom()


def seldom() -> None:
    """Keep the client's consumer from repeating itself; a logger whose level somebody has set is left alone."""
    for name in _LOUD:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.addFilter(_SELDOM)
