"""Long runs on the command line: how far they are, and their end by SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TextIO

import click

from payments_core import Payments
from payments_core.adapters.sql import schema
from payments_core.cli.lines import silence
from payments_core.domain.drift import Drift
from payments_core.domain.reconciliation import Step
from payments_core.drive import run_blocking
from payments_core.errors import PaymentsError

_TENTH: Final = 10


class Onlooker:
    """A Watch that writes to `stream`: one line that moves on a terminal, else a line at every tenth of the way.

    `words` puts a step's counts in words. `tell` is called with every difference that is found.
    """

    def __init__(
        self, stream: TextIO, words: Callable[[Step], str], tell: Callable[[Drift], None] = lambda drift: None
    ) -> None:
        self.leave = threading.Event()
        self._stream = stream
        self._words = words
        self._tell = tell
        self._moves = stream.isatty()
        self._shown = ("", -1)

    @property
    def is_over(self) -> bool:
        """Whether somebody asked the run to end."""
        return self.leave.is_set()

    def came(self, step: Step) -> None:
        """Show how far it is."""
        line = f"{step.what.replace('_', ' ')}s: {int(step.share * 100)} % ({self._words(step)})"
        if self._moves:
            self._write(f"\r\x1b[2K{line}")
        elif self._shown != (step.what, int(step.share * _TENTH)):
            self._shown = (step.what, int(step.share * _TENTH))
            self._write(f"{line}\n")

    def found(self, drift: Drift) -> None:
        """Tell a difference."""
        self.clear()
        self._tell(drift)

    def clear(self) -> None:
        """Take the moving line away."""
        if self._moves:
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        """Nobody looking on is no reason to end the run."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            silence(self._stream)


@contextmanager
def leaving_on_signals(onlooker: Onlooker) -> Generator[None]:
    """Let SIGINT and SIGTERM end the run after the page in hand; a second one ends it at once."""

    def asked_to_leave(number: int, _frame: FrameType | None) -> None:
        onlooker.leave.set()
        signal.signal(number, signal.SIG_DFL)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, asked_to_leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def opened() -> Generator[Payments]:
    """The payments of the environment with their store ready, closed at the end. A missing schema is not made.

    Nothing is handled here: the application's handlers are in its own processes. An error of the library becomes one
    sentence on stderr and exit code 1.
    """
    try:
        payments = Payments.from_env(runner=False)
        try:
            # Told in a wrong folder, not obeyed: a new, empty file would be compared, or be brought what was missed.
            schema.check(payments.core.settings.payments_database_url.get_secret_value())
            run_blocking(payments.core.store.prepare())
            yield payments
        finally:
            payments.close()
    except PaymentsError as error:
        raise click.ClickException(str(error)) from None


def counted(counts: dict[str, int]) -> str:
    """`3 sessions, 1 refund`; kinds that did not come up are left out."""
    words = [
        f"{count:,} {kind.replace('_', ' ')}{'' if count == 1 else 's'}" for kind, count in counts.items() if count
    ]
    return ", ".join(words) or "nothing"


def onlooker_on_stderr(words: Callable[[Step], str], tell: Callable[[Drift], None] = lambda drift: None) -> Onlooker:
    """The usual one."""
    return Onlooker(sys.stderr, words, tell)
