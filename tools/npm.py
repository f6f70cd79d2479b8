"""Packages from npm that tests need, each group pinned by a lock in `tools/<group>`: version and integrity, no address.

npm refuses another file. What was fetched is kept in `.cache/<group>`, until the lock changes.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
WAIT_S: Final = 180


class CannotFetch(Exception):
    """The packages are not here and cannot be brought; the message says why and what would change that."""


def installed(group: str) -> Path:
    """The folder `node_modules` of a group, fetched on first use by one process alone. Raises CannotFetch."""
    lock, cache = ROOT / "tools" / group, ROOT / ".cache" / group
    wanted = (lock / "package-lock.json").read_text(encoding="utf-8")
    stamp = cache / ".made-from"
    cache.parent.mkdir(parents=True, exist_ok=True)
    with (cache.parent / f"{group}.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            _fetch(lock, cache)
            stamp.write_text(wanted, encoding="utf-8")
    return cache / "node_modules"


def _fetch(lock: Path, cache: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotFetch("npm was not found; install it (Debian: apt-get install npm)")
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(lock / name, cache / name)
    command = (npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    try:
        done = subprocess.run(command, cwd=cache, capture_output=True, text=True, check=False, timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        raise CannotFetch(f"npm did not answer in {WAIT_S} s; is there a network?") from None
    if done.returncode:
        raise CannotFetch(f"npm ci failed: {(done.stderr or done.stdout).strip()[-200:]}")
