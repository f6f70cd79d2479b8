"""Deliveries gone wrong on request, repeatably: what becomes of a delivery depends on the seed and its ids alone.

Everything here happens to real webhooks, if seldom: Stripe delivers at least once, in no promised order, late, now
and then not at all, and sometimes makes two events of one fact.
"""

from __future__ import annotations

import random
from typing import Final, Self

from attrs import field, frozen, validators

#: How much later an event goes out that others are to overtake, and the copy of a doubled one.
OVERTAKEN_S: Final = 3
COPY_S: Final = 5
MAX_DELAY_S: Final = 3 * 86_400
_SHARES: Final = ("duplicate", "reorder", "delay", "drop", "twin")


@frozen
class Fate:
    """What becomes of one delivery: lost on its way, sent `after_s` seconds late, sent again `again_s` after that."""

    lost: bool = False
    after_s: int = 0
    again_s: int | None = None


_share = field(default=0.0, kw_only=True, validator=[validators.ge(0.0), validators.le(1.0)])


@frozen(kw_only=True)
class Chaos:
    """Shares between 0 and 1 of what is to go wrong.

    `duplicate`: delivered twice. `reorder`: held back for up to three seconds, so that later news overtakes it.
    `delay`: held back for up to `delay_s` seconds. `drop`: never sent, and listed as undelivered. `twin`: a second
    event with another id for the same fact.
    """

    duplicate: float = _share
    reorder: float = _share
    delay: float = _share
    drop: float = _share
    twin: float = _share
    delay_s: int = field(default=60, validator=[validators.ge(1), validators.le(MAX_DELAY_S)])
    seed: int = 0

    @classmethod
    def parse(cls, spec: str, seed: int) -> Self:
        """Read `duplicate=0.3,delay=0.2:120`; the number behind the colon is `delay_s`.

        Raises ValueError with one sentence for whoever wrote it.
        """
        values: dict[str, float | int] = {}
        for part in filter(None, (piece.strip() for piece in spec.split(","))):
            name, _, value = part.partition("=")
            if name not in _SHARES or name in values:
                raise ValueError(f"{part!r} is not understood; write {'=0.1,'.join(_SHARES)}=0.1 or some of them.")
            share, colon, seconds = value.partition(":")
            values[name] = _number(share, part)
            if colon:
                if name != "delay" or not seconds.isdecimal() or not 1 <= int(seconds) <= MAX_DELAY_S:
                    raise ValueError(f"{part!r} is not understood; only delay takes seconds: delay=0.2:60.")
                values["delay_s"] = int(seconds)
        return cls(**values, seed=seed)  # type: ignore[arg-type] # shares are floats, seconds an int

    def has_twin(self, event_id: str) -> bool:
        """Whether this event's fact gets a second event."""
        return self.twin > 0 and self._dice(event_id).random() < self.twin

    def fate(self, event_id: str, endpoint_id: str) -> Fate:
        """What becomes of this event's delivery to this endpoint."""
        if not (self.duplicate or self.reorder or self.delay or self.drop):
            return ORDINARY
        dice = self._dice(f"{event_id}/{endpoint_id}")
        # Every die is thrown every time: one share does not change what another does.
        doubled, reordered, delayed, dropped = (dice.random() for _ in range(4))
        late, held, again = dice.randint(1, OVERTAKEN_S), dice.randint(1, self.delay_s), dice.randint(0, COPY_S)
        after = (late if reordered < self.reorder else 0) + (held if delayed < self.delay else 0)
        return Fate(dropped < self.drop, after, again if doubled < self.duplicate else None)

    def _dice(self, what: str) -> random.Random:
        return random.Random(f"{self.seed}/{what}")  # noqa: S311 - chance that can be repeated


ORDINARY: Final = Fate()
CALM: Final = Chaos()


def _number(text: str, part: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{part!r} is not understood; a share is a number from 0 to 1.")
    return share
