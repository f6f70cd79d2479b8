"""The composition root: which adapters serve which world, and the two facades over the same flows."""

from __future__ import annotations

from payments_core.app.asynchronous import AsyncPayments
from payments_core.app.blocking import Payments

__all__ = ["AsyncPayments", "Payments"]
