"""Where ids come from: injected, so that a seeded sandbox makes the same ids again."""

from __future__ import annotations

import random
import secrets
import string
from typing import Protocol

ALPHABET = string.ascii_letters + string.digits


class IdSource(Protocol):
    """Makes ids that have not been made before.

    Obligations: `new(prefix, length)` returns `prefix` and `length` letters or digits.
    """

    def new(self, prefix: str, length: int) -> str:
        """A fresh id."""
        ...


class RandomIds:
    """Ids from a seeded generator; without a seed they differ from run to run.

    The only secrets among them sign a sandbox's own webhooks.
    """

    def __init__(self, seed: int | None = None, *, starts: int = 0) -> None:
        """`starts`: how often a sandbox with this seed and the same state has run before; its ids are taken."""
        chosen = secrets.randbits(64) if seed is None else seed
        self._random = random.Random(f"{chosen}/{starts}" if starts else chosen)  # noqa: S311 - ids, not keys

    def new(self, prefix: str, length: int) -> str:
        """`prefix` and `length` random letters and digits."""
        return prefix + "".join(self._random.choices(ALPHABET, k=length))
