"""`payments doctor` as people and programs meet it: what it prints, how it ends, and what it leaves alone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import stripe
from click.testing import CliRunner

from payments_core.adapters.sql import upgrade
from payments_core.cli import _group
from payments_core.sandbox import running
from tests.doctor.conftest import CANARY, ROUTE, Doctor, Run, endpoint, not_ok
from tests.gateway.stripe_server import StripeServer

COMMAND = "from payments_core.cli import main; main()"
DEADLINE_S = 180


def test_a_deployment_in_which_all_is_well_has_nothing_to_do(doctor: Doctor) -> None:
    """Everything that is configured is ok; what is not is skipped, with the reason."""
    found = doctor()
    assert not_ok(found) == {}
    skipped = {name: one["found"] for name, one in found.items() if one["outcome"] == "skipped"}
    assert set(skipped) == {("redis", "reachable"), ("kafka", "reachable"), ("database", "clock")}
    assert "PAYMENTS_REDIS_URL is not set" in skipped["redis", "reachable"]
    assert "KAFKA_BROKERS is not set" in skipped["kafka", "reachable"]


def test_each_finding_has_area_name_outcome_what_was_found_and_what_to_do(run: Run) -> None:
    """One JSON object, on stdout alone."""
    ran = run("--json", PAYMENTS_REDIRECT_HOSTS=None)
    report = json.loads(ran.stdout)
    assert ran.stderr == ""
    assert set(report) == {"ok", "counts", "findings"}
    assert report["ok"] is True
    assert report["counts"]["warning"] == 1
    assert sum(report["counts"].values()) == len(report["findings"])
    assert all(set(one) == {"area", "name", "outcome", "found", "todo"} for one in report["findings"])
    [warned] = [one for one in report["findings"] if one["outcome"] == "warning"]
    assert warned == {
        "area": "settings",
        "name": "redirect hosts",
        "outcome": "warning",
        "found": "PAYMENTS_REDIRECT_HOSTS is not set: with a test key buyers may be sent to any https host. A live key "
        "has no default, and does not start.",
        "todo": "Name the hosts that buyers may be sent back to, as shop.example.com.",
    }


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_warnings_fail_only_where_that_is_asked_for(run: Run, words: list[str]) -> None:
    """Exit 0, and 1 with --strict; nothing to warn of is 0 with it too."""
    assert run(*words, PAYMENTS_REDIRECT_HOSTS=None).exit_code == 0
    assert run("--strict", *words, PAYMENTS_REDIRECT_HOSTS=None).exit_code == 1
    assert run("--strict", *words).exit_code == 0


def test_wrong_usage_exits_with_two(run: Run) -> None:
    """As every command does."""
    assert run("--offlin").exit_code == 2
    assert run("now").exit_code == 2


def test_people_read_it_in_eighty_columns(run: Run, server: StripeServer) -> None:
    """Under a heading for each area, what to do below what was found, the counts at the end."""
    server.put(endpoint(status="disabled"))
    ran = run(PAYMENTS_REDIRECT_HOSTS=None)
    lines = ran.stdout.splitlines()
    assert ran.exit_code == 1
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line and not line.startswith(" ")][:-1] == [
        "Settings",
        "Database",
        "Work",
        "Redis",
        "Kafka",
        "Stripe",
    ]
    at = lines.index("  warning redirect hosts    PAYMENTS_REDIRECT_HOSTS is not set: with a test key")
    assert lines[at + 3] == " " * 28 + "-> Name the hosts that buyers may be sent back to,"
    assert lines[lines.index("  failed  webhook endpoint  Disabled:") + 1] == " " * 28 + f"{ROUTE}."
    assert lines[-1] == "17 ok, 1 warning, 1 failed, 3 skipped."
    assert "\x1b" not in ran.output


def test_offline_stripe_is_not_asked(run: Run, doctor: Doctor, server: StripeServer) -> None:
    """Not once; everything else is looked at."""
    found = doctor("--offline")
    assert server.requests == []
    assert {name: one["outcome"] for (area, name), one in found.items() if area == "stripe"} == {
        "key accepted": "skipped"
    }
    assert found["work", "dead letters"]["outcome"] == "ok"


def test_it_asks_stripe_for_nothing_but_what_is_read(run: Run, server: StripeServer) -> None:
    """Only GET, with any kind of key."""
    for kind in ("sk", "rk"):
        run(STRIPE_SECRET_KEY=f"{kind}_test_{CANARY}")
    assert {request.method for request in server.requests} == {"GET"}
    assert len(server.requests) > 8


def test_it_changes_nothing(run: Run, sqlite_url: str, tmp_path: Path) -> None:
    """Neither the file nor what lies beside it; and it makes none where there is none."""
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    before = (hashlib.sha256(file.read_bytes()).digest(), sorted(tmp_path.iterdir()))
    assert run().exit_code == 0
    assert (hashlib.sha256(file.read_bytes()).digest(), sorted(tmp_path.iterdir())) == before
    assert run(PAYMENTS_DATABASE_URL=f"sqlite:///{tmp_path / 'none.db'}").exit_code == 1
    assert sorted(tmp_path.iterdir()) == before[1]


def test_what_cannot_be_reached_keeps_nothing_else_from_being_looked_at(doctor: Doctor) -> None:
    """Each is a finding of its own, says what to do, and shows no password."""
    found = doctor(
        STRIPE_API_BASE="http://127.0.0.1:1",
        PAYMENTS_DATABASE_URL=f"postgresql://shop:{CANARY}@127.0.0.1:1/shop",
        PAYMENTS_REDIS_URL=f"redis://:{CANARY}@127.0.0.1:1/0",
        KAFKA_BROKERS="127.0.0.1:1",
        PAYMENTS_KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        PAYMENTS_KAFKA_SASL_USERNAME="shop",
        PAYMENTS_KAFKA_SASL_PASSWORD=CANARY,
    )
    assert not_ok(found) == {
        ("database", "reachable"): "failed",
        ("redis", "reachable"): "failed",
        ("kafka", "reachable"): "failed",
        ("stripe", "key accepted"): "failed",
    }
    assert found["work", "all of it"]["outcome"] == "skipped"
    assert found["stripe", "webhook endpoint"]["outcome"] == "skipped"
    assert "could not be reached" in found["stripe", "key accepted"]["found"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"STRIPE_SECRET_KEY": None}, "STRIPE_SECRET_KEY is not set."),
        ({"STRIPE_SECRET_KEY": f"pk_test_{CANARY}"}, "STRIPE_SECRET_KEY holds a publishable key."),
        ({"STRIPE_SECRET_KEY": f"whsec_{CANARY}"}, "STRIPE_SECRET_KEY holds a webhook signing secret."),
        ({"STRIPE_SECRET_KEY": f"sk_live_{CANARY}"}, "STRIPE_API_BASE is set beside a live key."),
        ({"STRIPE_API_BASE": "https://evil.example"}, "STRIPE_API_BASE must be a loopback address"),
        ({"PAYMENTS_PRICE_POLICY": "free"}, "PAYMENTS_PRICE_POLICY cannot be used"),
    ],
)
def test_variables_that_cannot_be_used_are_a_finding(
    doctor: Doctor, server: StripeServer, changes: dict[str, str | None], told: str
) -> None:
    """The database is looked at all the same; Stripe cannot be."""
    found = doctor(**changes)
    assert found["settings", "variables"]["found"].startswith(told)
    assert not_ok(found) == {("settings", "variables"): "failed"}
    assert found["database", "schema"]["outcome"] == "ok"
    assert found["stripe", "key accepted"]["outcome"] == "skipped"
    assert server.requests == []


def test_a_live_key_says_what_it_lacks(doctor: Doctor) -> None:
    """Without a price policy or hosts nothing would start."""
    live = {"STRIPE_SECRET_KEY": f"sk_live_{CANARY}", "STRIPE_API_BASE": None}
    for name in ("PAYMENTS_PRICE_POLICY", "PAYMENTS_REDIRECT_HOSTS"):
        found = doctor("--offline", **live, **{name: None})["settings", "variables"]
        assert found["found"].startswith(f"{name} is not set, and a live key has no default for it")
        assert found["todo"].startswith("Put ")


@pytest.mark.parametrize(
    ("secrets", "outcome"),
    [
        (None, "failed"),
        (f"sk_test_{CANARY}", "failed"),
        ("whsec_xxx", "failed"),
        (f"whsec_{CANARY},whsec_{CANARY}", "warning"),
    ],
)
def test_webhook_secrets_that_cannot_be_right_are_told(doctor: Doctor, secrets: str | None, outcome: str) -> None:
    """S07 and S02, without showing any."""
    assert not_ok(doctor(STRIPE_WEBHOOK_SECRET=secrets)) == {("settings", "webhook secrets"): outcome}


def test_the_program_looks_at_the_sandbox(tmp_path: Path) -> None:
    """The real command, the real sandbox: an endpoint that is there and is then disabled; no secret is printed."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    upgrade(url)
    with running(webhook_secret=f"whsec_{CANARY}") as sandbox:
        client = stripe.StripeClient(f"sk_test_{CANARY}", base_addresses={"api": sandbox.base_url})
        made = client.v1.webhook_endpoints.create({"url": ROUTE, "enabled_events": ["*"]})
        environment = {
            **os.environ,
            "STRIPE_SECRET_KEY": f"sk_test_{CANARY}",
            "STRIPE_WEBHOOK_SECRET": str(made.secret),
            "STRIPE_API_BASE": sandbox.base_url,
            "PAYMENTS_DATABASE_URL": url,
        }

        def look() -> subprocess.CompletedProcess[str]:
            line = [sys.executable, "-c", COMMAND, "doctor"]
            ran = subprocess.run(
                line, env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE_S, cwd=tmp_path
            )
            assert CANARY not in ran.stdout + ran.stderr
            assert str(made.secret) not in ran.stdout + ran.stderr
            assert ran.stderr == ""
            return ran

        well = look()
        assert well.returncode == 0
        assert "2 warnings" in well.stdout
        assert "Stripe answers in test mode" in well.stdout
        assert f"All that is needed is sent to\n{' ' * 28}{ROUTE}." in well.stdout
        client.v1.webhook_endpoints.update(made.id, {"disabled": True})
        disabled = look()
        assert disabled.returncode == 1
        assert f"Disabled:\n{' ' * 28}{ROUTE}." in disabled.stdout
        client.v1.webhook_endpoints.delete(made.id)
        none = look()
        assert (none.returncode, "There is none in test mode." in none.stdout) == (0, True)


def test_help_needs_nothing() -> None:
    """No settings, no database."""
    ran = CliRunner().invoke(_group(), ["doctor", "--help"])
    assert ran.exit_code == 0
    assert "--offline" in ran.output
