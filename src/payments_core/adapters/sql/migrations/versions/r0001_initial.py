"""The first schema: payments, their references and transitions, inbox and outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the five tables and their indexes."""
    _payments()
    _inbox()
    _outbox()
    _compress_bodies()


def _payments() -> None:
    op.create_table(
        "payments_payment",
        sa.Column("payment_id", sa.Text, nullable=False),
        sa.Column("created_at", _instant(), nullable=False),
        sa.Column("livemode", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("currency", sa.Text),
        sa.Column("cart", sa.Text, comment="JSON, minor units: what was agreed before Stripe was called"),
        sa.Column("user_id", sa.Text),
        sa.Column("customer_email", sa.Text),
        sa.Column("idempotency_key", sa.Text, comment="sent to Stripe with the creation of the session"),
        sa.Column("event_key", sa.Text, comment="the key of this payment's outgoing events, fixed at the first"),
        sa.Column("session_id", sa.Text),
        sa.Column("payment_intent_id", sa.Text),
        sa.Column("invoice_id", sa.Text),
        sa.Column("amount_minor", sa.BigInteger, comment="what was paid, in Stripe's minor units; set at settlement"),
        sa.Column("settled_at", _instant()),
        sa.PrimaryKeyConstraint("payment_id", name="payments_payment_pkey"),
    )
    op.create_table(
        "payments_ref",
        sa.Column("account", sa.Text, nullable=False, comment="'' when not stated"),
        sa.Column("livemode", sa.Boolean, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("stripe_id", sa.Text, nullable=False),
        sa.Column("payment_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("account", "livemode", "kind", "stripe_id", name="payments_ref_pkey"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments_payment.payment_id"], name="payments_ref_payment_fkey"),
    )
    op.create_index("payments_ref_payment", "payments_ref", ["payment_id"])
    op.create_table(
        "payments_transition",
        sa.Column("payment_id", sa.Text, nullable=False),
        sa.Column("transition", sa.Text, nullable=False),
        sa.Column("discriminator", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False, comment="of the fact itself, as it is published"),
        sa.Column("recorded_at", _instant(), nullable=False),
        sa.PrimaryKeyConstraint("payment_id", "transition", "discriminator", name="payments_transition_pkey"),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments_payment.payment_id"], name="payments_transition_payment_fkey"
        ),
    )


def _inbox() -> None:
    op.create_table(
        "payments_inbox",
        sa.Column("seq", _identifier(), sa.Identity(), nullable=False),
        sa.Column("account", sa.Text, nullable=False, comment="'' when not stated"),
        sa.Column("livemode", sa.SmallInteger, nullable=False, comment="1 live, 0 test, -1 not stated"),
        sa.Column("event_id", sa.Text, nullable=False, comment="Stripe's"),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False, comment="as it came"),
        sa.Column("state", sa.SmallInteger, nullable=False, comment="0 ready, 1 leased, 2 done, 3 dead, 4 parked"),
        sa.Column("next_at", _instant(), nullable=False, comment="not before, lease expiry or wake-up, by state"),
        sa.Column("token", sa.BigInteger, nullable=False, comment="fencing token, raised by every claim"),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lane", sa.Text, comment="the payment's id, once routed"),
        sa.Column("last_error", sa.Text),
        sa.Column("received_at", _instant(), nullable=False),
        sa.Column("done_at", _instant()),
        sa.Column("traceparent", sa.Text),
        sa.PrimaryKeyConstraint("seq", name="payments_inbox_pkey"),
        sa.UniqueConstraint("account", "livemode", "event_id", name="payments_inbox_event_key"),
        sa.CheckConstraint("state BETWEEN 0 AND 4", name="payments_inbox_state_check"),
        sqlite_autoincrement=True,
    )
    _partial_index("payments_inbox_due", "payments_inbox", ["next_at", "seq"], "state IN (0, 1, 4)")
    _partial_index("payments_inbox_lane", "payments_inbox", ["lane", "seq"], "state IN (0, 1, 4)")
    _partial_index("payments_inbox_one_per_lane", "payments_inbox", ["lane"], "state = 1", unique=True)
    _partial_index("payments_inbox_dead", "payments_inbox", ["seq"], "state = 3")


def _outbox() -> None:
    op.create_table(
        "payments_outbox",
        sa.Column("id", _identifier(), sa.Identity(), nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False, comment="orders: rows of one key are published in the order of id"),
        sa.Column("part", sa.SmallInteger, nullable=False, comment="crc32(key) % 16"),
        sa.Column("payload", sa.Text, nullable=False, comment="the event's JSON"),
        sa.Column("payment_id", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text),
        sa.Column("occurred_at", _instant(), nullable=False),
        sa.Column("created_at", _instant(), nullable=False),
        sa.Column("owed", sa.Boolean, nullable=False, comment="false: no broker was configured when it was written"),
        sa.Column("published_at", _instant()),
        sa.Column("parked_reason", sa.Text),
        sa.PrimaryKeyConstraint("id", name="payments_outbox_pkey"),
        sa.UniqueConstraint("event_id", name="payments_outbox_event_key"),
        sqlite_autoincrement=True,
    )
    _partial_index("payments_outbox_owed", "payments_outbox", ["part", "id"], "published_at IS NULL AND owed")


def _instant() -> sa.BigInteger:
    return sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def _identifier() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _partial_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, postgresql_where=where, sqlite_where=where)


def _compress_bodies() -> None:
    """LZ4 stores bodies 1.2 to 1.7 times as fast as PostgreSQL's default, where the server was built with it."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    offered = sa.text("SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)")
    if connection.execute(offered).first() is not None:
        op.execute("ALTER TABLE payments_inbox ALTER COLUMN body SET COMPRESSION lz4")
