"""What befalls a handler: it is frozen in the middle, it raises, it takes its process down, it hangs.

Which payment is befallen follows from its number alone, so that every attempt at it meets the same. What happened is
noted in a file, which no rollback takes back.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Final

from attrs import frozen

#: A process frozen while it asks Stripe, before its transaction; and in the handler, with its transaction open.
FROZEN_ASKING: Final = "frozen-asking"
FROZEN_INSIDE: Final = "frozen-inside"
POISON: Final = "poison"
POISONS: Final = ("raises", "aborts", "hangs")
#: One payment in a hundred is poison.
ONE_IN: Final = 100
#: After so long a watchdog ends a process whose handler hangs.
_WATCHDOG_S: Final = 0.2


class Poisoned(Exception):
    """What a poisoned handler raises."""


@frozen
class Trouble:
    """`kind` is one of the above, or empty for none; `notes` is the folder for what happened."""

    kind: str
    notes: str

    def asking(self) -> None:
        """Stripe is asked, with the event leased and no transaction open."""
        if self.kind == FROZEN_ASKING:
            _freeze()

    def before(self, number: int) -> None:
        """The handler of payment `number` begins."""
        if self.kind == POISON and poison_of(number):
            note(Path(self.notes) / "runs", f"{number}")

    def strike(self, number: int) -> None:
        """The handler of payment `number` has written its row."""
        if self.kind == FROZEN_INSIDE:
            _freeze()
        elif self.kind == POISON:
            _poison(poison_of(number))


def poison_of(number: int) -> str:
    """How the handler of payment `number` fails; empty for a healthy one."""
    rank, rest = divmod(number, ONE_IN)
    return POISONS[rank % len(POISONS)] if rest == ONE_IN // 2 else ""


def note(path: Path, line: str) -> None:
    """Append a line in one write, which stands whatever becomes of the process."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def _freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _poison(how: str) -> None:
    if how == "raises":
        raise Poisoned
    if how == "aborts":
        os.abort()
    if how == "hangs":
        # A watchdog is the deployment's: here it is an alarm that ends the process.
        signal.setitimer(signal.ITIMER_REAL, _WATCHDOG_S)
        threading.Event().wait()
