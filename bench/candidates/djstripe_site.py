"""A Django project with dj-stripe, as its documentation has it, under gunicorn.

Measured in its cheaper form: the event is verified and stored, and the handler that would then write the session into
dj-stripe's own tables is taken off. BENCH_DJSTRIPE=prepare, run as a module, makes the tables and the endpoint.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

from bench.candidates.place import database_url, secret

_parts = urlsplit(database_url())
ENDPOINT = "5f0a3b1e-3b1a-4a4e-9a55-7d0d5c9b2f10"
settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _parts.path.strip("/"),
            "USER": _parts.username,
            "PASSWORD": _parts.password,
            "HOST": _parts.hostname,
            "PORT": _parts.port,
            "CONN_MAX_AGE": None,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djstripe"],
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"stderr": {"class": "logging.StreamHandler"}},
        "root": {"handlers": ["stderr"], "level": "ERROR"},
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="of the bench",
    STRIPE_LIVE_MODE=False,
    STRIPE_TEST_SECRET_KEY="sk_test_51Bench0000000000000000000",
    USE_TZ=True,
)
django.setup()

import stripe  # noqa: E402
from django.dispatch import Signal  # noqa: E402
from djstripe.signals import WEBHOOK_SIGNALS  # noqa: E402
from djstripe.views import ProcessWebhookView  # noqa: E402

# Whatever would ask Stripe fails at once instead.
stripe.api_base = "http://127.0.0.1:9"
WEBHOOK_SIGNALS["checkout.session.completed"] = Signal()


urlpatterns = [
    path("api/payments/webhooks/stripe", ProcessWebhookView.as_view(), {"uuid": ENDPOINT}),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
]
app = get_wsgi_application()


def prepare() -> None:
    """Make the tables, the account that the key belongs to, and the endpoint."""
    from django.core.management import call_command
    from djstripe.models import Account, APIKey, WebhookEndpoint

    call_command("migrate", verbosity=0)
    account = Account.objects.create(id="acct_bench", livemode=False)
    APIKey.objects.create(
        id="ak_bench",
        type="secret",
        secret="sk_test_51Bench0000000000000000000",
        livemode=False,
        djstripe_owner_account=account,
    )
    WebhookEndpoint.objects.create(
        id="we_bench",
        djstripe_uuid=ENDPOINT,
        secret=secret(),
        url="http://127.0.0.1",
        livemode=False,
        enabled_events=["*"],
        status="enabled",
        djstripe_owner_account=account,
    )


if os.environ.get("BENCH_DJSTRIPE") == "prepare":
    prepare()
