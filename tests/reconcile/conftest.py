"""Shops as the flows' tests have them, and a Stripe that the test fills by hand."""

from __future__ import annotations

import pytest

from payments_core.services import walking
from tests.flows.conftest import database_template, open_shop, shop

__all__ = ["database_template", "open_shop", "shop"]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries as ever, without the pauses between them."""
    monkeypatch.setattr(walking, "PAUSES_S", (0.0,) * len(walking.PAUSES_S))
