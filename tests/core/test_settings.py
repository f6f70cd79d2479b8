"""Settings: every mistake is one sentence that names the variable, and no secret is ever shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from payments_core import AsyncPayments, ConfigurationError, Payments, Settings
from payments_core.adapters.memory import MemoryGateway, MemoryStore
from payments_core.drive import run_blocking
from payments_core.settings import checked_webhook_secrets, is_loopback

TEST: dict[str, Any] = {"stripe_secret_key": "sk_test_51Abc"}
LIVE: dict[str, Any] = {
    "stripe_secret_key": "sk_live_51Abc",
    "payments_price_policy": "catalog",
    "payments_redirect_hosts": "shop.example.net",
}
LONG_SECRET = "whsec_" + "a1B2" * 8


def is_one_sentence(message: str) -> bool:
    return message.endswith(".") and "\n" not in message and ". " not in message.replace("etc. ", "")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is set on this machine is not the test's business."""
    for name in [*Settings.model_fields]:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("changes", "variable", "words"),
    [
        ({"stripe_secret_key": ""}, "STRIPE_SECRET_KEY", "is empty"),
        ({"stripe_secret_key": "  "}, "STRIPE_SECRET_KEY", "is empty"),
        ({"stripe_secret_key": "pk_test_51Abc"}, "STRIPE_SECRET_KEY", "publishable key"),
        ({"stripe_secret_key": "whsec_abcdef"}, "STRIPE_SECRET_KEY", "webhook signing secret"),
        ({"stripe_secret_key": "sk_test_..."}, "STRIPE_SECRET_KEY", "no Stripe secret key"),
        ({"stripe_secret_key": "sk_test_your_key"}, "STRIPE_SECRET_KEY", "no Stripe secret key"),
        ({"stripe_secret_key": "sk_test_CHANGEME"}, "STRIPE_SECRET_KEY", "no Stripe secret key"),
        ({"stripe_secret_key": "sk_test_"}, "STRIPE_SECRET_KEY", "no Stripe secret key"),
        ({"stripe_secret_key": "sk_prod_51Abc"}, "STRIPE_SECRET_KEY", "no Stripe secret key"),
        ({"stripe_secret_key": "sk_test_51 Abc"}, "STRIPE_SECRET_KEY", "no Stripe secret key"),
        ({"stripe_secret_key": "sk_test_51Abc\nX-Injected: 1"}, "STRIPE_SECRET_KEY", "no Stripe secret key"),
        ({"stripe_secret_key": 7}, "STRIPE_SECRET_KEY", "cannot be used"),
        ({"stripe_secret_key": None}, "STRIPE_SECRET_KEY", "cannot be used"),
        ({"stripe_api_base": "https://api.stripe.com"}, "STRIPE_API_BASE", "loopback"),
        ({"stripe_api_base": "http://10.0.0.1:12111"}, "STRIPE_API_BASE", "loopback"),
        ({"stripe_api_base": "http://127.0.0.1.evil.test"}, "STRIPE_API_BASE", "loopback"),
        ({"stripe_api_base": "http://127.0.0.1@evil.test"}, "STRIPE_API_BASE", "loopback"),
        ({"stripe_api_base": "ftp://127.0.0.1"}, "STRIPE_API_BASE", "loopback"),
        ({"stripe_api_base": "127.0.0.1:12111"}, "STRIPE_API_BASE", "loopback"),
        ({"stripe_api_base": "http://127.0.0.1/v1"}, "STRIPE_API_BASE", "loopback"),
        ({"stripe_api_base": "http://[::1"}, "STRIPE_API_BASE", ""),
        ({"port": 0}, "PORT", "cannot be used"),
        ({"port": 65536}, "PORT", "cannot be used"),
        ({"port": "http"}, "PORT", "cannot be used"),
        ({"payments_currency": "xyz"}, "PAYMENTS_CURRENCY", "no currency"),
        ({"payments_currency": ""}, "PAYMENTS_CURRENCY", "no currency"),
        ({"payments_price_policy": "free"}, "PAYMENTS_PRICE_POLICY", "'catalog' or 'declared'"),
        ({"payments_foreign": "maybe"}, "PAYMENTS_FOREIGN", "'tell' or 'ignore'"),
        ({"payments_app": "my shop"}, "PAYMENTS_APP", "letters, digits"),
        ({"payments_app": "x" * 101}, "PAYMENTS_APP", "1 to 100"),
        ({"payments_account": "1234"}, "PAYMENTS_ACCOUNT", "no Stripe account id"),
        ({"payments_redirect_hosts": "https://shop.test"}, "PAYMENTS_REDIRECT_HOSTS", "no host name"),
        ({"payments_redirect_hosts": "shop.test/path"}, "PAYMENTS_REDIRECT_HOSTS", "no host name"),
        ({"payments_redirect_hosts": "*"}, "PAYMENTS_REDIRECT_HOSTS", "no host name"),
        ({"payments_redirect_hosts": "a.test, b c"}, "PAYMENTS_REDIRECT_HOSTS", "no host name"),
        ({"payments_trusted_proxies": "10.0.0.0/99"}, "PAYMENTS_TRUSTED_PROXIES", "no address"),
        ({"payments_trusted_proxies": "proxy.internal"}, "PAYMENTS_TRUSTED_PROXIES", "no address"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_about_the_variable(
    changes: dict[str, Any], variable: str, words: str
) -> None:
    """Which variable, and what to put there; nothing of pydantic's shape comes through."""
    with pytest.raises(ConfigurationError, match=f"^{variable} .*{words}") as refused:
        Settings.of(**{**TEST, **changes})
    assert is_one_sentence(str(refused.value)), str(refused.value)
    assert refused.value.__suppress_context__


def test_a_key_is_required() -> None:
    """Without one nothing starts, and the sentence says where to get it."""
    with pytest.raises(ConfigurationError, match="^STRIPE_SECRET_KEY is not set; put your Stripe secret key"):
        Settings.from_env()


@pytest.mark.parametrize(
    ("missing", "variable"),
    [("payments_price_policy", "PAYMENTS_PRICE_POLICY"), ("payments_redirect_hosts", "PAYMENTS_REDIRECT_HOSTS")],
)
@pytest.mark.parametrize("key", ["sk_live_51Abc", "rk_live_51Abc"])
def test_a_live_key_has_no_defaults_where_money_is_at_stake(missing: str, variable: str, key: str) -> None:
    """Policy and redirect hosts must be said; a test key has defaults for both."""
    values = {**LIVE, "stripe_secret_key": key}
    assert Settings.of(**values).livemode
    del values[missing]
    with pytest.raises(ConfigurationError, match=f"^{variable} is not set, and a live key has no default") as refused:
        Settings.of(**values)
    assert is_one_sentence(str(refused.value))


def test_a_live_key_never_goes_to_a_stand_in() -> None:
    """The sandbox must not learn it."""
    with pytest.raises(ConfigurationError, match="^STRIPE_API_BASE is set beside a live key"):
        Settings.of(**LIVE, stripe_api_base="http://127.0.0.1:12111")


def test_a_test_keys_defaults() -> None:
    """Declared prices, any https host, SQLite, no broker: a first day without configuration."""
    settings = Settings.of(**TEST)
    assert (settings.livemode, settings.price_policy, settings.payments_redirect_hosts) == (False, "declared", ())
    assert (settings.port, settings.payments_currency, settings.kafka_brokers) == (3006, "usd", ())
    assert settings.payments_database_url.get_secret_value() == "sqlite:///payments.db"
    assert settings.payments_foreign == "tell"


def test_blank_optional_variables_are_unset() -> None:
    """As compose files pass them."""
    blank = dict.fromkeys(
        ["stripe_webhook_secret", "stripe_api_base", "payments_redis_url", "payments_app", "payments_account",
         "payments_price_policy", "kafka_brokers", "payments_redirect_hosts"], " ",
    )  # fmt: skip
    settings = Settings.of(**TEST, **blank)
    assert settings == Settings.of(**TEST)


def test_values_are_tidied() -> None:
    """Spaces around list entries, a slash behind the base, capitals in hosts and currencies."""
    settings = Settings.of(
        stripe_secret_key=" sk_test_51Abc ",
        stripe_api_base="http://localhost:12111/",
        payments_currency="EUR",
        payments_redirect_hosts="Shop.Test , *.shop.test,[::1]:8000,",
        kafka_brokers="a:9092, b:9092",
        payments_trusted_proxies="10.0.0.0/8,127.0.0.1",
    )
    assert settings.stripe_secret_key.get_secret_value() == "sk_test_51Abc"
    assert settings.stripe_api_base == "http://localhost:12111"
    assert settings.payments_currency == "eur"
    assert settings.payments_redirect_hosts == ("shop.test", "*.shop.test", "[::1]:8000")
    assert settings.kafka_brokers == ("a:9092", "b:9092")


def test_the_environment_is_read_by_from_env_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyword argument wins over its variable; `of` looks at nothing but its arguments."""
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_fromenv")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_fromenv")
    monkeypatch.setenv("PORT", "4000")
    monkeypatch.setenv("PAYMENTS_REDIRECT_HOSTS", "a.test,b.test")
    settings = Settings.from_env(port=5000)
    assert settings.stripe_secret_key.get_secret_value() == "sk_test_fromenv"
    assert (settings.port, settings.payments_redirect_hosts) == (5000, ("a.test", "b.test"))
    alone = Settings.of(**TEST)
    assert (alone.port, alone.stripe_webhook_secret, alone.payments_redirect_hosts) == (3006, None, ())


def test_a_mistake_in_the_environment_is_the_same_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the value comes from."""
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_51Abc")
    monkeypatch.setenv("PORT", "many")
    with pytest.raises(ConfigurationError, match="^PORT cannot be used"):
        Settings.from_env()


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (None, "is not set"),
        ("", "is not set"),
        ("   ", "is not set"),
        (" , ", "is blank or has an empty entry"),
        ("whsec_good_one,", "is blank or has an empty entry"),
        ("whsec_", "too short"),
        ("whsec_abc", "too short"),
        ("changeme", "placeholder"),
        ("whsec_changeme", "placeholder"),
        ("whsec_...", "placeholder"),
        ("whsec_…", "placeholder"),
        ("whsec_your_secret", "placeholder"),
        ("whsec_<secret>", "placeholder"),
        ("whsec_xxxxxxxx", "placeholder"),
        ("sk_test_51Abc", "holds an API key"),
        ("pk_live_51Abc", "holds an API key"),
        ("rk_test_51Abc", "holds an API key"),
        ("secret12345", "is no signing secret"),
        ("WHSEC_abcdef", "is no signing secret"),
        ("whsec_abc def", "is no signing secret"),
        ("whsec_abcdéf", "is no signing secret"),
        ("whsec_good_one, sk_test_51Abc", "holds an API key"),
    ],
)
def test_a_webhook_secret_that_opens_the_door_is_refused(secret: str | None, words: str) -> None:
    """S02: one sentence, the variable, and not a character of the value."""
    settings = Settings.of(**TEST, stripe_webhook_secret=secret)
    with pytest.raises(ConfigurationError, match=f"^STRIPE_WEBHOOK_SECRET .*{words}") as refused:
        settings.webhook_secrets()
    message = str(refused.value)
    assert message.count("STRIPE_WEBHOOK_SECRET") == 1
    assert is_one_sentence(message)
    shown = message.replace("whsec_…", "").replace("is no signing secret", "")
    assert secret is None or len(secret.strip(" ,")) < 8 or secret not in shown


def test_such_a_secret_is_refused_where_webhooks_are_received_and_nowhere_else() -> None:
    """A process that only opens checkouts may have whatever stands there."""
    settings = Settings.of(**TEST, stripe_webhook_secret="whsec_changeme")
    blocking = Payments(settings, store=MemoryStore(), gateway=MemoryGateway())
    with pytest.raises(ConfigurationError, match="STRIPE_WEBHOOK_SECRET still holds a placeholder"):
        blocking.require_webhook_secret()
    with pytest.raises(ConfigurationError, match="STRIPE_WEBHOOK_SECRET still holds a placeholder"):
        run_blocking(blocking.core.receive_webhook(b"{}", "t=1,v1=a"))
    asynchronous = AsyncPayments(settings, store=MemoryStore(io="async"), gateway=MemoryGateway(io="async"))
    with pytest.raises(ConfigurationError, match="STRIPE_WEBHOOK_SECRET still holds a placeholder"):
        asynchronous.require_webhook_secret()


@pytest.mark.parametrize("build", [Payments, AsyncPayments])
def test_a_missing_secret_is_required_on_request(build: Any) -> None:
    """Routers ask for it unless they have no webhook route."""
    io = "blocking" if build is Payments else "async"
    payments = build(Settings.of(**TEST), store=MemoryStore(io=io), gateway=MemoryGateway(io=io))
    with pytest.raises(ConfigurationError, match="^STRIPE_WEBHOOK_SECRET is not set.*webhooks=False"):
        payments.require_webhook_secret()


def test_live_money_needs_a_long_secret() -> None:
    """Short ones are for tests."""
    short = Settings.of(**LIVE, stripe_webhook_secret="whsec_test_secret")
    with pytest.raises(ConfigurationError, match="too short"):
        short.webhook_secrets()
    assert Settings.of(**LIVE, stripe_webhook_secret=LONG_SECRET).webhook_secrets() == (LONG_SECRET,)


def test_several_secrets_are_current_while_one_is_rolled() -> None:
    """Comma-separated, in this order, spaces dropped."""
    settings = Settings.of(**TEST, stripe_webhook_secret=" whsec_old_one , whsec_new_one ")
    assert settings.webhook_secrets() == ("whsec_old_one", "whsec_new_one")
    assert checked_webhook_secrets(["whsec_old_one "]) == ("whsec_old_one",)


def test_no_secret_in_any_repr() -> None:
    """Of the settings, their dump, the facade's core or the intake."""
    secrets = {
        "stripe_secret_key": "sk_test_canary1",
        "stripe_webhook_secret": "whsec_canary2",
        "payments_database_url": "postgresql://u:canary3@db/x",
        "payments_redis_url": "redis://:canary4@cache",
    }
    settings = Settings.of(**secrets)
    payments = Payments(settings, store=MemoryStore(), gateway=MemoryGateway())
    assert payments.core.intake is not None
    for shown in (
        repr(settings),
        str(settings),
        repr(settings.model_dump()),
        repr(payments.core),
        settings.model_dump_json(),
    ):
        assert "canary" not in shown


@pytest.mark.parametrize("field", ["stripe_secret_key", "payments_database_url", "stripe_webhook_secret"])
def test_no_secret_in_a_refusal(field: str) -> None:
    """A value of the wrong type is not quoted, nor reachable through the error."""
    with pytest.raises(ConfigurationError) as refused:
        Settings.of(**{**TEST, field: ["canary_value"]})
    error = refused.value
    assert "canary" not in f"{error}{error!r}{error.args}{error.__cause__!r}"


@pytest.mark.parametrize("url", ["redis", "http://cache:6379", "redis://", "cache:6379", "redis:canary@cache"])
def test_what_is_no_address_of_a_redis_is_refused(url: str) -> None:
    """Without quoting it: it may hold a password."""
    with pytest.raises(ConfigurationError, match="^PAYMENTS_REDIS_URL is no address of a Redis server") as refused:
        Settings.of(**TEST, payments_redis_url=url)
    assert is_one_sentence(str(refused.value))
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "end", [":port/0", *(f"?socket_timeout={one}" for one in ("x", "0", "-1", "nan", "inf", "61"))]
)
@pytest.mark.parametrize("build", [Payments, AsyncPayments])
def test_an_address_that_redis_cannot_read_stops_the_start(build: Any, end: str) -> None:
    """Not the first request; so does a time to wait for it that is none."""
    io = "blocking" if build is Payments else "async"
    settings = Settings.of(**TEST, payments_redis_url=f"redis://cache{end}")
    with pytest.raises(ConfigurationError, match="^PAYMENTS_REDIS_URL cannot be read"):
        build(settings, store=MemoryStore(io=io), gateway=MemoryGateway(io=io))


def test_a_stale_price_needs_a_remembered_one() -> None:
    """Asking for one without the other is a mistake that would show in an outage only."""
    with pytest.raises(ConfigurationError, match=r"PAYMENTS_PRICE_STALE_S is set, and PAYMENTS_PRICE_CACHE_S is 0"):
        Settings.of(**TEST, payments_price_cache_s=0, payments_price_stale_s=60)
    with pytest.raises(ConfigurationError, match="^PAYMENTS_PRICE_CACHE_S cannot be used"):
        Settings.of(**TEST, payments_price_cache_s=-1)
    settings = Settings.of(**TEST)
    assert (settings.payments_price_cache_s, settings.payments_price_stale_s) == (60, 0)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("60/minute", (60, 60)), (" 1/SECOND ", (1, 1)), ("5/hour", (5, 3600)), ("9/day", (9, 86_400)), ("off", None)],
)
def test_a_limit_is_a_number_and_a_span(text: str, rate: tuple[int, int] | None) -> None:
    """Or off."""
    assert Settings.of(**TEST, payments_limit_prices_per_address=text).limit("prices_per_address") == rate
    assert Settings.of(**TEST, payments_limit_prices_per_user=text).limit("prices_per_user") == rate


@pytest.mark.parametrize(
    "text", ["0/minute", "-1/minute", "60", "60/week", "1.5/hour", "x", "60 per minute", "10000000/day"]
)
def test_what_is_no_limit_stops_the_start(text: str) -> None:
    """A limit that was misspelt would be none."""
    with pytest.raises(ConfigurationError, match="^PAYMENTS_LIMIT_PRICES_PER_USER is no rate") as refused:
        Settings.of(**TEST, payments_limit_prices_per_user=text)
    assert is_one_sentence(str(refused.value))


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a rate, blank for the default, off for none."""
    monkeypatch.setenv("PAYMENTS_LIMIT_CHECKOUTS_PER_USER", "7/hour")
    monkeypatch.setenv("PAYMENTS_LIMIT_CHECKOUTS_PER_ADDRESS", "")
    monkeypatch.setenv("PAYMENTS_LIMIT_DECLINES_PER_USER", "off")
    settings = Settings.from_env(**TEST, payments_price_policy="catalog")
    assert settings.limit("checkouts_per_user") == (7, 3600)
    assert settings.limit("checkouts_per_address") == (60, 60)
    assert settings.limit("declines_per_user") is None


def test_settings_cannot_be_changed() -> None:
    """A deployment's configuration is what it started with."""
    with pytest.raises(ValueError, match="frozen"):
        Settings.of(**TEST).port = 1


@pytest.mark.parametrize("host", ["localhost", "api.localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_this_machine(host: str) -> None:
    """Names and addresses that never leave it."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [None, "", "10.0.0.1", "localhost.evil.test", "evil-localhost", "0.0.0.0", "::", "127.1"],  # noqa: S104
)
def test_other_machines(host: str | None) -> None:
    """Everything else, unspecified addresses and odd spellings included."""
    assert not is_loopback(host)


@pytest.mark.parametrize("build", [Settings.of, Settings.from_env, Payments.from_env, AsyncPayments.from_env])
def test_a_name_that_is_no_setting_is_refused(build: Callable[..., object]) -> None:
    """A misspelt keyword is not ignored, and the right one is suggested."""
    with pytest.raises(ConfigurationError, match="no setting 'payments_foreing'; did you mean payments_foreign"):
        build(stripe_secret_key="sk_test_123", payments_foreing="ignore")


def test_what_the_constructor_takes_passes_through_from_env() -> None:
    """`from_env` gives the store and the like to the constructor, and settings to the settings."""
    store = MemoryStore()
    payments = Payments.from_env(stripe_secret_key="sk_test_123", store=store, payments_currency="eur", runner=False)
    assert payments.core.store is store
    assert payments.core.settings.payments_currency == "eur"
