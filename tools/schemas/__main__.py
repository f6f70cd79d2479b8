"""Write or check the published documents; see the package."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from payments_core import __version__

from . import __doc__ as about
from . import versions
from .asyncapi import document
from .shapes import MODELS, Models, Schema, schema_of


def documents(models: Models, recorded: versions.Versions) -> dict[str, Schema]:
    """Every document by its file's name."""
    numbers = {kind: versions.latest(recorded, kind) for kind in models}
    schemas = {f"{kind}.json": schema_of(kind, model, numbers[kind]) for kind, model in models.items()}
    return {**schemas, "asyncapi.json": document(models, numbers, __version__)}


def drift(models: Models, folder: Path) -> list[str]:
    """What is wrong with the committed files; empty when they are what the models give."""
    recorded = versions.read(folder / versions.FILE.name)
    wrong = versions.problems(models, recorded)
    for name, made in documents(models, recorded).items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != written(made):
            wrong.append(f"{name}: is not what the models give; run: python -m tools.schemas")
    return wrong


def written(made: object) -> str:
    """As it stands in a file."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    parser.add_argument("--note", nargs=2, metavar=("TYPE", "NOTE"), help="record the shape of TYPE as a new version")
    chosen = parser.parse_args()
    note: list[str] | None = chosen.note
    if chosen.check:
        return _told(drift(MODELS, versions.FOLDER))
    recorded = versions.read()
    if note is not None:
        try:
            recorded = versions.noted(MODELS, recorded, note[0], note[1])
        except ValueError as unfit:
            parser.error(str(unfit))
        versions.FILE.write_text(written(recorded), encoding="utf-8")
    wrong = versions.problems(MODELS, recorded)
    if not wrong:
        for name, made in documents(MODELS, recorded).items():
            (versions.FOLDER / name).write_text(written(made), encoding="utf-8")
    return _told(wrong)


def _told(wrong: list[str]) -> int:
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
