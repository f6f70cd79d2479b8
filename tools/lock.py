"""The hash-pinned locks in `requirements/`: write them, or check without a network that they still fit.

`build` builds the project; `demo` is what `make demo` and the container image run with; `dev` adds what tests and
checks need, `docs` what builds the documentation. The later ones are constrained by the earlier, so that all of them
install into one environment.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
GROUPS = {"build": ("build",), "demo": ("demo",), "dev": ("demo", "test", "check"), "docs": ("docs",)}
OF_PROJECT = ("demo", "dev")
NOT_IN_DEMO = frozenset({"testing"})
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


class Pyproject(NamedTuple):
    """The tables of `pyproject.toml` that say what is to be installed."""

    project: dict[str, Any]
    groups: dict[str, list[str]]


def _project() -> Pyproject:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return Pyproject(document["project"], document["dependency-groups"])


def _extras(lock: str) -> list[str]:
    if lock not in OF_PROJECT:
        return []
    extras = _project().project.get("optional-dependencies", {})
    return sorted(extra for extra in extras if lock != "demo" or extra not in NOT_IN_DEMO)


def write(lock: str, *, upgrade: bool) -> None:
    """Resolve one lock for every supported Python and platform; asks the package index."""
    target = FOLDER / f"{lock}.txt"
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
    ]
    command += ["--generate-hashes", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command += ["--no-header", "--output-file", str(target)]
    command += [f"--extra={extra}" for extra in _extras(lock)]
    if upgrade:
        command.append("--upgrade")
    names = list(GROUPS)
    for earlier in names[: names.index(lock)]:
        command += ["--constraint", str(FOLDER / f"{earlier}.txt")]
    command += [f"--group={group}" for group in GROUPS[lock]]
    if lock in OF_PROJECT:
        command.append("pyproject.toml")
    subprocess.run(command, check=True, cwd=ROOT)


def pins(lock: str) -> dict[str, list[str]]:
    """The versions that a lock names for each package: more than one where they differ by Python version."""
    found: dict[str, list[str]] = {}
    for name, version in PIN.findall((FOLDER / f"{lock}.txt").read_text(encoding="utf-8")):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def _wanted(lock: str) -> list[str]:
    project, groups = _project()
    wanted: list[str] = list(project["dependencies"]) if lock in OF_PROJECT else []
    for extra in _extras(lock):
        wanted += project["optional-dependencies"][extra]
    for group in GROUPS[lock]:
        wanted += groups[group]
    return wanted


def complaints(lock: str) -> list[str]:
    """What `pyproject.toml` asks for and the lock does not give."""
    given = pins(lock)
    found: list[str] = []
    for text in _wanted(lock):
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) == "payments-core":
            continue
        versions = given.get(canonicalize_name(requirement.name), [])
        if not any(requirement.specifier.contains(version, prereleases=True) for version in versions):
            found.append(f"requirements/{lock}.txt has {versions or 'no version'} for '{text}'; run 'make lock'")
    return found


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write or check the locks in requirements/.")
    parser.add_argument("--check", action="store_true", help="only compare with pyproject.toml, offline")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    arguments = parser.parse_args()
    if arguments.check:
        found = [line for lock in GROUPS for line in complaints(lock)]
        print("\n".join(found) or "locks: up to date")
        return 1 if found else 0
    for lock in GROUPS:
        write(lock, upgrade=arguments.upgrade)
        print(f"wrote requirements/{lock}.txt: {len(pins(lock))} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
