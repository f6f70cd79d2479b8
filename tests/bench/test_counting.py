"""What makes a round count: nobody may do less than his job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import cpu, databases
from bench.intake import Candidate, check_count, figures, turned
from bench.load import Outcome, read_outcome
from bench.measured import MeasurementFailed
from bench.measures.processing import check_effects
from bench.servers import uvicorn
from bench.shop import receive
from bench.webhooks import BODY_BYTES, SECRET, bodies, request, write_requests
from payments_core import Money, Payments, PaymentSuccessful, Settings
from payments_core.adapters.memory import MemoryGateway
from payments_core.adapters.sql import blocking_store
from payments_core.domain.envelope import read_envelope
from payments_core.domain.signature import check_signature
from payments_core.drive import run_blocking
from payments_core.ports import Store


@pytest.mark.parametrize("stored", [100, 116])
def test_answered_requests_that_are_stored_count(stored: int) -> None:
    """With those under way when the load ended, at most one per connection."""
    check_count(100, stored, 16)


@pytest.mark.parametrize("stored", [0, 99, 117])
def test_a_missing_row_or_one_too_many_makes_the_round_an_error(stored: int) -> None:
    """An answer without a row is a lie, a row without a request a mistake of the bench."""
    with pytest.raises(MeasurementFailed, match=f"100 requests were answered, and {stored} events are stored"):
        check_count(100, stored, 16)


def test_an_effect_that_is_missing_or_doubled_makes_the_round_an_error() -> None:
    """Every event has one order, one stamp and one outgoing event."""
    check_effects({"orders": 5, "handled events": 5}, 5)
    with pytest.raises(MeasurementFailed, match="orders"):
        check_effects({"orders": 6, "handled events": 5}, 5)


def outcome(**found: int) -> str:
    facts = {"requests": 100, "duration_us": 2_000_000, "p50_us": 1500, "p99_us": 9000, "refused": 0, "broken": 0}
    return "Running\nOUTCOME " + str({**facts, **found}).replace("'", '"') + "\n"


def test_what_the_generator_prints_is_read() -> None:
    """Seconds and milliseconds of its microseconds."""
    assert read_outcome(outcome()) == Outcome(100, 2.0, 1.5, 9.0)


@pytest.mark.parametrize("found", [{"refused": 1}, {"broken": 1}, {"requests": 0}])
def test_a_refused_or_broken_request_makes_the_round_an_error(found: dict[str, int]) -> None:
    """Refusing is faster than doing."""
    with pytest.raises(MeasurementFailed):
        read_outcome(outcome(**found))


def test_a_generator_that_says_nothing_makes_the_round_an_error() -> None:
    """Its own words are passed on."""
    with pytest.raises(MeasurementFailed, match="unable to connect"):
        read_outcome("", "unable to connect")


def test_cpu_is_counted_per_request_with_and_without_the_database() -> None:
    """In microseconds."""
    found = figures(Outcome(1000, 2.0, 1.0, 2.0), 0.5, 0.25)
    assert (found["per_s"], found["app_cpu_us"], found["cpu_us"]) == (500, 500, 750)


def test_the_cpu_of_a_tree_is_that_of_all_its_processes() -> None:
    """A name in /proc may hold spaces and brackets; children that ended are in their parent's count."""
    line = "7 (gunicorn: w) 1) S 3 7 7 0 -1 0 0 0 0 0 100 50 20 30 20 0 1 0 0"
    assert cpu.read_stat(line) == cpu.Process(7, 3, 200 / cpu._TICKS_PER_S)
    listed = [cpu.Process(9, 7, 4.0), cpu.Process(3, 1, 1.0), cpu.Process(7, 3, 2.0), cpu.Process(5, 1, 8.0)]
    assert cpu.tree_cpu_s(3, listed) == 7.0


def test_every_request_has_an_id_of_its_own_and_a_good_signature() -> None:
    """Repeated ids would write nothing; all bodies are of the one size that is counted."""
    made = list(bodies(3))
    assert len({read_envelope(body).event_id for body in made}) == 3
    assert {len(body) for body in made} == {BODY_BYTES}
    head, _, sent = request(made[0], 1_000_000).partition(b"\r\n\r\n")
    signature = head.partition(b"Stripe-Signature: ")[2].decode()
    assert check_signature(sent, signature, (SECRET,), now_s=1_000_000) == 0


def test_requests_lie_in_the_file_at_multiples_of_their_size(tmp_path: Path) -> None:
    """So that the generator can go on where the warm-up ended."""
    made = write_requests(tmp_path / "requests", 4)
    assert made.path.stat().st_size == made.size * made.total
    with made.path.open("rb") as file:
        file.seek(3 * made.size)
        assert file.read(made.size).startswith(b"POST ")


def test_every_candidate_comes_first_in_turn() -> None:
    """None always runs after the same one."""
    three = [Candidate(name, uvicorn("none")) for name in "abc"]
    orders = ["".join(one.name for one in turned(three, number)) for number in range(4)]
    assert orders == ["abc", "bca", "cab", "abc"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = databases.ours_sqlite(tmp_path).fresh()
    receive(url, 3)
    made = blocking_store(url)
    run_blocking(made.prepare())
    yield made
    run_blocking(made.close())


def test_the_shop_has_its_sessions_paid_and_waiting(store: Store, tmp_path: Path) -> None:
    """Each with the whole body, so that they are counted as the intake's are."""
    assert databases.ours_sqlite(tmp_path).count("") == 3
    assert len(run_blocking(store.claim(limit=10, lease_s=30))) == 3


def test_what_the_shop_sold_is_what_is_paid(store: Store) -> None:
    """Its events settle: one that differed from its cart would be quarantined, and no order would be written."""
    settings = Settings.of(stripe_secret_key="sk_test_bench", stripe_webhook_secret=SECRET)
    payments, told = Payments(settings, store=store, gateway=MemoryGateway(), runner=False), list[PaymentSuccessful]()

    @payments.on(PaymentSuccessful)
    def order(event: PaymentSuccessful) -> None:
        told.append(event)

    assert payments.run_due() == 3
    assert [event.amount for event in told] == [Money(5998, "usd")] * 3
