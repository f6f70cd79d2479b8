"""Child processes by fork: what a child finds comes back through a pipe, and no child outlives its parent or its time.

A fork costs milliseconds where a fresh interpreter costs most of a second, which is what makes a sweep over every step
affordable. Only processes with a single thread may fork: the campaign is one of its own for that.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Final, NoReturn

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_PTRACER: Final = 0x59616D61
_ANYBODY: Final = ctypes.c_ulong(-1)
#: How a child says that its work raised: what it wrote to stderr is the reason.
_RAISED: Final = 70


def die_with_parent(*, limit_s: int) -> None:
    """Have the kernel end this process when its parent ends, and in any case after `limit_s` seconds."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Where the kernel restricts tracing, strace may be no child's parent and still look at it.
    libc.prctl(_PR_SET_PTRACER, _ANYBODY)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(limit_s)


class Child:
    """A forked process that runs `work` and answers with its result, which must be JSON."""

    def __init__(self, work: Callable[[], Any], *, limit_s: int = 60) -> None:
        read_end, write_end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(read_end)
            _run(work, write_end, limit_s)
        os.close(write_end)
        self._answer = read_end
        self._deadline = time.monotonic() + limit_s + 5
        self._status: int | None = None

    def result(self) -> Any:
        """Wait for its end; what it answered, or None for a child that was killed. Raises when its work did."""
        answer = self._read()
        status = self.wait()
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == _RAISED:
            raise RuntimeError("a child process failed; its error is above")
        return json.loads(answer) if answer else None

    def wait(self) -> int:
        """Wait for its end; the wait status."""
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
        return self._status

    def wait_stopped(self) -> bool:
        """Wait until it is stopped by a signal (True) or has ended (False)."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        self._status = status
        return False

    def go_on(self) -> None:
        """Continue a stopped child."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def _read(self) -> bytes:
        chunks: list[bytes] = []
        while True:
            left_s = self._deadline - time.monotonic()
            ready, _, _ = select.select([self._answer], [], [], max(0.0, left_s))
            if not ready:
                self.kill()
                os.close(self._answer)
                raise TimeoutError(f"process {self.pid} did not end in time")
            chunk = os.read(self._answer, 65536)
            if not chunk:
                os.close(self._answer)
                return b"".join(chunks)
            chunks.append(chunk)


def _run(work: Callable[[], Any], answer_to: int, limit_s: int) -> NoReturn:
    code = _RAISED
    try:
        die_with_parent(limit_s=limit_s)
        answer = json.dumps(work()).encode()
        while answer:
            answer = answer[os.write(answer_to, answer) :]
        code = 0
    except BaseException:  # noqa: BLE001 - a child must end here, whatever happened, and not run on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
