"""Parked outgoing events, and what a consumer has taken from Kafka.

Adds only: code that knows 0002 works on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One index, one table."""
    parked = sa.text("parked_reason IS NOT NULL AND published_at IS NULL")
    op.create_index(
        "payments_outbox_parked",
        "payments_outbox",
        ["part", "key", "id"],
        postgresql_where=parked,
        sqlite_where=parked,
    )
    op.create_table(
        "payments_consumed",
        sa.Column("consumer", sa.Text, nullable=False, comment="the consumer group"),
        sa.Column("message_id", sa.Text, nullable=False, comment="ce_id, else derived from the message"),
        sa.Column("state", sa.SmallInteger, nullable=False, comment="1 due again, 2 done, 3 dead"),
        sa.Column("consumed_at", _instant(), nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False, comment="the offset in the partition"),
        sa.Column("key", sa.LargeBinary, comment="of a dead message"),
        sa.Column("body", sa.LargeBinary, comment="of a dead message"),
        sa.Column("headers", sa.Text, comment="JSON, of a dead message"),
        sa.Column("reason", sa.Text, comment="why it is dead"),
        sa.PrimaryKeyConstraint("consumer", "message_id", name="payments_consumed_pkey"),
        sa.CheckConstraint("state BETWEEN 1 AND 3", name="payments_consumed_state_check"),
    )
    kept = sa.text("state <> 2")
    op.create_index(
        "payments_consumed_kept",
        "payments_consumed",
        ["consumer", "consumed_at"],
        postgresql_where=kept,
        sqlite_where=kept,
    )


def _instant() -> sa.BigInteger:
    return sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
