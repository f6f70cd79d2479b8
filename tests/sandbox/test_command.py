"""`payments sandbox` as a process, and the command line's root."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

DEADLINE_S = 30
PAYMENTS = [sys.executable, "-c", "from payments_core.cli import main; main()"]


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command with its first line of output; ended on leaving, whatever happened."""
    process = subprocess.Popen(
        [*PAYMENTS, "sandbox", "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_and_stops_cleanly(stop: signal.Signals) -> None:
    """The address is printed, answers, and a signal ends the process with status 0 and no words."""
    with started("--json") as (process, line):
        start = json.loads(line)
        headers = {"authorization": "Bearer sk_test_x"}
        reply = requests.get(f"{start['url']}/v1/account", headers=headers, timeout=DEADLINE_S)
        process.send_signal(stop)
        out, err = process.communicate(timeout=DEADLINE_S)

    assert reply.json()["object"] == "account"
    assert start["webhookSecret"].startswith("whsec_")
    assert (process.returncode, out, err) == (0, "", "")


def test_a_given_secret_is_not_printed() -> None:
    """The address and the forwarding are."""
    with started("--webhook-secret", "whsec_given", "--forward-to", "http://127.0.0.1:9/hook") as (process, line):
        process.send_signal(signal.SIGTERM)
        # Read from where the first line was read: `communicate` would pass over what is buffered there already.
        assert process.stdout is not None
        rest = process.stdout.read()
        process.wait(DEADLINE_S)

    assert "http://127.0.0.1:" in line
    assert "http://127.0.0.1:9/hook" in rest
    assert "whsec_given" not in line + rest


def test_chaos_prints_the_seed_that_repeats_it() -> None:
    """Made up where none is given, and given back where one is."""
    with (
        started("--json", "--chaos", "drop=0.5") as (_, made_up),
        started("--json", "--chaos", "drop=0.5", "--seed", "7") as (_, given),
    ):
        assert isinstance(json.loads(made_up)["seed"], int)
        assert json.loads(given)["seed"] == 7


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run([*PAYMENTS, *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def test_a_taken_port_is_one_sentence() -> None:
    """Exit status 1, the address, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("sandbox", "--port", str(port))

    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another one with --port."
    )


def test_an_address_that_this_machine_has_not_is_one_sentence() -> None:
    """Another port would not help."""
    done = run("sandbox", "--host", "192.0.2.1", "--port", "0")

    assert done.returncode == 1
    assert done.stderr.strip().endswith("Cannot assign requested address. Choose another one with --host.")


@pytest.mark.parametrize(
    "options",
    [["--webhook-secret", "secret"], ["--forward-to", "shop/hook"], ["--port", "99999"], ["--chaos", "drop"]],
)
def test_an_option_that_cannot_be_used_is_refused(options: list[str]) -> None:
    """Before anything starts, without a traceback."""
    done = run("sandbox", "--port", "0", *options)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def without(*modules: str) -> list[str]:
    """The command in a process where some modules cannot be found."""
    hide = f"import sys\nfor name in {modules!r}: sys.modules[name] = None\nfrom payments_core.cli import main\nmain()"
    return [sys.executable, "-c", hide]


@pytest.mark.parametrize(
    ("missing", "arguments", "says"),
    [
        ("uvicorn", ["sandbox"], "Error: payments sandbox needs uvicorn: pip install 'payments-core[sandbox]'"),
        ("jinja2", ["sandbox"], "Error: payments sandbox needs jinja2: pip install 'payments-core[sandbox]'"),
        ("click", ["--help"], "The payments command needs click: pip install 'payments-core[cli]'"),
    ],
)
def test_a_missing_extra_is_one_sentence(missing: str, arguments: list[str], says: str) -> None:
    """What is missing and what to install."""
    done = subprocess.run(
        [*without(missing), *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )

    assert (done.returncode, done.stderr.strip()) == (1, says)


def test_help_lists_commands_even_when_their_libraries_are_missing() -> None:
    """The list loads none of them."""
    done = subprocess.run(
        [*without("uvicorn", "starlette", "sqlalchemy"), "--help"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert done.returncode == 0
    assert "sandbox" in done.stdout


def test_importing_the_sandbox_loads_no_server() -> None:
    """The state machine alone needs none of the extra's libraries."""
    code = (
        "import sys, payments_core.sandbox\n"
        "print(sorted({'uvicorn', 'starlette', 'aiohttp', 'jinja2', 'click', 'stripe'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True)

    assert done.stdout.strip() == "[]"
