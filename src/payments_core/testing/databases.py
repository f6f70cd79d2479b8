"""A database per test that costs a file's copy: migrated once, and kept in memory where the system offers that."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: Linux keeps this folder in memory: nothing waits for a disk there.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - looked at, and used through tempfile


class Databases:
    """Fresh SQLite databases of one test session, with the library's schema."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._template: Path | None = None

    @contextmanager
    def fresh(self) -> Generator[str]:
        """The URL of an empty database, which is deleted afterwards."""
        file = self._folder / f"payments-{next(self._numbers)}.db"
        shutil.copyfile(self._made(), file)
        try:
            yield f"sqlite:///{file}"
        finally:
            for left in self._folder.glob(f"{file.name}*"):
                left.unlink(missing_ok=True)

    def _made(self) -> Path:
        if self._template is None:
            from payments_core.adapters.sql import upgrade

            file = self._folder / "template.db"
            upgrade(f"sqlite:///{file}")
            self._template = file
        return self._template


@contextmanager
def databases() -> Generator[Databases]:
    """Databases in a folder of their own, which is deleted afterwards."""
    parent = _MEMORY if _MEMORY.is_dir() and _is_writable(_MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="payments-core-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Databases(Path(folder))


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
