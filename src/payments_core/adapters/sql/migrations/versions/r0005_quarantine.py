"""What was enabled at a checkout's creation, and the payments that are not what was agreed.

Adds only: code that knows 0004 works on. It fails on a payment that is quarantined, and tries again, rather than take
it for another state.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Three nullable columns, one index."""
    adjustments = "what Stripe may add to the cart: discount, shipping, tax; '' for nothing"
    discrepancies = "JSON: what a quarantined payment differs in from what was agreed"
    op.add_column("payments_payment", sa.Column("adjustments", sa.Text, comment=adjustments))
    op.add_column("payments_payment", sa.Column("discrepancies", sa.Text, comment=discrepancies))
    op.add_column("payments_payment", sa.Column("quarantined_at", _instant()))
    quarantined = sa.text("state = 'quarantined'")
    op.create_index(
        "payments_payment_quarantined",
        "payments_payment",
        ["quarantined_at", "payment_id"],
        postgresql_where=quarantined,
        sqlite_where=quarantined,
    )


def _instant() -> sa.BigInteger:
    return sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
