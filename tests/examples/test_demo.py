"""`make demo` as a command: what it says when it cannot start, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.examples.demo import ROOT, end, free_port, running, start, surroundings, until


def refused(folder: Path, **values: str) -> str:
    """What a demo prints that does not start."""
    output = folder / "output.txt"
    process = start(surroundings(folder, **values), output)
    assert process.wait(60) == 1, output.read_text()
    return output.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_a_signal_ends_everything(framework: str, number: int, tmp_path: Path) -> None:
    """After SIGINT or SIGTERM to the launcher alone no process is left, and the exit code is 0."""
    with running(tmp_path, FRAMEWORK=framework) as demo:
        assert end(demo.process, number) == 0
        assert "Traceback" not in demo.output.read_text()
        for url in (demo.url, demo.sandbox_url):
            with pytest.raises(httpx2.ConnectError):
                httpx2.get(url)


def test_ctrl_c_in_a_terminal_ends_everything(tmp_path: Path) -> None:
    """A signal to the whole process group, as a terminal sends it, ends the demo as well."""
    with running(tmp_path) as demo:
        os.killpg(demo.process.pid, signal.SIGINT)
        assert demo.process.wait(20) == 0
        assert "Traceback" not in demo.output.read_text()


def test_a_dead_sandbox_ends_the_demo(tmp_path: Path) -> None:
    """When a part ends by itself the demo says which one, and ends too."""
    with running(tmp_path) as demo:
        os.kill(demo.child("payments sandbox"), signal.SIGKILL)
        assert until(lambda: demo.process.poll() is not None)
        assert demo.process.returncode == 1
        assert "the Stripe sandbox ended by itself" in demo.output.read_text()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """A taken port is one sentence that says which variable names another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert (
            refused(tmp_path, PORT=port)
            == f"make demo: port {port} is in use; stop what uses it, or set PORT to another port.\n"
        )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"FRAMEWORK": "django"}, "FRAMEWORK is 'django'; put fastapi or flask there."),
        ({"PORT": "http"}, "PORT is 'http'; put a port number there, 1 to 65535."),
        ({"STRIPE_WEBHOOK_SECRET": "whsec_your_secret"}, "STRIPE_WEBHOOK_SECRET still holds a placeholder; put"),
        ({"STRIPE_WEBHOOK_SECRET": "   "}, "STRIPE_WEBHOOK_SECRET"),
        ({"PAYMENTS_CURRENCY": "dollars"}, "PAYMENTS_CURRENCY is no currency that Stripe charges in; put"),
        ({"STRIPE_SECRET_KEY": "pk_test_1"}, "STRIPE_SECRET_KEY holds a publishable key; put"),
        (
            {"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": ""},
            "run `stripe listen --forward-to http://127.0.0.1:",
        ),
        (
            {
                "STRIPE_SECRET_KEY": "sk_live_1",
                "PAYMENTS_PRICE_POLICY": "declared",
                "PAYMENTS_REDIRECT_HOSTS": "shop.example",
                "STRIPE_WEBHOOK_SECRET": "whsec_abcdefghijklmnopqrstuvwx",
            },
            "STRIPE_SECRET_KEY is a live key; the demo shows its activity to everybody, use a test key.",
        ),
        ({"STRIPE_API_BASE": "http://stripe.example"}, "STRIPE_API_BASE must be a loopback address"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(values: dict[str, str], sentence: str, tmp_path: Path) -> None:
    """What is wrong is said in one line that names the variable, and nothing is started."""
    printed = refused(tmp_path, **values)
    assert sentence in printed
    assert printed.startswith("make demo: ")
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_the_service_refuses_to_start_without_a_configuration(framework: str, tmp_path: Path) -> None:
    """The container's process has no defaults: a missing key is one sentence and exit code 1."""
    environment = {**surroundings(tmp_path), "FRAMEWORK": framework}
    done = subprocess.run(
        [sys.executable, "-m", "examples.service"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("payments service: STRIPE_SECRET_KEY is not set; put your Stripe secret key there")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_the_service_serves_the_api_and_stops_on_sigterm(framework: str, tmp_path: Path) -> None:
    """Configured, the service answers on PORT and ends in order when it is told to."""
    port = free_port()
    environment = surroundings(tmp_path, PORT=str(port), STRIPE_SECRET_KEY="sk_test_service", FRAMEWORK=framework)
    output = tmp_path / "service.txt"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.service"], cwd=ROOT, env=environment, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: _answers(f"http://127.0.0.1:{port}/api/payments/ready"), within_s=60)
    finally:
        code = end(process)
    assert code in (0, -signal.SIGTERM), output.read_text()
    assert "Traceback" not in output.read_text()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.HTTPError:
        return False
