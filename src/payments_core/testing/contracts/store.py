"""What every store must do: the obligations of `payments_core.ports.Store` and `StoreTransaction`, one test each."""

from __future__ import annotations

from payments_core.testing.contracts.store_claims import ClaimContract
from payments_core.testing.contracts.store_inbox import InboxContract
from payments_core.testing.contracts.store_openings import OpeningsContract
from payments_core.testing.contracts.store_payments import PaymentContract
from payments_core.testing.contracts.store_records import RecordsContract
from payments_core.testing.contracts.store_sweeps import SweepsContract
from payments_core.testing.contracts.store_transactions import TransactionContract


class StoreContract(
    InboxContract,
    ClaimContract,
    PaymentContract,
    OpeningsContract,
    TransactionContract,
    RecordsContract,
    SweepsContract,
):
    """Give it a fixture `world` that returns a StoreWorld over an empty database."""
