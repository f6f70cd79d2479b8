"""Keeps modules small: no Python file in `src/` has more than 600 lines."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 600


def lines(path: Path) -> int:
    """The number of lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def main() -> int:
    """Entry point; returns the exit code."""
    sizes = {path.relative_to(ROOT): lines(path) for path in sorted((ROOT / "src").rglob("*.py"))}
    too_long = {path: size for path, size in sizes.items() if size > MOST_LINES}
    for path, size in too_long.items():
        print(f"{path}: {size} lines; the most is {MOST_LINES}: split it by what its parts are about")
    print(f"sizes: {len(sizes)} modules, median {statistics.median(sizes.values() or [0]):.0f} lines")
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
