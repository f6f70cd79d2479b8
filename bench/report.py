"""The results, as JSON for machines and as a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.measured import Measure, Measured, Verdict


def document(
    facts: Mapping[str, Any],
    done: Sequence[tuple[Measure, Measured]],
    verdicts: Sequence[Verdict],
    failures: Mapping[str, str],
) -> dict[str, Any]:
    """Everything that was measured: facts, each round's figures, ratios, targets, verdicts."""
    rounds = {
        measure.name: [
            {"candidate": one.candidate, "round": one.round, **{name: _short(it) for name, it in one.figures.items()}}
            for one in measured.samples
        ]
        for measure, measured in done
    }
    return {**facts, "verdicts": [_verdict(one) for one in verdicts], "failures": dict(failures), "rounds": rounds}


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write the JSON file."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(verdicts: Sequence[Verdict]) -> str:
    """One line per claim: the ratio, its spread over the rounds, the target, the verdict."""
    rows = [("", "what", "ratio", "rounds", "target", "verdict")]
    rows += [
        (one.claim.target, one.claim.what, _number(one.ratio), _spread(one.ratios), bound(one), _said(one))
        for one in verdicts
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def summary(verdicts: Sequence[Verdict], failures: Mapping[str, str]) -> str:
    """In plain words: what falls short, what was not measured, what failed."""
    lines = [
        f"{one.claim.target} falls short: {one.claim.what} is {_number(one.ratio)}, the target is {bound(one)}"
        for one in verdicts
        if one.status == "falls short"
    ]
    lines += [
        f"{one.claim.target} was not measured: {one.claim.what}: {one.reason}"
        for one in verdicts
        if one.status == "not measured"
    ]
    lines += [f"FAILED: {name}: {reason}" for name, reason in failures.items()]
    met = sum(one.status == "met" for one in verdicts)
    asked = sum(one.status != "for information" for one in verdicts)
    return "\n".join([f"{met} of {asked} targets met.", *lines])


def bound(verdict: Verdict) -> str:
    """The target as it is printed."""
    low, high = verdict.claim.at_least, verdict.claim.at_most
    return f">= {low:g}" if low is not None else f"<= {high:g}" if high is not None else ""


def _verdict(one: Verdict) -> dict[str, Any]:
    claim = one.claim
    return {
        "target": claim.target,
        "what": claim.what,
        "figure": claim.figure,
        "ours": claim.ours,
        "peer": claim.peer,
        "ratio": None if one.ratio is None else _short(one.ratio),
        "rounds": [_short(ratio) for ratio in one.ratios],
        "at_least": claim.at_least,
        "at_most": claim.at_most,
        "verdict": one.status,
        "reason": one.reason,
    }


def _short(figure: float) -> float:
    return float(f"{figure:.4g}") if abs(figure) < 10_000 else round(figure)


def _number(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


def _spread(ratios: Sequence[float]) -> str:
    return f"{_number(min(ratios))}-{_number(max(ratios))}" if len(ratios) > 1 else ""


def _said(one: Verdict) -> str:
    return "" if one.status == "for information" else one.status
