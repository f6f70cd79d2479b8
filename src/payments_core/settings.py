"""What a deployment configures, by the names of the environment and of the constructor alike.

Nothing is read when this module is imported. `Settings.from_env()` reads the environment once; every mistake comes
out as one ConfigurationError sentence that names the variable and says what to put there. Values that are secret
are `SecretStr`: no repr, log line or exception shows them.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .errors import ConfigurationError
from .money import CURRENCIES

_KEY = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9_]{1,255}")
#: What people leave in a template. A word counts only as a whole: real secrets are random letters and digits, and one
#: in a thousand has three x in a row.
_PLACEHOLDER = re.compile(
    r"(?i)((sk|rk)_(test|live)_|whsec_)?(change[_-]?me|your|example|placeholder|todo|replace|x{3,}|\.{3,}|…|<.*>|\*+)"
    r"([^a-z0-9].*)?"
)
#: Characters after `whsec_`. Stripe's own have 32 and more; tests like short ones, live money does not.
_SECRET_LENGTH_TEST = 4
_SECRET_LENGTH_LIVE = 24


def _comma_separated(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)]

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class Rate(NamedTuple):
    """At most so many in any `per_s` seconds; 0 stands for `off`: no limit."""

    most: int
    per_s: int

    @property
    def is_off(self) -> bool:
        """Whether there is no limit."""
        return self.most == 0


def _rate(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        return _blank_is_unset(value)
    if value.strip().lower() == "off":
        return Rate(0, 1)
    found = re.fullmatch(r"([1-9]\d{0,6})/(second|minute|hour|day)", value.strip().lower())
    if found is None:
        raise ValueError("is no rate; put a number and a span there, as 60/minute (second, minute, hour, day), or off")
    return Rate(int(found[1]), _SECONDS[found[2]])


Limit = Annotated[Rate | None, NoDecode, BeforeValidator(_rate)]
Optional = BeforeValidator(_blank_is_unset)


#: Where browsers reach the routes.
_PER_ADDRESS: Final = {
    "checkouts_per_address": Rate(60, 60),
    "prices_per_address": Rate(300, 60),
    "declines_per_address": Rate(20, 3600),
}


class BrokerSettings(BaseSettings):
    """Where Kafka is and how to speak to it: all that relays and consumers need. Nothing here is a Stripe secret."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, case_sensitive=False)

    kafka_brokers: Names = ()
    payments_topic_prefix: str = ""
    payments_kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    payments_kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    payments_kafka_sasl_username: Annotated[str | None, Optional] = None
    payments_kafka_sasl_password: Annotated[SecretStr | None, Optional] = None
    #: PEM files. Without a CA file the system's authorities are trusted.
    payments_kafka_ca_file: Annotated[str | None, Optional] = None
    payments_kafka_cert_file: Annotated[str | None, Optional] = None
    payments_kafka_key_file: Annotated[str | None, Optional] = None

    @classmethod
    def from_env(cls, **overrides: Any) -> Self:
        """Settings from the environment; a keyword argument of the same lower-case name wins over its variable.

        Raises ConfigurationError with one sentence for the first thing that is wrong.
        """
        _check_names(cls, overrides)
        try:
            return cls(**overrides)
        except ValidationError as wrong:
            raise ConfigurationError(_first_sentence(wrong)) from None

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Settings from these values alone: the environment is not looked at."""
        _check_names(cls, values)
        made = cls.__new__(cls)
        try:
            # Past BaseSettings, whose constructor and validation alike would look at the environment.
            BaseModel.__init__(made, **values)
        except ValidationError as wrong:
            raise ConfigurationError(_first_sentence(wrong)) from None
        return made

    @field_validator("kafka_brokers")
    @classmethod
    def _brokers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for broker in value:
            if not re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):\d{1,5}", broker):
                raise ValueError(
                    f"has {broker!r}, which is no address; put host:port there, as kafka-1:9092,kafka-2:9092"
                )
        return value

    @field_validator("payments_topic_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        # https://kafka.apache.org: topic names have at most 249 of these characters.
        if not re.fullmatch(r"[A-Za-z0-9._-]{0,100}", value):
            raise ValueError("takes at most 100 letters, digits and ._- (it begins the name of every topic)")
        return value

    @model_validator(mode="after")
    def _sasl_is_whole(self) -> Self:
        given = (self.payments_kafka_sasl_username, self.payments_kafka_sasl_password)
        if self.payments_kafka_security_protocol.startswith("SASL") and None in given:
            raise ValueError(
                "PAYMENTS_KAFKA_SECURITY_PROTOCOL asks for SASL; put the user's name and password in "
                "PAYMENTS_KAFKA_SASL_USERNAME and PAYMENTS_KAFKA_SASL_PASSWORD"
            )
        if not self.payments_kafka_security_protocol.startswith("SASL") and given != (None, None):
            raise ValueError(
                "PAYMENTS_KAFKA_SASL_USERNAME or its password is set, and would not be used; put SASL_SSL in "
                "PAYMENTS_KAFKA_SECURITY_PROTOCOL"
            )
        if (self.payments_kafka_cert_file is None) != (self.payments_kafka_key_file is None):
            raise ValueError("PAYMENTS_KAFKA_CERT_FILE and PAYMENTS_KAFKA_KEY_FILE belong together; set both or none")
        return self


class ConsumerSettings(BrokerSettings):
    """What a consumer of the published events needs: the broker, and the database of its own service."""

    payments_database_url: SecretStr = SecretStr("sqlite:///payments.db")
    #: Tries of a message before it is a dead letter.
    payments_consumer_max_attempts: int = Field(default=8, ge=1, le=1000)


class RelaySettings(BrokerSettings):
    """What a relay needs: the broker, the outbox's database, and in whose name it speaks."""

    payments_database_url: SecretStr = SecretStr("sqlite:///payments.db")
    payments_app: Annotated[str | None, Optional] = None

    @field_validator("payments_app")
    @classmethod
    def _app(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_.:-]{1,100}", value):
            raise ValueError("takes 1 to 100 letters, digits and _.:- (it is stamped on Stripe objects)")
        return value


class Settings(RelaySettings):
    """One deployment's configuration. Field names are the environment's, in lower case."""

    stripe_secret_key: SecretStr
    #: Comma-separated while a secret is being rolled; kept whole here so that it stays secret.
    stripe_webhook_secret: Annotated[SecretStr | None, Optional] = None
    #: Loopback only: the sandbox or stripe-mock.
    stripe_api_base: Annotated[str | None, Optional] = None
    port: int = Field(default=3006, ge=1, le=65535)
    payments_redis_url: Annotated[SecretStr | None, Optional] = None
    payments_currency: str = "usd"
    payments_price_policy: Annotated[Literal["catalog", "declared"] | None, Optional] = None
    #: How long a price is remembered; 0: Stripe is asked each time.
    payments_price_cache_s: int = Field(default=60, ge=0, le=86_400)
    #: How much longer a remembered price is an answer while Stripe cannot be reached; 0: it is none.
    payments_price_stale_s: int = Field(default=0, ge=0, le=86_400)
    payments_redirect_hosts: Names = ()
    payments_foreign: Literal["tell", "ignore"] = "tell"
    #: Requests that `payments consume-products` sends to Stripe in a second, at most. Stripe takes 25 of one endpoint.
    payments_catalogue_calls_per_s: int = Field(default=20, ge=1, le=100)
    payments_account: Annotated[str | None, Optional] = None
    payments_trusted_proxies: Names = ()
    #: Requests, by user and by address. Those by address are off under `declared` unless set: there, the shop's own
    #: servers are the callers, and all of a shop's buyers come from their addresses.
    payments_limit_checkouts_per_user: Limit = Rate(20, 60)
    payments_limit_checkouts_per_address: Limit = None
    payments_limit_prices_per_user: Limit = Rate(120, 60)
    payments_limit_prices_per_address: Limit = None
    #: Declined attempts to pay.
    payments_limit_declines_per_session: Limit = Rate(10, 86_400)
    payments_limit_declines_per_user: Limit = Rate(10, 3600)
    payments_limit_declines_per_address: Limit = None

    @property
    def livemode(self) -> bool:
        """Whether the API key is a live one."""
        return "_live_" in self.stripe_secret_key.get_secret_value()[:8]

    @property
    def price_policy(self) -> Literal["catalog", "declared"]:
        """The policy in force: as configured, else `declared`, which only a test key may leave unsaid."""
        return self.payments_price_policy or "declared"

    def limit(self, name: str) -> Rate | None:
        """The limit in force, by the end of its variable's name (`checkouts_per_address`); None for no limit."""
        rate: Rate | None = getattr(self, f"payments_limit_{name}")
        if rate is None:
            by_address = self.price_policy == "catalog" and name.endswith("_per_address")
            rate = _PER_ADDRESS[name] if by_address else None
        return None if rate is None or rate.is_off else rate

    def webhook_secrets(self) -> tuple[str, ...]:
        """The signing secrets, all of which are current (two while one is being rolled).

        Raises ConfigurationError where there is none, or one that could verify a forgery: empty, blank, a
        placeholder, too short, or an API key pasted by mistake.
        """
        value = self.stripe_webhook_secret
        text = value.get_secret_value() if value is not None else ""
        return checked_webhook_secrets(text.split(",") if text.strip() else (), livemode=self.livemode)

    @field_validator("stripe_secret_key")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value().strip()
        if not text:
            raise ValueError(
                "is empty; put your Stripe secret key there (sk_test_… from the Dashboard's API keys page)"
            )
        if text.startswith("pk_"):
            raise ValueError("holds a publishable key; put the secret key there (it starts with sk_ or rk_)")
        if text.startswith("whsec_"):
            raise ValueError("holds a webhook signing secret; put the API secret key there (sk_ or rk_)")
        if not _KEY.fullmatch(text) or _PLACEHOLDER.fullmatch(text):
            raise ValueError("is no Stripe secret key; put one there (it looks like sk_test_51Abc…)")
        return SecretStr(text)

    @field_validator("stripe_api_base")
    @classmethod
    def _api_base(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not is_loopback(parts.hostname) or parts.path not in ("", "/"):
            raise ValueError(
                "must be a loopback address such as http://127.0.0.1:12111 (the sandbox); leave it unset for Stripe"
            )
        return value.rstrip("/")

    @field_validator("payments_redis_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"(rediss?|unix)://.", value.get_secret_value()):
            raise ValueError(
                "is no address of a Redis server; put one there, as redis://:password@redis.internal:6379/0"
            )
        return value

    @field_validator("payments_currency")
    @classmethod
    def _currency(cls, value: str) -> str:
        if value.lower() not in CURRENCIES:
            raise ValueError("is no currency that Stripe charges in; put a three-letter code there, as usd")
        return value.lower()

    @field_validator("payments_account")
    @classmethod
    def _account(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"acct_[A-Za-z0-9]{1,100}", value):
            raise ValueError("is no Stripe account id; put one there (it looks like acct_1Abc…) or unset it")
        return value

    @field_validator("payments_redirect_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not re.fullmatch(r"(\*\.)?[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?", host):
                raise ValueError(
                    f"has {host!r}, which is no host name; put names there, as shop.example.com,localhost:3000"
                )
        return tuple(host.lower() for host in value)

    @field_validator("payments_trusted_proxies")
    @classmethod
    def _proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            if proxy == "unix":
                continue
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(
                    f"has {proxy!r}, which is no address; put addresses or networks there, as 10.0.0.0/8, or unix"
                ) from None
        return value

    @model_validator(mode="after")
    def _stale_needs_a_cache(self) -> Self:
        if self.payments_price_stale_s and not self.payments_price_cache_s:
            raise ValueError(
                "PAYMENTS_PRICE_STALE_S is set, and PAYMENTS_PRICE_CACHE_S is 0: nothing is remembered that could be "
                "stale; set both or neither"
            )
        return self

    @model_validator(mode="after")
    def _live_is_explicit(self) -> Self:
        if self.livemode and self.payments_price_policy is None:
            raise ValueError(
                "PAYMENTS_PRICE_POLICY is not set, and a live key has no default for it; put catalog there (prices are "
                "checked against Stripe) or declared (your own servers name the price)"
            )
        if self.livemode and not self.payments_redirect_hosts:
            raise ValueError(
                "PAYMENTS_REDIRECT_HOSTS is not set, and a live key has no default for it; put the hosts there that "
                "buyers may be sent back to, as shop.example.com"
            )
        if self.livemode and self.stripe_api_base is not None:
            raise ValueError("STRIPE_API_BASE is set beside a live key; unset it, or use a test key with the sandbox")
        return self


def checked_webhook_secrets(secrets: Sequence[str], *, livemode: bool = False) -> tuple[str, ...]:
    """The signing secrets stripped, or ConfigurationError for the first that would open the door to forgeries."""
    stripped = tuple(secret.strip() for secret in secrets)
    if not stripped:
        raise ConfigurationError(
            "STRIPE_WEBHOOK_SECRET is not set; put the endpoint's signing secret there (whsec_…, from the Dashboard or "
            "from `stripe listen`), or build the routes with webhooks=False."
        )
    for secret in stripped:
        reason = _weakness(secret, _SECRET_LENGTH_LIVE if livemode else _SECRET_LENGTH_TEST)
        if reason:
            raise ConfigurationError(
                f"STRIPE_WEBHOOK_SECRET {reason}; put the endpoint's signing secret there (whsec_…, from the Dashboard "
                "or from `stripe listen`)."
            )
    return stripped


def _weakness(secret: str, shortest: int) -> str | None:
    if not secret:
        return "is blank or has an empty entry"
    if re.match(r"(sk|rk|pk)_", secret):
        return "holds an API key"
    if _PLACEHOLDER.fullmatch(secret):
        return "still holds a placeholder"
    if not secret.startswith("whsec_") or not secret.isascii() or any(c.isspace() for c in secret):
        return "is no signing secret (it starts with whsec_)"
    return "is too short to be a signing secret" if len(secret) - len("whsec_") < shortest else None


def is_loopback(host: str | None) -> bool:
    """Whether `host` is this machine: `localhost`, 127.0.0.0/8 or ::1."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_names(settings: type[BrokerSettings], given: Iterable[str]) -> None:
    """A misspelt keyword would be a setting that silently is not set."""
    for name in given:
        if name not in settings.model_fields:
            close = difflib.get_close_matches(name, settings.model_fields, n=1)
            meant = f"; did you mean {close[0]}?" if close else "."
            raise ConfigurationError(f"There is no setting {name!r}{meant}")


def _first_sentence(wrong: ValidationError) -> str:
    error = wrong.errors(include_url=False, include_input=False)[0]
    variable = ".".join(str(part) for part in error["loc"]).upper()
    if error["type"] == "missing":
        return (
            f"{variable} is not set; put your Stripe secret key there (sk_test_… from the Dashboard's API keys page)."
        )
    message = error["msg"].removeprefix("Value error, ").rstrip(".")
    if not variable:
        return message + "."
    if error["type"] == "value_error":
        return f"{variable} {message}."
    return f"{variable} cannot be used: {message[0].lower()}{message[1:]}."
