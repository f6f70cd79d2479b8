"""Starts the processes that are to be killed: imports everything once, and forks a child for each.

A child is a process like any other, with connections, loop and threads of its own, made after the fork. Only its
imports are shared, which a restart would otherwise spend a second of computing time on. The nursery itself has no
thread, no connection and no loop.

Requests come over a socket: one JSON object `{"role", "spec", "log"}`, with the child's file descriptors attached.
The reply is the child's process id. When the other side is gone the nursery ends, and all its children with it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

#: The roles live there; each is a function of a Spec and the inherited file descriptors.
ROLES: Final = "chaos.roles"
PRELOADED: Final = (
    "aiohttp",
    "aiokafka",
    "payments_core.adapters.kafka.publisher",
    "payments_core.adapters.sql.relaying",
    "aiosqlite",
    "alembic.command",
    "alembic.config",
    "chaos.roles",
    "fastapi",
    "flask",
    "gunicorn.app.base",
    "gunicorn.arbiter",
    "gunicorn.glogging",
    "gunicorn.workers.gthread",
    "payments_core.adapters.sql",
    "payments_fastapi",
    "payments_flask",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.ext.asyncio",
    "uvicorn",
    "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
)
_MAX_FDS: Final = 4
_PR_SET_PDEATHSIG: Final = 1
_MESSAGE: Final = 65536


def main() -> NoReturn:
    """Serve requests until the other side is gone; in a child: be that child."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        importlib.import_module(name)
    # Children are reaped by the kernel: whoever asked for one watches it by a descriptor of its own.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control.send(b"ready")
    run = _serve(control)
    # Out of the loop and down here, so that a child ends as an interpreter does, with all that runs at exit.
    if run is not None:
        run()
    sys.exit(0)


def _serve(control: socket.socket) -> Callable[[], None] | None:
    while True:
        message, fds, _, _ = socket.recv_fds(control, _MESSAGE, _MAX_FDS)
        if not message:
            return None
        request: dict[str, Any] = json.loads(message)
        nursery = os.getpid()
        child = os.fork()
        if child == 0:
            control.close()
            return _born(request, fds, nursery)
        for fd in fds:
            os.close(fd)
        control.send(json.dumps({"pid": child}).encode())


def _born(request: dict[str, Any], fds: list[int], nursery: int) -> Callable[[], None]:
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != nursery:
        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    role = getattr(importlib.import_module(ROLES), request["role"])
    return lambda: role(request["spec"], fds)


if __name__ == "__main__":
    main()
