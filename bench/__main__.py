"""Command line: `python -m bench [--only T2,T5] [--rounds N] [--seconds S]`.

Exits with 0 also when targets fall short, which it says plainly, and with 1 when a measurement failed.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.machine import facts
from bench.measured import CannotMeasure, Claim, Measure, Measured, MeasurementFailed, judge
from bench.measures import MEASURES
from bench.report import document, summary, table, write
from bench.stage import Stage, stage

_RESULTS: Final = Path(__file__).with_name("results.json")


def main() -> int:
    """Entry point; returns the exit code."""
    targets = tuple(dict.fromkeys(target for measure in MEASURES for target in measure.targets))
    parser = argparse.ArgumentParser(prog="bench", description="Measure the performance targets beside the peers.")
    parser.add_argument("--only", default="", metavar="T2,T5", help=f"of {', '.join(targets)}; all when none is given")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of every measurement (5)")
    parser.add_argument("--seconds", type=int, default=3, metavar="S", help="length of a candidate's round (3)")
    parser.add_argument("--output", type=Path, default=_RESULTS, help="where the JSON goes (bench/results.json)")
    given = parser.parse_args()
    only = [name for name in given.only.split(",") if name]
    unknown = sorted(set(only) - set(targets))
    if unknown or given.rounds < 1 or given.seconds < 1:
        parser.error(f"there is no target {', '.join(unknown)}" if unknown else "--rounds and --seconds start at 1")
    known = facts()
    with stage(given.rounds, given.seconds) as made:
        done, failures = measure_all(made, [one for one in MEASURES if not only or set(only) & set(one.targets)])
    verdicts = [judge(claim, measured) for one, measured in done for claim in one.claims if _asked(claim, only)]
    settings = {"rounds": given.rounds, "seconds": given.seconds}
    write(given.output, document({**known, "settings": settings}, done, verdicts, failures))
    print(f"\n{table(verdicts)}\n\n{summary(verdicts, failures)}\n{given.output} has every round.")
    return 1 if failures else 0


def measure_all(made: Stage, measures: Sequence[Measure]) -> tuple[list[tuple[Measure, Measured]], dict[str, str]]:
    """Run them one after another; a failure ends its own measure only."""
    done: list[tuple[Measure, Measured]] = []
    failures: dict[str, str] = {}
    for one in measures:
        try:
            done.append((one, one.run(made)))
        except CannotMeasure as reason:
            done.append((one, Measured((), dict.fromkeys(_names(one.claims), str(reason)))))
        except MeasurementFailed as failure:
            failures[one.name] = str(failure)
        except Exception as failure:  # noqa: BLE001 - hours of other measurements do not end with this one
            failures[one.name] = "".join(traceback.format_exception(failure))
        if one.name in failures:
            made.say(f"{one.name} failed")
    return done, failures


def _asked(claim: Claim, only: Sequence[str]) -> bool:
    return not only or claim.target in only


def _names(claims: Sequence[Claim]) -> tuple[str, ...]:
    return tuple(name for claim in claims for name in (claim.ours, claim.peer) if name)


if __name__ == "__main__":
    sys.exit(main())
