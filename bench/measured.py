"""What a measurement yields, and the arithmetic from there to a verdict.

A ratio is taken inside each round, of two candidates that ran one after the other, and the median of the rounds
counts: a machine that is slow for a minute then slows both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Literal

from attrs import Factory, field, frozen

if TYPE_CHECKING:
    from bench.stage import Stage

Status = Literal["met", "falls short", "for information", "not measured"]


class MeasurementFailed(Exception):
    """A round that counts for nothing: a server that died, an answer that was refused, a row that is not there."""


class CannotMeasure(Exception):
    """Something is missing on this machine; the message says what, and how to get it."""


@frozen
class Sample:
    """One candidate in one round. The figures' names carry their units."""

    candidate: str
    round: int
    figures: Mapping[str, float]


@frozen
class Claim:
    """A target: `figure` of `ours` over that of `peer` (the figure itself without a peer) has this bound.

    Without a bound it is printed for information.
    """

    target: str
    what: str
    figure: str
    ours: str
    peer: str | None = None
    at_least: float | None = None
    at_most: float | None = None


@frozen
class Measured:
    """All samples of a measure, and why candidates are not among them."""

    samples: tuple[Sample, ...]
    missing: Mapping[str, str] = Factory(dict[str, str])


@frozen
class Measure:
    """One part of the suite: the targets it decides, and how it is run."""

    name: str
    claims: tuple[Claim, ...]
    run: Callable[[Stage], Measured] = field(repr=False)

    @property
    def targets(self) -> tuple[str, ...]:
        """Their names, each once, in order."""
        return tuple(dict.fromkeys(claim.target for claim in self.claims))


@frozen
class Verdict:
    """A claim as it turned out. `ratios` has one entry per round; `reason` says why there is none."""

    claim: Claim
    ratios: tuple[float, ...] = ()
    reason: str | None = None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds."""
        return median(self.ratios) if self.ratios else None

    @property
    def status(self) -> Status:
        """Whether the target is met."""
        ratio = self.ratio
        if ratio is None:
            return "not measured"
        low, high = self.claim.at_least, self.claim.at_most
        if low is None and high is None:
            return "for information"
        fits = (low is None or ratio >= low) and (high is None or ratio <= high)
        return "met" if fits else "falls short"


def judge(claim: Claim, measured: Measured) -> Verdict:
    """The verdict on a claim; rounds in which one of the two is missing do not count."""
    ours = _by_round(claim.ours, claim.figure, measured.samples)
    if claim.peer is None:
        ratios = tuple(ours.values())
    else:
        peers = _by_round(claim.peer, claim.figure, measured.samples)
        ratios = tuple(ours[one] / peers[one] for one in ours if peers.get(one))
    if ratios:
        return Verdict(claim, ratios)
    reasons = [measured.missing[name] for name in (claim.ours, claim.peer or "") if name in measured.missing]
    return Verdict(claim, reason="; ".join(dict.fromkeys(reasons)) or "no round has both candidates")


def _by_round(candidate: str, figure: str, samples: Sequence[Sample]) -> dict[int, float]:
    return {one.round: one.figures[figure] for one in samples if one.candidate == candidate and figure in one.figures}
