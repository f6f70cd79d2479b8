"""The official schema of AsyncAPI 3.1.0, from the npm package that its makers publish.

The lock in `tools/asyncapi` pins version and integrity; npm refuses another file. It is kept in `.cache/asyncapi`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
LOCK: Final = ROOT / "tools" / "asyncapi"
CACHE: Final = ROOT / ".cache" / "asyncapi"
_FILE: Final = Path("node_modules/@asyncapi/specs/schemas/3.1.0.json")


class CannotFetch(Exception):
    """The schema is not here and cannot be brought; the message says why and what would change that."""


def official_schema() -> dict[str, Any]:
    """The schema, fetched on first use. Raises CannotFetch."""
    wanted = (LOCK / "package-lock.json").read_text(encoding="utf-8")
    stamp = CACHE / ".made-from"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        _fetch()
        stamp.write_text(wanted, encoding="utf-8")
    schema: dict[str, Any] = json.loads((CACHE / _FILE).read_text(encoding="utf-8"))
    return schema


def _fetch() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotFetch("npm was not found; install it (Debian: apt-get install npm)")
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCK / name, CACHE / name)
    command = (npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    try:
        done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=False, timeout=90)
    except subprocess.TimeoutExpired:
        raise CannotFetch("npm did not answer in 90 s; is there a network?") from None
    if done.returncode:
        raise CannotFetch(f"npm ci failed: {(done.stderr or done.stdout).strip()[-200:]}")
