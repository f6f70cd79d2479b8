"""Runs the mutants and prints the share of them that a test notices, for each module; fails under the least share."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from tools.mutation.leftovers import mutants, used_at_import
from tools.mutation.trials import is_noticed, warm_up

ROOT = Path(__file__).resolve().parents[2]
LEAST_PERCENT = 85
#: mutmut's codes for a mutant that nobody noticed: the tests passed, there is no test, it was never tried.
_UNNOTICED = (0, 5, 33, None)


@dataclass
class Score:
    """How many mutants of a module there were, and those that no test noticed."""

    module: str
    tried: int = 0
    unnoticed: list[str] = field(default_factory=list[str])

    @property
    def percent(self) -> float:
        """The share that was noticed."""
        return 100 * (self.tried - len(self.unnoticed)) / self.tried if self.tried else 0.0


def main() -> int:
    """Entry point; returns the exit code."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    paths: list[str] = config["only_mutate"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "modules", nargs="*", metavar="module", help="a part of a path, as pricing; all when none is given"
    )
    parser.add_argument("--unnoticed", action="store_true", help="show each mutant that no test noticed")
    options = parser.parse_args()
    chosen = [path for path in paths if not options.modules or any(part in path for part in options.modules)]
    if not chosen:
        parser.error(f"no such module; there are {', '.join(paths)}")
    arguments: list[str] = config["pytest_add_cli_args"]
    tests: list[str] = config["pytest_add_cli_args_test_selection"]
    scores = {path: Score(path) for path in chosen}
    _inside_functions(scores)
    _elsewhere(scores, arguments, tests)
    return _report(list(scores.values()), show=options.unnoticed)


def _inside_functions(scores: dict[str, Score]) -> None:
    """Let mutmut do its part, and read what became of each of its mutants."""
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    names = [f"{_dotted(path)}.*" for path in scores]
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    for path, score in scores.items():
        found = ROOT / "mutants" / f"{path}.meta"
        if done.returncode or not found.exists():
            sys.exit(f"mutmut ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        at_import = used_at_import((ROOT / path).read_text("utf-8"))
        for name, code in json.loads(found.read_text("utf-8"))["exit_code_by_key"].items():
            # In a function that ran before mutmut could switch its mutant on; `_elsewhere` does these.
            if name.rpartition("__mutmut_")[0].rpartition(".x_")[2] in at_import:
                continue
            score.tried += 1
            if code in _UNNOTICED:
                score.unnoticed.append(f"mutmut show {name}")


def _elsewhere(scores: dict[str, Score], options: list[str], tests: list[str]) -> None:
    """Try the mutants that mutmut does not make; the tests named after the module come first."""
    warm_up()
    for path, score in scores.items():
        source = (ROOT / path).read_text("utf-8")
        arguments = [*options, *sorted(tests, key=lambda test: f"test_{Path(path).name}" not in test)]
        if is_noticed(_dotted(path), str(ROOT / path), source, arguments):
            sys.exit(f"the tests fail over {path} as it is: python -m pytest {' '.join(arguments)}")
        for mutant in mutants(source):
            score.tried += 1
            if not is_noticed(_dotted(path), str(ROOT / path), mutant.source, arguments):
                score.unnoticed.append(f"{path}:{mutant.line}: {mutant.change}")
            if sys.stderr.isatty():
                print(f"\r{path}: {score.tried} tried, {len(score.unnoticed)} unnoticed ", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)


def _dotted(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".")


def _report(scores: list[Score], *, show: bool) -> int:
    if show:
        for score in scores:
            print(*score.unnoticed, sep="\n")
    print(f"{'module':<45}{'mutants':>8}{'noticed':>9}{'share':>9}")
    for score in scores:
        noticed = score.tried - len(score.unnoticed)
        print(f"{score.module:<45}{score.tried:>8}{noticed:>9}{score.percent:>8.1f}%")
    low = [score.module for score in scores if score.percent < LEAST_PERCENT]
    if low:
        print(f"under {LEAST_PERCENT} %: {', '.join(low)}; --unnoticed shows which mutants no test noticed")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
