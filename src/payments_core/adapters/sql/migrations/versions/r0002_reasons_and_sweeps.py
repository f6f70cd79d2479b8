"""Why an attempt failed, for `payments analytics`; how far `payments reconcile` has swept, and payments by age.

Adds only: code that knows 0001 works on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One nullable column, one index, one table."""
    op.add_column("payments_transition", sa.Column("reason", sa.Text, comment="of a failed attempt, as published"))
    op.create_index("payments_payment_created", "payments_payment", ["created_at", "payment_id"])
    op.create_table(
        "payments_sweep",
        sa.Column("name", sa.Text, nullable=False, comment="what is swept, for which account and mode"),
        sa.Column("swept_until", _instant(), nullable=False),
        sa.Column("finished_at", _instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="payments_sweep_pkey"),
    )


def _instant() -> sa.BigInteger:
    return sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
