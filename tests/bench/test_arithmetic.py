"""From rounds to verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.measured import Claim, Measure, Measured, Sample, Verdict, judge
from bench.report import document, summary, table, write


def samples(name: str, *figures: float) -> tuple[Sample, ...]:
    return tuple(Sample(name, number, {"per_s": figure}) for number, figure in enumerate(figures))


def claim(**bounds: float) -> Claim:
    return Claim("T0", "requests per second / peer", "per_s", "ours", "peer", **bounds)


def test_a_ratio_is_the_median_of_the_ratios_inside_the_rounds() -> None:
    """Not the ratio of medians: a slow minute of the machine slows both sides of its own round only."""
    measured = Measured((*samples("ours", 100, 10, 300), *samples("peer", 100, 5, 100)))
    verdict = judge(claim(), measured)
    assert verdict.ratios == (1.0, 2.0, 3.0)
    assert verdict.ratio == 2.0


def test_a_round_in_which_one_side_is_missing_does_not_count() -> None:
    """Figures of different rounds are never put over each other."""
    measured = Measured((*samples("ours", 100, 200), *samples("peer", 50)))
    assert judge(claim(), measured).ratios == (2.0,)


@pytest.mark.parametrize(
    ("bounds", "status"),
    [
        ({"at_least": 2.0}, "met"),
        ({"at_least": 2.1}, "falls short"),
        ({"at_most": 2.0}, "met"),
        ({"at_most": 1.9}, "falls short"),
        ({}, "for information"),
    ],
)
def test_a_bound_decides_and_its_edge_is_inside(bounds: dict[str, float], status: str) -> None:
    """Without a bound the ratio is only told."""
    measured = Measured((*samples("ours", 200), *samples("peer", 100)))
    assert judge(claim(**bounds), measured).status == status


def test_a_candidate_that_could_not_run_is_named_with_the_reason() -> None:
    """Nothing measured is neither met nor fallen short of."""
    measured = Measured(samples("ours", 100), {"peer": "Node.js was not found; install it"})
    verdict = judge(claim(at_least=1), measured)
    assert (verdict.status, verdict.reason) == ("not measured", "Node.js was not found; install it")


def test_a_claim_without_a_peer_is_about_the_figure_itself() -> None:
    """As the milliseconds of an import are."""
    alone = Claim("T9", "milliseconds", "per_s", "ours", at_most=60)
    assert judge(alone, Measured(samples("ours", 59, 61, 60))).status == "met"


def test_the_report_says_plainly_what_falls_short(tmp_path: Path) -> None:
    """In the table, in words, and in the JSON with every round."""
    short = Verdict(claim(at_least=1.0), (0.5, 0.7, 0.6))
    lost = Verdict(claim(at_most=1.0), reason="wrk was not found")
    assert "0.60   0.50-0.70  >= 1" in table([short])
    told = summary([short, lost], {"one connection": "2 requests were refused"})
    assert told.startswith("0 of 2 targets met.")
    assert "T0 falls short: requests per second / peer is 0.60, the target is >= 1" in told
    assert "wrk was not found" in told
    assert "FAILED: one connection: 2 requests were refused" in told
    done = [(Measure("some", (short.claim,), lambda _: Measured(())), Measured(samples("ours", 1.23456)))]
    write(tmp_path / "results.json", document({"made_at": "now"}, done, [short], {}))
    read = json.loads((tmp_path / "results.json").read_text())
    assert read["verdicts"][0]["verdict"] == "falls short"
    assert read["rounds"]["some"] == [{"candidate": "ours", "round": 0, "per_s": 1.235}]
