"""What is made of the facts: decisions alone, nothing is looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from payments_core.domain.account import API_VERSION, Greeting, WebhookEndpoint
from payments_core.domain.diagnosis.clocks import ahead_s, examine_database_clock, examine_stripe_clock
from payments_core.domain.diagnosis.configuration import examine_settings
from payments_core.domain.diagnosis.database import DatabaseFacts, PostgresqlFacts, SqliteFacts, examine_database
from payments_core.domain.diagnosis.endpoints import PRICE_EVENTS, Expected, examine_endpoints, shown
from payments_core.domain.diagnosis.findings import Check, Finding, Outcome, Report, listed
from payments_core.domain.diagnosis.services import RedisFacts, examine_redis
from payments_core.domain.diagnosis.stripe_account import examine_greeting, is_accepted
from payments_core.domain.diagnosis.work import WorkFacts, examine_work
from payments_core.domain.news import INVOICE_EVENTS, PAYMENT_EVENTS
from payments_core.domain.pricing import changes_prices
from payments_core.domain.signature import TOLERANCE_S, check_signature, sign
from payments_core.errors import InvalidSignature, StripeError
from payments_core.http.routes import STRIPE_WEBHOOK
from payments_core.settings import Settings
from tests.doctor.conftest import CANARY, NEEDED, ROUTE

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
LIVE = {
    "stripe_secret_key": f"rk_live_{CANARY}",
    "stripe_webhook_secret": f"whsec_{CANARY * 3}",
    "payments_price_policy": "catalog",
    "payments_redirect_hosts": "shop.example",
    "payments_trusted_proxies": "10.0.0.0/8",
}
SERVER = PostgresqlFacts(
    is_replica=False, fsync=True, full_page_writes=True, synchronous_commit="on", its_default="on", ahead_s=0
)
FILE = SqliteFacts(version=(3, 40, 1), wal_fixed_in=(3, 51, 3), is_wal=False, synchronous=3)
WORK = WorkFacts(oldest_unhandled_s=0, revivable=0, unreadable=0, quarantined=0, backlog=0, parked=0)
ENDPOINT = WebhookEndpoint("we_1", ROUTE, frozenset(NEEDED), is_enabled=True, api_version=API_VERSION)
OURS = Expected(route=STRIPE_WEBHOOK.path, livemode=True, has_account=False, remembers_prices=False)


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    found = {one.name: one for one in findings}
    assert len(found) == len(findings)
    return found


def bad(findings: list[Finding]) -> dict[str, str]:
    """Names and outcomes of what is not well."""
    return {one.name: one.outcome.value for one in findings if one.outcome in (Outcome.WARNING, Outcome.FAILED)}


def configured(**changes: Any) -> list[Finding]:
    found = examine_settings(Settings.of(**{**LIVE, **changes}))
    assert CANARY not in str(found)
    return found


# Settings


def test_a_good_live_configuration_has_nothing_to_say() -> None:
    """Every check is ok."""
    assert bad(configured()) == {}


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("sk_live_x1", "An unrestricted key of live mode."),
        ("rk_live_x1", "A restricted key of live mode."),
        ("sk_test_x1", "An unrestricted key of test mode."),
    ],
)
def test_the_key_is_described_and_not_shown(key: str, told: str) -> None:
    """Its mode and its kind."""
    assert by_name(configured(stripe_secret_key=key))["secret key"].found == told


@pytest.mark.parametrize(
    ("secrets", "outcome", "told"),
    [
        (None, "failed", "is not set"),
        ("whsec_change_me", "failed", "still holds a placeholder"),
        ("sk_live_51abcdefghijklmnop", "failed", "holds an API key"),
        (f"whsec_{CANARY * 3},,", "failed", "has an empty entry"),
        (f"whsec_{CANARY}", "failed", "too short"),
        (f"whsec_{CANARY * 3}, whsec_{CANARY * 3}", "warning", "one of them is there twice"),
        (f"whsec_{CANARY * 3},whsec_{CANARY * 4}", "ok", "2 signing secrets"),
    ],
)
def test_webhook_secrets_are_counted_and_judged(secrets: str | None, outcome: str, told: str) -> None:
    """S07 among them: one value that is there twice."""
    found = by_name(configured(stripe_webhook_secret=secrets))["webhook secrets"]
    assert (found.outcome.value, told in found.found) == (outcome, True)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"payments_price_policy": "declared"}, {"price policy": "warning"}),
        ({"payments_redirect_hosts": "shop.example,localhost:3000"}, {"redirect hosts": "warning"}),
        ({"payments_redirect_hosts": "127.0.0.1"}, {"redirect hosts": "warning"}),
        ({"payments_redirect_hosts": "[::1]:3000"}, {"redirect hosts": "warning"}),
        ({"payments_redirect_hosts": "shop.example:8443,*.shop.example,localhost.example"}, {}),
        ({"payments_trusted_proxies": ""}, {"trusted proxies": "warning"}),
        ({"payments_trusted_proxies": "unix,0.0.0.0/0"}, {"trusted proxies": "warning"}),
        ({"payments_trusted_proxies": "::/0"}, {"trusted proxies": "warning"}),
        ({"payments_trusted_proxies": "unix"}, {}),
        ({"stripe_secret_key": "sk_test_x1", "payments_price_policy": "declared"}, {}),
        ({"stripe_secret_key": "sk_test_x1", "payments_price_policy": None}, {"price policy": "warning"}),
        ({"stripe_secret_key": "sk_test_x1", "payments_redirect_hosts": ""}, {"redirect hosts": "warning"}),
        ({"stripe_secret_key": "sk_test_x1", "payments_trusted_proxies": ""}, {}),
        ({"stripe_secret_key": "sk_test_x1", "stripe_api_base": "http://127.0.0.1:12111"}, {}),
    ],
)
def test_settings_are_judged_by_the_mode_of_the_key(changes: dict[str, Any], wrong: dict[str, str]) -> None:
    """What a live key needs, and what nobody wants beside one."""
    assert bad(configured(**changes)) == wrong


def test_without_limits_by_address_no_proxy_is_missed() -> None:
    """Under `declared` the shop's own servers are the callers."""
    findings = configured(payments_price_policy="declared", payments_trusted_proxies="")
    assert bad(findings) == {"price policy": "warning"}


# Clocks


@given(st.floats(-1e6, 1e6), st.floats(0, 60), st.floats(0, 1))
def test_a_difference_is_seen_whatever_the_way_takes(difference_s: float, way_s: float, share: float) -> None:
    """Never more than there is, never of the wrong sign, and short of it by the way and a step at most."""
    said = NOW - timedelta(seconds=difference_s)
    truly_asked = NOW - timedelta(seconds=way_s * share)
    found = ahead_s(truly_asked, said, truly_asked + timedelta(seconds=way_s), step_s=1)
    assert found * difference_s >= 0
    assert abs(found) <= abs(difference_s) + 1e-6
    assert abs(found - difference_s) <= way_s + 1 + 1e-6


@pytest.mark.parametrize(
    ("difference_s", "outcome"),
    [(0, "ok"), (60, "ok"), (-61, "warning"), (61, "warning"), (300, "warning"), (301, "failed"), (-301, "failed")],
)
def test_stripes_clock_decides_by_the_tolerance_of_signatures(difference_s: float, outcome: str) -> None:
    """More than a minute is warned of, more than signatures bear has failed; the way is said."""
    found = examine_stripe_clock(difference_s)
    assert found.outcome.value == outcome
    if outcome != "ok":
        assert f"{abs(difference_s)} s {'ahead of' if difference_s > 0 else 'behind'} Stripe's" in found.found
    assert examine_database_clock(difference_s).outcome.value == ("ok" if outcome == "ok" else "warning")


@pytest.mark.parametrize("ahead", [-301, -300, 300, 301])
def test_what_has_failed_is_what_the_signature_check_refuses(ahead: int) -> None:
    """The two have one boundary: where the doctor says failed, a webhook that was signed now is refused."""
    now_s = int(NOW.timestamp())
    header = sign(b"{}", "whsec_secret", timestamp_s=now_s)
    has_failed = examine_stripe_clock(ahead).outcome is Outcome.FAILED
    try:
        check_signature(b"{}", header, ["whsec_secret"], now_s=now_s + ahead)
    except InvalidSignature:
        assert has_failed
    else:
        assert not has_failed
    assert abs(ahead) - TOLERANCE_S in (0, 1)


# Database


def database(engine: PostgresqlFacts | SqliteFacts | None, revision: str | None = "0006") -> list[Finding]:
    return examine_database(
        DatabaseFacts(engine=engine, revision=revision, needed="0006", is_sufficient=revision in ("0006", "0007"))
    )


@pytest.mark.parametrize(
    ("engine", "wrong"),
    [
        (SERVER, {}),
        (evolve(SERVER, fsync=False), {"durable": "failed"}),
        (evolve(SERVER, full_page_writes=False), {"durable": "failed"}),
        (evolve(SERVER, synchronous_commit="off"), {"durable": "failed"}),
        (evolve(SERVER, synchronous_commit="local"), {}),
        (evolve(SERVER, its_default="off"), {}),
        (evolve(SERVER, is_replica=True), {"durable": "failed"}),
        (evolve(SERVER, ahead_s=-70.0), {"clock": "warning"}),
        (FILE, {}),
        (evolve(FILE, synchronous=1), {"durable": "failed"}),
        (evolve(FILE, synchronous=2), {}),
        (evolve(FILE, is_wal=True), {"journal": "failed"}),
        (evolve(FILE, is_wal=True, version=(3, 51, 2)), {"journal": "failed"}),
        (evolve(FILE, is_wal=True, version=(3, 51, 3)), {}),
        (evolve(FILE, is_wal=True, version=(3, 52, 0)), {}),
        (None, {"reachable": "failed"}),
    ],
)
def test_what_would_lose_acknowledged_events_has_failed(engine: Any, wrong: dict[str, str]) -> None:
    """C08: each setting by itself."""
    assert bad(database(engine)) == wrong


@pytest.mark.parametrize(
    ("revision", "outcome"), [("0006", "ok"), ("0007", "ok"), ("0005", "failed"), (None, "failed")]
)
def test_a_schema_that_is_too_old_has_failed_and_a_newer_one_has_not(revision: str | None, outcome: str) -> None:
    """As `payments db check` says, with the command to run."""
    found = by_name(database(SERVER, revision))["schema"]
    assert found.outcome.value == outcome
    assert (found.todo is not None and "payments db upgrade" in found.todo) == (outcome == "failed")


def test_what_is_switched_off_is_named() -> None:
    """All of it at once."""
    both = by_name(database(evolve(SERVER, fsync=False, synchronous_commit="off")))["durable"]
    assert "fsync and synchronous_commit" in both.found
    assert "pooler" in str(both.todo)


# Work


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, {}),
        ({"oldest_unhandled_s": 299}, {}),
        ({"oldest_unhandled_s": 301}, {"received events": "warning"}),
        ({"oldest_unhandled_s": 901}, {"received events": "failed"}),
        ({"revivable": 1}, {"dead letters": "failed"}),
        ({"unreadable": 1}, {"dead letters": "warning"}),
        ({"unreadable": 1, "revivable": 2}, {"dead letters": "failed"}),
        ({"quarantined": 1}, {"quarantine": "warning"}),
        ({"backlog": 1000}, {}),
        ({"backlog": 1001}, {"outgoing events": "warning"}),
        ({"backlog": 3, "parked": 1}, {"outgoing events": "failed"}),
    ],
)
def test_what_keeps_an_order_from_its_effects_has_failed(changes: dict[str, Any], wrong: dict[str, str]) -> None:
    """And what wants to be looked at is warned of."""
    assert bad(examine_work(evolve(WORK, **changes), has_broker=True)) == wrong


def test_events_owed_to_a_broker_that_nobody_names_are_warned_of() -> None:
    """One is enough: nobody publishes it."""
    assert bad(examine_work(evolve(WORK, backlog=1), has_broker=False)) == {"outgoing events": "warning"}


# Redis


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        (RedisFacts("noeviction", 1), {}),
        (RedisFacts("allkeys-lru", 0), {}),
        (RedisFacts("allkeys-lru", 1), {"eviction": "warning"}),
        (RedisFacts("volatile-ttl", 1), {"eviction": "warning"}),
        (RedisFacts(), {}),
        (RedisFacts(failure="TimeoutError"), {"reachable": "failed"}),
        (RedisFacts(failure="AuthenticationError", refuses_us=True), {"reachable": "failed"}),
    ],
)
def test_a_redis_that_drops_counters_is_warned_of(facts: RedisFacts, wrong: dict[str, str]) -> None:
    """Where there is a limit on its memory that would bring it about."""
    assert bad(examine_redis(facts)) == wrong


# Stripe


def refusal(answered: int, code: str | None = None) -> StripeError:
    error = StripeError("Stripe refused the request. Look at it.", code)
    error.answered = answered
    return error


@pytest.mark.parametrize(
    ("greeting", "wrong"),
    [
        (Greeting(NOW, livemode=True, version=API_VERSION), {}),
        (Greeting(NOW, livemode=False, version=API_VERSION), {"mode": "failed"}),
        (Greeting(NOW, livemode=True, version="2020-08-27"), {"api version": "warning"}),
        (Greeting(), {}),
        (Greeting(NOW, refusal=refusal(401)), {"key accepted": "failed"}),
        (Greeting(NOW, refusal=refusal(403)), {}),
        (Greeting(NOW, refusal=refusal(403, "account_invalid")), {"key accepted": "failed"}),
        (Greeting(NOW, refusal=refusal(400)), {"key accepted": "failed"}),
        (Greeting(NOW - timedelta(seconds=400), refusal=refusal(401)), {"key accepted": "failed", "clock": "failed"}),
    ],
)
def test_an_answer_says_whether_the_key_is_taken_for_what_it_is(greeting: Greeting, wrong: dict[str, str]) -> None:
    """A key that may not read the balance is a key; one that Stripe does not know is none."""
    findings = examine_greeting(greeting, before=NOW, after=NOW, livemode=True)
    assert bad(findings) == wrong
    assert is_accepted(greeting) == ("key accepted" not in wrong)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, {}),
        ({"events": frozenset("*")}, {}),
        ({"events": frozenset({*NEEDED, "charge.refunded"})}, {}),
        *(({"events": frozenset(NEEDED) - {one}}, {"webhook endpoint": "failed"}) for one in NEEDED),
        ({"is_enabled": False}, {"webhook endpoint": "failed"}),
        ({"api_version": None}, {}),
        ({"api_version": "2024-06-20"}, {"event version": "warning"}),
        # The dispatcher alone may be mounted anywhere.
        ({"url": "https://shop.example/hooks"}, {}),
        ({"url": "http://[half"}, {}),
    ],
)
def test_an_endpoint_is_judged_by_what_it_is_sent(changes: dict[str, Any], wrong: dict[str, str]) -> None:
    """Each needed type by itself, and the form that means all of them."""
    assert bad(examine_endpoints([evolve(ENDPOINT, **changes)], OURS)) == wrong


def test_two_endpoints_may_share_the_types() -> None:
    """But not the address without a word: each event of both comes twice, signed with two secrets."""
    first, second = (evolve(ENDPOINT, id=f"we_{n}", events=frozenset(NEEDED[n::2])) for n in (0, 1))
    assert bad(examine_endpoints([first, second], OURS)) == {"one endpoint": "warning"}
    elsewhere = evolve(second, url=ROUTE.replace("shop", "other"))
    assert bad(examine_endpoints([first, elsewhere], OURS)) == {}
    assert bad(examine_endpoints([ENDPOINT, evolve(ENDPOINT, id="we_2", is_enabled=False)], OURS)) == {
        "webhook endpoint": "warning"
    }


def test_anothers_endpoint_does_not_stand_in_for_ours() -> None:
    """An endpoint at our route is taken for ours, and then it is the one that must be told."""
    anothers = evolve(ENDPOINT, id="we_2", url="https://erp.example/stripe", events=frozenset("*"))
    ours = evolve(ENDPOINT, events=frozenset({"charge.refunded"}))
    assert bad(examine_endpoints([anothers, ours], OURS)) == {"webhook endpoint": "failed"}
    assert bad(examine_endpoints([anothers, evolve(ours, is_enabled=False)], OURS)) == {"webhook endpoint": "failed"}


@pytest.mark.parametrize(
    ("expected", "outcome"),
    [
        (OURS, "failed"),
        (evolve(OURS, livemode=False), "warning"),
        (evolve(OURS, has_account=True), "warning"),
    ],
)
def test_no_endpoint_at_all_is_a_failure_where_real_money_comes(expected: Expected, outcome: str) -> None:
    """In test mode `stripe listen` may bring the events, and a connected account's come to its platform."""
    assert bad(examine_endpoints([], expected)) == {"webhook endpoint": outcome}


def test_types_that_only_some_need_are_mentioned() -> None:
    """Invoices, either type of which will do, and changes of remembered prices."""
    remembering = evolve(OURS, remembers_prices=True)
    bare = by_name(examine_endpoints([ENDPOINT], remembering))["webhook endpoint"]
    assert "invoice.paid" in bare.found
    assert "price.updated" in bare.found
    full = evolve(ENDPOINT, events=frozenset({*NEEDED, "invoice.payment_succeeded", *PRICE_EVENTS}))
    assert by_name(examine_endpoints([full], remembering))["webhook endpoint"].found.count(".") == ROUTE.count(".") + 1


def test_the_needed_types_are_those_that_bring_news() -> None:
    """The list of the pages is the one that the code acts on; none of our own kinds is asked of Stripe."""
    assert frozenset(NEEDED) == PAYMENT_EVENTS
    assert {"invoice.paid", "invoice.payment_succeeded"} == INVOICE_EVENTS
    assert all(changes_prices(kind, {}) for kind in PRICE_EVENTS)


@given(
    st.sampled_from(["https://", "http://user:token4711@", "https://token4711@"]),
    st.sampled_from(["hooks.example", "hooks.example:8443", "[::1]", "[::1]:80"]),
    st.sampled_from(["", "/", "/services/token4711", "/token4711/x"]),
    st.sampled_from(["", "?key=token4711", "#token4711"]),
)
def test_of_an_address_that_is_not_ours_only_the_host_is_shown(scheme: str, host: str, path: str, rest: str) -> None:
    """Other services put tokens into user names, paths and queries."""
    told = shown(f"{scheme}{host}{path}{rest}", STRIPE_WEBHOOK.path)
    assert "token4711" not in told
    assert host in told
    assert shown(f"{scheme}{host}/pay{STRIPE_WEBHOOK.path}{rest}", STRIPE_WEBHOOK.path).endswith(
        f"{host}/pay{STRIPE_WEBHOOK.path}"
    )


# Findings


def test_an_error_of_ours_is_split_into_what_happened_and_what_to_do() -> None:
    """By its semicolon or its sentences; one that says nothing to do is given something."""
    check = Check("redis", "reachable")
    split = check.broken("KAFKA_BROKERS is not set; put host:port there, as kafka-1:9092.", "Mend it.")
    assert (split.found, split.todo) == ("KAFKA_BROKERS is not set.", "Put host:port there, as kafka-1:9092.")
    sentences = check.broken("It could not be used (Error). Try again; if it lasts, look.", "Mend it.")
    assert (sentences.found, sentences.todo) == ("It could not be used (Error).", "Try again; if it lasts, look.")
    alone = check.broken("PORT cannot be used: 0 is too small.", "Mend it.")
    assert (alone.found, alone.todo) == ("PORT cannot be used: 0 is too small.", "Mend it.")


@given(st.lists(st.sampled_from(Outcome)))
def test_a_report_is_well_unless_something_failed(outcomes: list[Outcome]) -> None:
    """Or, strictly, was warned of; what was skipped is no fault."""
    report = Report([Finding("a", "b", outcome, "c") for outcome in outcomes])
    assert report.is_well(strict=False) == (Outcome.FAILED not in outcomes)
    assert report.is_well(strict=True) == (not {Outcome.FAILED, Outcome.WARNING} & set(outcomes))


def test_many_names_are_cut_short_and_counted() -> None:
    """Nobody reads fifty topics in a line."""
    assert listed([]) == "none"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefghijk")) == "a, b, c, d, e, f, g, h and 3 more"
