"""What the limiter in memory keeps: as little as it needs, whoever asks."""

from __future__ import annotations

import pytest

from payments_core.adapters.memory import limiting
from payments_core.adapters.memory.limiting import MemoryLimiter
from payments_core.drive import run_blocking
from payments_core.ports import Counter
from payments_core.settings import Rate


def test_callers_who_went_away_are_forgotten() -> None:
    """A stranger with many addresses does not fill the memory: for every new one, old ones go."""
    now_s = 0.0
    limiter = MemoryLimiter(clock=lambda: now_s)
    for number in range(5_000):
        now_s += 1
        run_blocking(limiter.take([Counter(f"address {number}", Rate(5, 60))]))
    assert len(limiter._windows) <= 61


def test_there_is_an_end_to_how_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where all of them come within one window; the one who was silent longest goes first."""
    monkeypatch.setattr(limiting, "MAX_KEYS", 100)
    limiter = MemoryLimiter(clock=lambda: 0.0)
    busy = Counter("busy", Rate(3, 60))
    for number in range(1_000):
        run_blocking(limiter.take([Counter(f"address {number}", Rate(5, 60))]))
        run_blocking(limiter.take([busy]))
    assert len(limiter._windows) <= 101
    assert run_blocking(limiter.take([busy])) is not None


def test_refused_requests_leave_nothing_behind() -> None:
    """A user over the limit who comes from ever new addresses fills no memory: a refusal counts for nothing."""
    limiter = MemoryLimiter(clock=lambda: 1000.0)
    user = Counter("user", Rate(1, 60))
    run_blocking(limiter.take([user]))
    for number in range(50):
        assert run_blocking(limiter.take([user, Counter(f"address {number}", Rate(10, 60))])) is not None
    assert list(limiter._windows) == ["user"]
