"""`make check`: every check that CI runs besides tests; all of them run, even when one fails."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
TYPED_TESTS = Path("tests/typing")


@dataclass(frozen=True)
class Check:
    """One check: a name for the command line, and what it runs."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How one check ended."""

    check: Check
    code: int
    output: str
    seconds: float


def checks() -> list[Check]:
    """All checks, the slow ones first."""
    typed = ["src", "tools", "bench", "chaos"] + ([str(TYPED_TESTS)] if (ROOT / TYPED_TESTS).exists() else [])
    tool = (PYTHON, "-m")
    return [
        Check("pyright", ("basedpyright", "--warnings", "--pythonpath", PYTHON)),
        Check("mypy", (*tool, "mypy", *typed)),
        Check("lint", (*tool, "ruff", "check", ".")),
        Check("format", (*tool, "ruff", "format", "--check", ".")),
        Check("imports", ("lint-imports",)),
        Check("docstrings", ("interrogate", "src")),
        Check("sizes", (*tool, "tools.sizes")),
        Check("schemas", (*tool, "tools.schemas", "--check")),
        Check("hosts", (*tool, "tools.hosts")),
        Check("locks", (*tool, "tools.lock", "--check")),
        Check("dockerfile", ("hadolint", "Dockerfile")),
        Check("compose", ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")),
        Check("scripts", ("sh", "-c", "bash -n .ci/run && for one in tools/*.sh; do sh -n $one || exit 1; done")),
    ]


def run(check: Check) -> Outcome:
    """Run one check from the repository root."""
    began = time.monotonic()
    done = subprocess.run(check.command, cwd=ROOT, capture_output=True, text=True, check=False)
    return Outcome(check, done.returncode, (done.stdout + done.stderr).rstrip(), time.monotonic() - began)


def main() -> int:
    """Entry point; returns the exit code."""
    known = {check.name: check for check in checks()}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(known)}; all when none is given")
    names: list[str] = parser.parse_args().names
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"there is no check named {', '.join(unknown)}; there are {', '.join(known)}")
    with ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = list(pool.map(run, [known[name] for name in names or known]))
    for outcome in outcomes:
        if outcome.code:
            print(f"--- {outcome.check.name}: {' '.join(outcome.check.command)}\n{outcome.output}\n")
    for outcome in outcomes:
        print(f"{'FAILED' if outcome.code else 'ok':<7}{outcome.check.name:<12}{outcome.seconds:5.1f} s")
    return 1 if any(outcome.code for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
