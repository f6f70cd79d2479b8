"""`make chaos`: runs the scenarios and prints what was counted; `--scale short` is what `make test` runs."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

from attrs import evolve, frozen

from chaos.processes import ROOT
from chaos.registry import SCENARIOS
from chaos.scenario import CannotRun, Result, Scale, Scenario, Setup
from tools.services import SERVICES, Service, ServiceUnavailable, ensure, running, stop

STATE: Final = ROOT / ".chaos"
_POSTGRES: Final = SERVICES["postgres"]
_KAFKA: Final = SERVICES["kafka"]


@frozen
class Outcome:
    """How one scenario ended; `result` is None when it could not run or was stuck, for the reason in `trouble`."""

    scenario: Scenario
    seconds: float
    result: Result | None = None
    trouble: str = ""
    could_run: bool = True

    @property
    def word(self) -> str:
        """One word for the table."""
        if not self.could_run:
            return "DID NOT RUN"
        return "held" if self.result is not None and self.result.holds else "BROKEN"

    def document(self) -> dict[str, Any]:
        """For results.json."""
        result = self.result
        return {
            "scenario": self.scenario.name,
            "outcome": self.word,
            "seconds": round(self.seconds, 1),
            "figures": dict(result.figures) if result else {},
            "broken": list(result.broken) if result else [self.trouble],
        }


def main() -> int:
    """Entry point; the exit code."""
    arguments = _parser().parse_args()
    # So that what was started is ended, whoever asks.
    signal.signal(signal.SIGTERM, _leave)
    if arguments.list:
        for scenario in SCENARIOS:
            print(f"{scenario.name:<26}{scenario.about}")
        return 0
    chosen = [one for one in SCENARIOS if not arguments.only or one.name in arguments.only]
    seed = secrets.randbelow(10**6) if arguments.seed is None else int(arguments.seed)
    print(f"seed {seed} (repeat with --seed {seed})", flush=True)
    with suppress(FileNotFoundError):
        (STATE / "results.json").unlink()
    server, ours = _server(_POSTGRES)
    needs_kafka = any(one.name.startswith(("relay-", "consumer-")) for one in chosen)
    brokers, ours_too = _server(_KAFKA) if needs_kafka else (None, False)
    setup = Setup(seed, Scale(arguments.scale), Path(), server, arguments.mutant, brokers)
    try:
        outcomes = [_ran(one, setup) for one in chosen]
    finally:
        if ours:
            stop(_POSTGRES, STATE)
        if ours_too:
            stop(_KAFKA, STATE)
    _write(seed, arguments.scale, outcomes)
    _print_table(outcomes)
    return 0 if all(one.word == "held" for one in outcomes) else 1


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)


def _parser() -> argparse.ArgumentParser:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, default=[], help="run these alone")
    parser.add_argument("--scale", choices=list(Scale), default=Scale.LONG, help="seconds, or what is promised")
    parser.add_argument("--seed", type=int, help="a number; random when none is given")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--mutant", default=os.environ.get("CHAOS_MUTANT"), help="plant this fault, to see it noticed")
    return parser


def _server(service: Service) -> tuple[str | None, bool]:
    """A server's URL, and whether it was started here: the one that is named, the one that runs, or a new one."""
    given = os.environ.get(service.variable)
    if given:
        return given, False
    found = running(service, ROOT / ".services")
    if found is not None:
        return found.url, False
    try:
        return ensure(service, STATE)[0].url, True
    except ServiceUnavailable as reason:
        print(f"no {service.name}: {reason}", flush=True)
        return None, False


def _ran(scenario: Scenario, setup: Setup) -> Outcome:
    print(f"{scenario.name}: {scenario.about}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{scenario.name}-"))
    # A server that is not run as root must find its way in.
    folder.chmod(0o711)
    began = time.monotonic()
    result, trouble, could_run = None, "", True
    missing = [program for program in scenario.needs if shutil.which(program) is None]
    try:
        if missing:
            raise CannotRun(f"{', '.join(missing)} is not installed")
        result = scenario.run(evolve(setup, folder=folder))
    except CannotRun as reason:
        trouble, could_run = str(reason), False
    except Exception as error:  # noqa: BLE001 - the next scenario runs all the same
        trouble = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    outcome = Outcome(scenario, time.monotonic() - began, result, trouble, could_run)
    _tell(outcome, folder)
    return outcome


def _tell(outcome: Outcome, folder: Path) -> None:
    print(f"{outcome.scenario.name}: {outcome.word} after {outcome.seconds:.1f} s", flush=True)
    for sentence in outcome.document()["broken"]:
        print(f"  {sentence}", flush=True)
    if outcome.word == "held":
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"  what the processes said: {folder}", flush=True)


def _write(seed: int, scale: str, outcomes: Sequence[Outcome]) -> None:
    STATE.mkdir(exist_ok=True)
    document = {"seed": seed, "scale": scale, "scenarios": [one.document() for one in outcomes]}
    (STATE / "results.json").write_text(json.dumps(document, indent=2) + "\n")


def _print_table(outcomes: Sequence[Outcome]) -> None:
    print()
    for one in outcomes:
        figures = one.result.figures.items() if one.result else ()
        said = ", ".join(f"{name} {value}" for name, value in figures) or one.trouble
        print(f"{one.scenario.name:<26}{one.word:<12}{one.seconds:7.1f} s  {said}")


if __name__ == "__main__":
    sys.exit(main())
