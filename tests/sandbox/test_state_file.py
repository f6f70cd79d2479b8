"""A state that outlives its process, and files that are left as they are."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
import stripe

from payments_core.sandbox import Sandbox, StateFileRefused, running
from payments_core.sandbox.ids import RandomIds
from payments_core.sandbox.state_file import _KINDS, FORMAT, StateFile, _collections
from tests.sandbox.conftest import SECRET, Caller, Clock, Mailbox, cart
from tests.sandbox.test_command import PAYMENTS, started

SESSIONS = "/v1/checkout/sessions"
URL = "http://shop.test/webhook"


def opened(file: Path, clock: Clock | None = None, **options: Any) -> Sandbox:
    """A sandbox over this file."""
    return Sandbox(forward_to=[URL], clock=clock or Clock(), seed=7, send=Mailbox(), state_file=file, **options)


def everything(sandbox: Sandbox) -> dict[str, list[Any]]:
    """Every record, by collection."""
    return {name: list(collection) for name, (collection, _) in _collections(sandbox.state).items()}


def busy(sandbox: Sandbox) -> Caller:
    """A sandbox in which a good deal has happened."""
    api = Caller(sandbox)
    api.ok("POST", "/v1/products", {"name": "Tee", "default_price_data": {"currency": "usd", "unit_amount": 500}})
    api.ok("POST", "/v1/customers", {"email": "a@b.test", "metadata": {"é": "☃"}})
    api.ok("POST", "/v1/webhook_endpoints", {"url": "http://other.test/", "enabled_events": ["*"]})
    paid = api.ok("POST", SESSIONS, cart(("Tee", 500, 3)), idempotency_key="k1")
    sandbox.pay(paid["id"])
    intent = sandbox.session(paid["id"])["payment_intent"]
    sandbox.refund(intent, 100)
    sandbox.dispute(intent)
    sandbox.decline(api.ok("POST", SESSIONS, cart())["id"])
    gone = api.ok("POST", SESSIONS, cart())["id"]
    sandbox.expire(gone)
    sandbox.lose_event(sandbox.events()[0]["id"])
    sandbox.advance(3600)
    return api


def test_everything_is_there_again(tmp_path: Path) -> None:
    """Objects, events, deliveries, keys, secrets and clock; ids of the same seed do not come again."""
    clock = Clock()
    first = opened(tmp_path / "state", clock, webhook_secret=SECRET)
    api = busy(first)
    before = everything(first)
    replayed = api("POST", SESSIONS, cart(("Tee", 500, 3)), idempotency_key="k1")
    first.close()

    again = opened(tmp_path / "state", clock)
    reply = Caller(again)("POST", SESSIONS, cart(("Tee", 500, 3)), idempotency_key="k1")
    new = Caller(again).ok("POST", SESSIONS, cart())
    again.close()

    assert replayed.headers["Idempotent-Replayed"] == reply.headers["Idempotent-Replayed"] == "true"
    assert reply.body == replayed.body
    assert (again.webhook_secret, again.ahead_s, again.state.account) == (SECRET, 3600, first.state.account)
    assert new["id"] not in {session.id for session in before["sessions"]}
    after = everything(again)
    for name in before.keys() - {"sessions", "prices", "products", "keys"}:
        assert after[name] == before[name], name
    assert after["sessions"][:-1] == before["sessions"]


def test_a_seed_makes_other_ids_at_every_start(tmp_path: Path) -> None:
    """Else a second run would make the ids of the first again, and replace its objects."""
    made = [RandomIds(7, starts=number).new("cs_", 20) for number in range(3)]
    for number in range(3):
        sandbox = opened(tmp_path / "state")
        assert sandbox._file is not None
        about = sandbox._file.about()
        assert about is not None
        assert about.starts == number
        drawn = RandomIds(7, starts=number)
        if number:
            assert sandbox._ids.new("x", 9) == drawn.new("x", 9)
        sandbox.close()

    assert len(set(made)) == 3
    assert made[0] == RandomIds(7).new("cs_", 20)


def test_every_kind_of_record_can_be_kept() -> None:
    """Also those that are added later."""
    assert {"sessions", "events", "deliveries", "keys", "disputes"} <= _KINDS.keys()
    for kind in _KINDS.values():
        msgspec.json.Decoder(kind)


def test_what_waits_is_delivered_after_a_restart(tmp_path: Path) -> None:
    """A retry comes when its time comes; who is not named any more hears no more."""
    clock = Clock()
    refusing = Mailbox(status=500)
    first = Sandbox(forward_to=[URL], clock=clock, seed=7, send=refusing, state_file=tmp_path / "state")
    busy(first)
    asyncio.run(first.deliver_due())
    waiting = [sent.event["id"] for sent in refusing.sent if sent.url == "http://other.test/"]
    first.close()
    clock.advance(60)

    mailbox = Mailbox()
    again = Sandbox(forward_to=["http://new.test/"], clock=clock, seed=7, send=mailbox, state_file=tmp_path / "state")
    asyncio.run(again.deliver_due())
    again.close()

    assert {sent.url for sent in mailbox.sent} == {"http://other.test/"}
    assert sorted(sent.event["id"] for sent in mailbox.sent) == sorted(waiting)


def test_a_killed_process_has_lost_nothing_that_it_answered(tmp_path: Path) -> None:
    """SIGKILL after an answer; the session can be paid by the next process."""
    options = ("--json", "--state", str(tmp_path / "state"))
    with started(*options) as (process, line):
        assert msgspec.json.decode(line)["state"] == str(tmp_path / "state")
        url = msgspec.json.decode(line)["url"]
        client = stripe.StripeClient("sk_test_x", base_addresses={"api": url}, http_client=stripe.RequestsClient())
        session = client.v1.checkout.sessions.create(cart())  # type: ignore[arg-type]
        requests.post(f"{url}/sandbox/clock", json={"advance_s": 60}, timeout=10)
        made = [client.v1.products.create({"name": f"no {number}"}).id for number in range(40)]
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    with started(*options) as (_, line):
        url = msgspec.json.decode(line)["url"]
        client = stripe.StripeClient("sk_test_x", base_addresses={"api": url}, http_client=stripe.RequestsClient())
        assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
        assert [product.id for product in client.v1.products.list({"limit": 100}).data] == made[::-1]
        assert requests.get(f"{url}/sandbox/clock", timeout=10).json()["ahead_s"] == 60


def foreign(path: Path) -> None:
    """Somebody's notes."""
    path.write_text("my dear diary " * 20)


def foreign_database(path: Path) -> None:
    """Somebody's database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE orders (id); INSERT INTO orders VALUES (1)")


def newer(path: Path) -> None:
    """Made by a version to come."""
    opened(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")


def torn(path: Path) -> None:
    """The disk has lost the second half."""
    busy(opened(path)).sandbox.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def scribbled(path: Path) -> None:
    """Random bytes over its pages, the first left alone."""
    busy(opened(path)).sandbox.close()
    content = bytearray(path.read_bytes())
    content[4096:] = random.Random(1).randbytes(len(content) - 4096)  # noqa: S311 - noise
    path.write_bytes(content)


def wrong_record(path: Path) -> None:
    """A record that is none of ours."""
    opened(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO record VALUES ('sessions', 'cs_1', '{\"id\": 7}')")
        connection.commit()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (foreign, "is no state of the sandbox"),
        (foreign_database, "is no state of the sandbox"),
        (newer, f"has format {FORMAT + 1}"),
        (torn, "is damaged"),
        (scribbled, "is damaged"),
        (wrong_record, "is damaged"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_that_cannot_be_used_is_left_as_it_is(tmp_path: Path, spoil: Any, says: str) -> None:
    """One sentence with the file's name, and not a byte changed."""
    path = tmp_path / "state"
    spoil(path)
    before = path.read_bytes()

    with pytest.raises(StateFileRefused, match=says) as refused:
        opened(path)

    assert str(path) in str(refused.value)
    assert path.read_bytes() == before
    assert [left.name for left in tmp_path.iterdir()] == ["state"]


def test_a_served_sandbox_keeps_its_state_too(tmp_path: Path) -> None:
    """`running` takes the file, and lets it go on leaving."""
    with running(state_file=tmp_path / "state", chaos="drop=1") as first:
        Caller(first).ok("POST", "/v1/products", {"name": "Tee"})
    with running(state_file=tmp_path / "state") as again:
        assert [product.name for product in again.state.products] == ["Tee"]
        assert (first.chaos.drop, again.chaos.drop) == (1.0, 0.0)


def test_a_file_in_use_is_refused(tmp_path: Path) -> None:
    """Two sandboxes over one file would undo one another's work."""
    first = opened(tmp_path / "state")
    with pytest.raises(StateFileRefused, match="in use by another sandbox"):
        opened(tmp_path / "state")
    first.close()
    opened(tmp_path / "state").close()


def test_the_command_says_so_in_one_line(tmp_path: Path) -> None:
    """Exit status 1 for a foreign file and for a folder that is not there."""
    foreign(tmp_path / "notes")
    for name in ("notes", "nowhere/state"):
        done = subprocess.run(
            [*PAYMENTS, "sandbox", "--port", "0", "--state", str(tmp_path / name)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1), done.stderr
        assert done.stderr.startswith(f"Error: {tmp_path}/")


def test_a_request_that_cannot_be_kept_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the answer is an error that says so, and what was done is kept by the next that succeeds."""
    sandbox = opened(tmp_path / "state")
    api = Caller(sandbox)

    def full(*_: object) -> None:
        raise StateFileRefused("state cannot be written: database or disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(StateFile, "save", full)
        refused = api.refusal("POST", "/v1/products", {"name": "lost"})
    api.ok("POST", "/v1/products", {"name": "kept"})
    sandbox.close()

    assert (refused["status"], refused["type"]) == (500, "api_error")
    assert "disk is full" in refused["message"]
    with closing(opened(tmp_path / "state")) as again:
        assert [product.name for product in again.state.products] == ["lost", "kept"]
