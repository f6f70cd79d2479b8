"""Checkouts that are opened once, by name.

Adds only: code that knows 0003 works on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table."""
    op.create_table(
        "payments_opening",
        sa.Column(
            "name", sa.Text, nullable=False, comment="SHA-256: an Idempotency-Key in its scope, or a user's cart"
        ),
        sa.Column("fingerprint", sa.Text, nullable=False, comment="SHA-256 of the request"),
        sa.Column("holder", sa.Text, nullable=False, comment="fencing token, new with every claim"),
        sa.Column("leased_until", _instant(), nullable=False),
        sa.Column("kept_until", _instant(), nullable=False, comment="afterwards the name is free, and the row goes"),
        sa.Column("payment_id", sa.Text),
        sa.Column("params", sa.Text, comment="JSON: what is sent to Stripe, until the session is known"),
        sa.Column("keyed_at", _instant(), comment="when the payment's idempotency key was written down"),
        sa.Column("session_id", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("client_secret", sa.Text),
        sa.Column("expires_at", _instant(), comment="the session's end at Stripe"),
        sa.PrimaryKeyConstraint("name", name="payments_opening_pkey"),
    )
    op.create_index("payments_opening_kept", "payments_opening", ["kept_until"])


def _instant() -> sa.BigInteger:
    return sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
