"""G1: no 200 before the commit is on disk; 503 when the store cannot take the event, and then nothing is acknowledged.

Here "committed" is what a second connection sees at the moment the answer leaves the application. That the commit was
synced to the disk before is proved by pulling the plug: the power-cut scenario of `make chaos`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.flows.shop import intent, session
from tests.guarantees.databases import PostgresDatabase
from tests.guarantees.deployment import Answer
from tests.guarantees.world import DONE, World
from tests.guarantees.worlds import with_sql

RECEIVED = '{"received": true}'


def watch_rows(world: World) -> list[tuple[str, int, bool]]:
    """Fills with each answer as it leaves: the event asked about, the status, and whether others can see its row."""
    seen: list[tuple[str, int, bool]] = []

    def watch(event_id: str, status: int) -> None:
        found = world.sql.query("SELECT 1 FROM payments_inbox WHERE event_id = ?", event_id)
        seen.append((event_id, status, bool(found)))

    world.shop.watch = watch
    return seen


def webhook(world: World, event_id: str) -> tuple[str, str, bytes, dict[str, str]]:
    """A signed webhook, whose request id is the event's."""
    body, _ = world.event(DONE, session("cs_1"), id=event_id)
    return "POST", "/webhooks/stripe", body, {**world.signed(body), "X-Request-Id": event_id}


@with_sql
def test_when_200_leaves_a_second_connection_sees_the_row(world: World) -> None:
    """The row is committed before the first byte of the answer, for a new event and for a duplicate alike."""
    seen = watch_rows(world)
    for event_id in ("evt_a", "evt_b", "evt_a"):
        answer = world.shop.request(*webhook(world, event_id))
        assert (answer.status, answer.text) == (200, RECEIVED)
    assert seen == [("evt_a", 200, True), ("evt_b", 200, True), ("evt_a", 200, True)]
    assert set(world.database.inbox()) == {"evt_a", "evt_b"}


@with_sql
def test_of_many_at_once_each_200_leaves_after_its_own_row(world: World) -> None:
    """However intake groups its commits: nobody is answered by another one's row."""
    seen = watch_rows(world)
    asked = [webhook(world, f"evt_{number}") for number in range(24)]
    answers = at_once(world, asked)
    assert {(answer.status, answer.text) for answer in answers} == {(200, RECEIVED)}
    assert sorted(seen) == sorted((f"evt_{number}", 200, True) for number in range(24))


@with_sql
def test_an_event_the_store_refuses_does_not_fail_or_acknowledge_its_neighbours(world: World) -> None:
    """One row that the database will not have: it alone is answered 503, every other one is stored and answered 200."""
    world.sql.refuse("payments_inbox", "NEW.event_id = 'evt_7'")
    answers = at_once(world, [webhook(world, f"evt_{number}") for number in range(16)])
    assert [answer.status for answer in answers] == [503 if number == 7 else 200 for number in range(16)]
    assert set(world.database.inbox()) == {f"evt_{number}" for number in range(16) if number != 7}


@with_sql
def test_a_store_that_cannot_take_the_event_answers_503_and_acknowledges_nothing(world: World) -> None:
    """With its table gone: 503 with Retry-After, nothing stored; when it is back, Stripe's next delivery is taken."""
    world.sql.script("ALTER TABLE payments_inbox RENAME TO away")
    one = webhook(world, "evt_a")
    refused = world.shop.request(*one)
    assert (refused.status, json.loads(refused.text)["code"]) == (503, "store_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert world.sql.query("SELECT count(*) FROM away") == [(0,)]
    world.sql.script("ALTER TABLE away RENAME TO payments_inbox")
    assert world.shop.request(*one).status == 200
    assert set(world.database.inbox()) == {"evt_a"}


@with_sql
def test_a_commit_that_fails_is_not_answered_200(world: World) -> None:
    """The insert succeeds and the commit does not: whoever answers before the commit would be caught here."""
    heal = fail_commits(world)
    refused = world.shop.request(*webhook(world, "evt_a"))
    assert refused.status >= 500
    assert "received" not in refused.text
    assert world.database.inbox() == {}
    heal()
    assert world.shop.request(*webhook(world, "evt_a")).status == 200


@with_sql
def test_a_payment_is_on_disk_before_stripe_hears_of_it(world: World) -> None:
    """The row of a checkout is committed before its session is made: early news always finds its payment."""
    rows: list[int] = []
    create = world.gateway.create_session

    async def create_session(*given: object, **named: object) -> object:
        rows.extend(row[0] for row in world.sql.query("SELECT count(*) FROM payments_payment"))
        return await create(*given, **named)  # type: ignore[arg-type]

    world.gateway.create_session = create_session  # type: ignore[method-assign,assignment]
    world.checkout()
    assert rows == [1]


def test_what_is_not_stripes_is_not_acknowledged(world: World) -> None:
    """An unsigned body gets no 200 either: only a stored event does."""
    body, _ = world.event(DONE, session("cs_1"))
    assert world.post(body, {}).status == 400
    assert world.database.inbox() == {}


def test_an_event_that_cannot_be_read_is_kept_and_acknowledged_once(world: World) -> None:
    """A signed body of another shape is answered 200, kept as a dead letter and shown, not sent again for ever."""
    answer = world.post(b'{"object": "v2.core.event"}')
    assert (answer.status, answer.text) == (200, RECEIVED)
    world.shop.work()
    assert world.ready()["deadLetters"] == 1


def test_a_wake_up_that_is_acknowledged_is_waiting(world: World) -> None:
    """On every store an acknowledged event is there to be handled, by this process or the next."""
    event_id = world.deliver("payment_intent.succeeded", intent())
    successor = world.deploy()
    assert world.shop.wait(world.shop.payments.core.store.next_due_s()) == 0
    assert successor.run_due() == 1
    assert event_id in world.database.inbox()


def at_once(world: World, asked: list[tuple[str, str, bytes, dict[str, str]]]) -> list[Answer]:
    """Send requests at the same time: by threads, or on the loop."""
    if world.io == "async":
        return world.shop.requests(asked)
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda one: world.shop.request(*one), asked))


def fail_commits(world: World) -> Callable[[], None]:
    """Let every commit fail that put a row into the inbox; what ends it."""
    if isinstance(world.database, PostgresDatabase):
        world.sql.script(
            "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'no room' USING ERRCODE = '53100'; END $$",
            "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON payments_inbox DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION disk_full()",
        )
        return lambda: world.sql.script("DROP TRIGGER at_commit ON payments_inbox")
    world.sql.script(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER at_commit AFTER INSERT ON payments_inbox BEGIN INSERT INTO child VALUES (1); END",
    )
    return lambda: world.sql.script("DROP TRIGGER at_commit")
