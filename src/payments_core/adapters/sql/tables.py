"""The tables, all prefixed `payments_`, in a metadata of their own.

They live in the developer's database beside his own tables, so that one transaction covers both. The migrations in
`migrations/` say the same in steps; a test compares the two. What `state` holds in the inbox is `InboxState`; its
numbers stand literally in the partial indexes and in the statements, since a planner that sees a parameter instead
cannot use the index.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from payments_core.adapters.sql.columns import Identifier, Instant, Words

#: Rows of one outbox partition are published by one relay at a time, in the order of their ids.
PARTITIONS: Final = 16

#: Stands for "not stated" in the columns of a unique key, where NULL would be different from itself.
NO_ACCOUNT: Final = ""
NO_LIVEMODE: Final = -1

metadata: Final = MetaData()

_QUARANTINED = text("state = 'quarantined'")
_CALLED = text("caller_digest IS NOT NULL")
_USED = text("user_id IS NOT NULL")

payment: Final = Table(
    "payments_payment",
    metadata,
    Column("payment_id", Words, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("livemode", Boolean, nullable=False),
    Column("state", Words, nullable=False),
    Column("origin", Words, nullable=False),
    Column("account", Words),
    Column("currency", Words),
    Column("cart", Words, comment="JSON, minor units: what was agreed before Stripe was called"),
    Column("user_id", Words),
    Column("customer_email", Words),
    Column("idempotency_key", Words, comment="sent to Stripe with the creation of the session"),
    Column("event_key", Words, comment="the key of this payment's outgoing events, fixed at the first"),
    Column("session_id", Words),
    Column("payment_intent_id", Words),
    Column("invoice_id", Words),
    Column("amount_minor", BigInteger, comment="what was paid, in Stripe's minor units; set at settlement"),
    Column("settled_at", Instant),
    Column("adjustments", Words, comment="what Stripe may add to the cart: discount, shipping, tax; '' for nothing"),
    Column("discrepancies", Words, comment="JSON: what a quarantined payment differs in from what was agreed"),
    Column("quarantined_at", Instant),
    Column("caller_digest", Words, comment="keyed digest of the address it was opened from"),
    PrimaryKeyConstraint("payment_id", name="payments_payment_pkey"),
    Index("payments_payment_created", "created_at", "payment_id"),
    # A few among millions, and counted at every readiness check.
    Index(
        "payments_payment_quarantined",
        "quarantined_at",
        "payment_id",
        postgresql_where=_QUARANTINED,
        sqlite_where=_QUARANTINED,
    ),
    # Whose declined attempts are counted whenever a checkout is asked for.
    Index("payments_payment_caller", "caller_digest", "created_at", postgresql_where=_CALLED, sqlite_where=_CALLED),
    Index("payments_payment_user", "user_id", "created_at", postgresql_where=_USED, sqlite_where=_USED),
)

ref: Final = Table(
    "payments_ref",
    metadata,
    Column("account", Words, nullable=False, comment="'' when not stated"),
    Column("livemode", Boolean, nullable=False),
    Column("kind", Words, nullable=False),
    Column("stripe_id", Words, nullable=False),
    Column("payment_id", Words, nullable=False),
    PrimaryKeyConstraint("account", "livemode", "kind", "stripe_id", name="payments_ref_pkey"),
    ForeignKeyConstraint(["payment_id"], ["payments_payment.payment_id"], name="payments_ref_payment_fkey"),
    Index("payments_ref_payment", "payment_id"),
)

transition: Final = Table(
    "payments_transition",
    metadata,
    Column("payment_id", Words, nullable=False),
    Column("transition", Words, nullable=False),
    Column("discriminator", Words, nullable=False),
    Column("event_id", Words, nullable=False, comment="of the fact itself, as it is published"),
    Column("recorded_at", Instant, nullable=False),
    Column("reason", Words, comment="of a failed attempt, as published"),
    PrimaryKeyConstraint("payment_id", "transition", "discriminator", name="payments_transition_pkey"),
    ForeignKeyConstraint(["payment_id"], ["payments_payment.payment_id"], name="payments_transition_payment_fkey"),
)

opening: Final = Table(
    "payments_opening",
    metadata,
    Column("name", Words, nullable=False, comment="SHA-256: an Idempotency-Key in its scope, or a user's cart"),
    Column("fingerprint", Words, nullable=False, comment="SHA-256 of the request"),
    Column("holder", Words, nullable=False, comment="fencing token, new with every claim"),
    Column("leased_until", Instant, nullable=False),
    Column("kept_until", Instant, nullable=False, comment="afterwards the name is free, and the row goes"),
    Column("payment_id", Words),
    Column("params", Words, comment="JSON: what is sent to Stripe, until the session is known"),
    Column("keyed_at", Instant, comment="when the payment's idempotency key was written down"),
    Column("session_id", Words),
    Column("url", Words),
    Column("client_secret", Words),
    Column("expires_at", Instant, comment="the session's end at Stripe"),
    PrimaryKeyConstraint("name", name="payments_opening_pkey"),
    Index("payments_opening_kept", "kept_until"),
)

sweep: Final = Table(
    "payments_sweep",
    metadata,
    Column("name", Words, nullable=False, comment="what is swept, for which account and mode"),
    Column("swept_until", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    PrimaryKeyConstraint("name", name="payments_sweep_pkey"),
)

_OPEN = text("state IN (0, 1, 4)")

inbox: Final = Table(
    "payments_inbox",
    metadata,
    Column("seq", Identifier, Identity(), nullable=False),
    Column("account", Words, nullable=False, comment="'' when not stated"),
    Column("livemode", SmallInteger, nullable=False, comment="1 live, 0 test, -1 not stated"),
    Column("event_id", Words, nullable=False, comment="Stripe's"),
    Column("type", Words, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="as it came"),
    Column("state", SmallInteger, nullable=False, comment="0 ready, 1 leased, 2 done, 3 dead, 4 parked"),
    Column("next_at", Instant, nullable=False, comment="not before, lease expiry or wake-up, by state"),
    Column("token", BigInteger, nullable=False, comment="fencing token, raised by every claim"),
    Column("attempts", Integer, nullable=False),
    Column("lane", Words, comment="the payment's id, once routed"),
    Column("last_error", Words),
    Column("received_at", Instant, nullable=False),
    Column("done_at", Instant),
    Column("traceparent", Words),
    PrimaryKeyConstraint("seq", name="payments_inbox_pkey"),
    UniqueConstraint("account", "livemode", "event_id", name="payments_inbox_event_key"),
    CheckConstraint("state BETWEEN 0 AND 4", name="payments_inbox_state_check"),
    Index("payments_inbox_due", "next_at", "seq", postgresql_where=_OPEN, sqlite_where=_OPEN),
    Index("payments_inbox_lane", "lane", "seq", postgresql_where=_OPEN, sqlite_where=_OPEN),
    # The guarantee that events of one payment run one at a time; everything else about lanes is scheduling.
    Index(
        "payments_inbox_one_per_lane",
        "lane",
        unique=True,
        postgresql_where=text("state = 1"),
        sqlite_where=text("state = 1"),
    ),
    # Dead letters are few among millions of handled rows, and are counted at every readiness check.
    Index("payments_inbox_dead", "seq", postgresql_where=text("state = 3"), sqlite_where=text("state = 3")),
    sqlite_autoincrement=True,
)

_OWED = text("published_at IS NULL AND owed")
_PARKED = text("parked_reason IS NOT NULL AND published_at IS NULL")

outbox: Final = Table(
    "payments_outbox",
    metadata,
    Column("id", Identifier, Identity(), nullable=False),
    Column("event_id", Words, nullable=False),
    Column("type", Words, nullable=False),
    Column("key", Words, nullable=False, comment="orders: rows of one key are published in the order of id"),
    Column("part", SmallInteger, nullable=False, comment="crc32(key) % 16"),
    Column("payload", Words, nullable=False, comment="the event's JSON"),
    Column("payment_id", Words, nullable=False),
    Column("traceparent", Words),
    Column("occurred_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("owed", Boolean, nullable=False, comment="false: no broker was configured when it was written"),
    Column("published_at", Instant),
    Column("parked_reason", Words),
    PrimaryKeyConstraint("id", name="payments_outbox_pkey"),
    UniqueConstraint("event_id", name="payments_outbox_event_key"),
    Index("payments_outbox_owed", "part", "id", postgresql_where=_OWED, sqlite_where=_OWED),
    # What is parked blocks its key: looked for whenever rows are taken from a partition.
    Index("payments_outbox_parked", "part", "key", "id", postgresql_where=_PARKED, sqlite_where=_PARKED),
    sqlite_autoincrement=True,
)

# Dead messages and those that are due again: few among all that were consumed.
_KEPT = text("state <> 2")

consumed: Final = Table(
    "payments_consumed",
    metadata,
    Column("consumer", Words, nullable=False, comment="the consumer group"),
    Column("message_id", Words, nullable=False, comment="ce_id, else derived from the message"),
    Column("state", SmallInteger, nullable=False, comment="1 due again, 2 done, 3 dead"),
    Column("consumed_at", Instant, nullable=False),
    Column("topic", Words, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("position", BigInteger, nullable=False, comment="the offset in the partition"),
    Column("key", LargeBinary, comment="of a dead message"),
    Column("body", LargeBinary, comment="of a dead message"),
    Column("headers", Words, comment="JSON, of a dead message"),
    Column("reason", Words, comment="why it is dead"),
    PrimaryKeyConstraint("consumer", "message_id", name="payments_consumed_pkey"),
    CheckConstraint("state BETWEEN 1 AND 3", name="payments_consumed_state_check"),
    Index("payments_consumed_kept", "consumer", "consumed_at", postgresql_where=_KEPT, sqlite_where=_KEPT),
)
