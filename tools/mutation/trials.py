"""One mutant, one process: a copy of this one that imports the changed source instead of the file, and runs the tests.

The process that is copied has loaded what every trial needs, and nothing of the library: a trial takes a fraction of a
second.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Seconds after which a mutant is taken to hang, which is noticed too.
DEADLINE_S = 60


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, in the changed source."""

    def __init__(self, name: str, path: str, source: str) -> None:
        self._name = name
        self._path = path
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, self._path, "exec"), module.__dict__)  # noqa: S102 - the mutant


def warm_up() -> None:
    """Load what the tests need, once for all trials."""
    for name in ("pytest", "hypothesis", "pydantic", "sqlalchemy", "stripe", "attrs", "msgspec"):
        importlib.import_module(name)
    loaded = [name for name in sys.modules if name.partition(".")[0] == "payments_core"]
    assert not loaded, f"the library must not be loaded before a trial: {loaded}"


def is_noticed(name: str, path: str, source: str, arguments: Sequence[str]) -> bool:
    """Whether pytest, called with `arguments`, fails over the module `name` with this source."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os._exit(_trial(name, path, source, arguments))
    _, status = os.waitpid(child, 0)
    return status != 0


def _trial(name: str, path: str, source: str, arguments: Sequence[str]) -> int:
    signal.alarm(DEADLINE_S)
    import pytest

    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, _Changed(name, path, source))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):  # noqa: PTH123
        try:
            return int(pytest.main(["-x", "-q", "--assert=plain", "-p", "no:randomly", "-p", "no:xdist", *arguments]))
        except BaseException:  # noqa: BLE001 - a module that cannot be imported any more is noticed, too
            return 1
