"""Disputes and early fraud warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import Factory, frozen

from .metadata import Metadata

DisputeStatus = Literal[
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
]


@frozen
class Movement:
    """Money that a dispute took or gave back: a balance transaction. `amount_minor` and `fee_minor` are signed."""

    id: str
    created: int
    amount_minor: int
    fee_minor: int


@frozen
class Dispute:
    """A buyer's objection to a charge. An inquiry (`warning_…`) takes no money as long as it stays one."""

    id: str
    created: int
    amount_minor: int
    currency: str
    charge: str
    payment_intent: str
    reason: str
    network_reason_code: str
    due_by: int
    status: DisputeStatus
    brand: str
    evidence: Mapping[str, str] = Factory(dict[str, str])
    submissions: int = 0
    movements: tuple[Movement, ...] = ()
    metadata: Metadata = Factory(dict[str, str])

    @property
    def is_inquiry(self) -> bool:
        """Whether no money has been taken yet."""
        return self.status.startswith("warning_")


@frozen
class FraudWarning:
    """The issuer's word that a charge may be fraudulent. Worth acting on until the money went back or was disputed."""

    id: str
    created: int
    charge: str
    payment_intent: str
    fraud_type: str = "made_with_stolen_card"
