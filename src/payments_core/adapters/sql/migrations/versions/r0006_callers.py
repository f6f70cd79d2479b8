"""From whom a payment was opened, so that declined attempts can be counted against them.

Adds only: code that knows 0005 works on. On a large table the two indexes take their time, during which payments
cannot be written.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column, and what finds the payments of a caller."""
    comment = "keyed digest of the address it was opened from"
    op.add_column("payments_payment", sa.Column("caller_digest", sa.Text, comment=comment))
    for column in ("caller_digest", "user_id"):
        given = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"payments_payment_{column.split('_')[0]}",
            "payments_payment",
            [column, "created_at"],
            postgresql_where=given,
            sqlite_where=given,
        )
