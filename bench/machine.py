"""Facts of the machine and versions of everything that takes part, for `results.json`."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import peers
from payments_core.adapters.sql.sqlite import journal_mode

_NAMED: Final = ("asyncpg", "fastapi", "flask", "gunicorn", "psycopg", "pydantic-core", "sqlalchemy", "starlette")
_SERVERS: Final = ("stripe", "uvicorn", "uvloop", "httptools")


def facts() -> dict[str, Any]:
    """What a reader needs to judge the figures by. Nothing that names the machine or its user."""
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "load_before": os.getloadavg()[0],
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "kernel": platform.release(),
        },
        "versions": {
            "python": platform.python_version(),
            "sqlite": f"{sqlite3.sqlite_version}, our journal mode {journal_mode()}",
            "postgresql": _said("postgres", "--version"),
            "node": _said("node", "--version"),
            "wrk": _said("wrk", "--version").partition("[")[0].strip(),
            **{name: version for name, version in peers.pins().items() if name in (*_NAMED, *_SERVERS)},
            **{f"dj-stripe's {name}": peers.pins("djstripe")[name] for name in ("dj-stripe", "django", "stripe")},
            **_node_packages(),
        },
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _said(program: str, *arguments: str) -> str:
    """The first line that a program says of itself."""
    found = shutil.which(program) or _debian(program)
    if not found:
        return "not found"
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def _debian(program: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(found[-1]) if found else None


def _node_packages() -> dict[str, str]:
    wanted = json.loads((peers.LOCKS / "node" / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return {f"npm {name}": str(version) for name, version in wanted.items()}
