"""Each type's versions: a number, the fingerprint of its shape, and a note on what it brought.

A shape that is not the one of its latest version is a problem: whoever changes it says so, in a new version with a
note, and consumers learn of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from .shapes import Models, fingerprint

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "schemas"
FILE: Final = FOLDER / "versions.json"

Versions = dict[str, list[dict[str, Any]]]


def read(path: Path = FILE) -> Versions:
    """The recorded versions of every type, the oldest first."""
    found: Versions = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def latest(versions: Versions, kind: str) -> int:
    """The number of a type's latest version; 0 where none is recorded."""
    return int(versions[kind][-1]["version"]) if versions.get(kind) else 0


def problems(models: Models, versions: Versions) -> list[str]:
    """What keeps the models and the recorded versions apart, in words that say what to do; empty when nothing does."""
    found = [
        f"{kind}: is recorded and has no model; a type is not taken back" for kind in versions if kind not in models
    ]
    for kind, model in models.items():
        recorded = versions.get(kind, [])
        how = f'run: python -m tools.schemas --note {kind} "what changed, and what consumers have to do"'
        if not recorded:
            found.append(f"{kind}: has no version; {how}")
        elif recorded[-1]["fingerprint"] != fingerprint(kind, model):
            found.append(f"{kind}: its shape is not that of version {latest(versions, kind)}; {how}")
        if [entry["version"] for entry in recorded] != list(range(1, len(recorded) + 1)):
            found.append(f"{kind}: its versions do not count 1, 2, 3 …")
        if any(not str(entry.get("note", "")).strip() for entry in recorded):
            found.append(f"{kind}: a version has no note")
    return found


def noted(models: Models, versions: Versions, kind: str, note: str) -> Versions:
    """The versions with one more of this type, of the shape it has now. Raises ValueError where nothing changed."""
    if kind not in models:
        raise ValueError(f"there is no type {kind}; there are {', '.join(models)}")
    if not note.strip():
        raise ValueError("the note is empty")
    recorded = versions.get(kind, [])
    now = fingerprint(kind, models[kind])
    if recorded and recorded[-1]["fingerprint"] == now:
        raise ValueError(f"{kind} has the shape of its version {latest(versions, kind)}: there is nothing to note")
    entry = {"version": latest(versions, kind) + 1, "fingerprint": now, "note": note.strip()}
    return {**versions, kind: [*recorded, entry]}
