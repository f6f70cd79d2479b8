"""What the candidates run in: environments under `.cache/bench`, made from the locks in `bench/peers`.

Every file is checked against its hash. Our own candidates run in the same environment as the Python peers, so that all
have the same framework, server and driver.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from bench.measured import CannotMeasure

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache" / "bench"
LOCKS: Final = Path(__file__).with_name("peers")


def python(name: str = "python") -> Path:
    """The interpreter of a Python environment (`python` or `djstripe`), made on first use. Raises CannotMeasure."""
    folder, locks = CACHE / name, python_locks(name)

    def make() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        _run("making a virtual environment", sys.executable, "-m", "venv", str(folder))
        pip = (str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
        for lock in locks:
            wheels = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement", str(lock))
            _run(f"installing {lock.relative_to(ROOT)}", *pip, "install", *wheels)

    _once(folder, sys.version + "".join(lock.read_text(encoding="utf-8") for lock in locks), make)
    return folder / "bin" / "python"


def python_locks(name: str) -> tuple[Path, ...]:
    """What is installed into a Python environment; our own candidates' starts from the project's own lock."""
    own = LOCKS / name / "requirements.txt"
    return (ROOT / "requirements" / "demo.txt", own) if name == "python" else (own,)


def node() -> tuple[str, Path]:
    """Node.js and the folder that holds its candidates beside their packages. Raises CannotMeasure."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        raise CannotMeasure("Node.js was not found; install it with npm (Debian: apt-get install nodejs npm)")
    folder, lock = CACHE / "node", LOCKS / "node" / "package-lock.json"

    def make() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LOCKS / "node" / name, folder / name)
        _run("installing the Node.js peers", npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)

    _once(folder, lock.read_text(encoding="utf-8"), make)
    # Packages are looked for beside the file that imports them.
    shutil.copy(Path(__file__).parent / "candidates" / "hono.mjs", folder / "hono.mjs")
    return program, folder


def pins(name: str = "python") -> dict[str, str]:
    """The versions in a Python environment, by its locks."""
    lines = [line for lock in python_locks(name) for line in lock.read_text(encoding="utf-8").splitlines()]
    wanted = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalpha()]
    return {
        one.name: str(one.specifier).removeprefix("==") for one in wanted if one.marker is None or one.marker.evaluate()
    }


def _once(folder: Path, wanted: str, make: Callable[[], None]) -> None:
    stamp = folder / ".made-from"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    make()
    stamp.write_text(wanted, encoding="utf-8")


def _run(what: str, *command: str, cwd: Path = ROOT) -> None:
    print(f"{what} …", file=sys.stderr, flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=dict(os.environ))
    if done.returncode:
        raise CannotMeasure(f"{what} failed: {(done.stderr or done.stdout).strip()[-300:]}")
