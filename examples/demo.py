"""`make demo`: the example shop with everything it needs, and nothing to set up.

Starts the Stripe sandbox and the shop's web server as processes of their own, and ends both when it ends. What is
configured is honoured: a Stripe test key without STRIPE_API_BASE talks to Stripe itself, a database URL is used as it
is, FRAMEWORK=flask runs the synchronous twin. With KAFKA_BROKERS the shop publishes its events there, and an orders
service with a database of its own (ORDERS_DATABASE_URL) consumes them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType
from typing import Final

from payments_core import ConfigurationError, Settings

ROOT: Final = Path(__file__).resolve().parent.parent
STATE: Final = ROOT / ".demo"
HOST: Final = "127.0.0.1"
DEMO_KEY: Final = "sk_test_demo"
DEMO_WEBHOOK_SECRET: Final = "whsec_demo_of_the_example_shop"  # noqa: S105 - signs for the sandbox on this machine only
WEBHOOK_PATH: Final = "/api/payments/webhooks/stripe"
START_S: Final = 60
STOP_S: Final = 15


class CannotStart(Exception):
    """One sentence for the person at the terminal."""


class Stopped(Exception):
    """SIGINT or SIGTERM: end what was started."""


def main() -> int:
    """Run until a signal comes; the exit code."""
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
        return _run(children)
    except Stopped:
        return 0
    except (CannotStart, ConfigurationError) as reason:
        print(f"make demo: {reason}", file=sys.stderr)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        _end(children)


def _run(children: dict[str, subprocess.Popen[bytes]]) -> int:
    port = _port("PORT", 3006)
    framework = os.environ.get("FRAMEWORK", "").strip().lower() or "fastapi"
    if framework not in ("fastapi", "flask"):
        raise CannotStart(f"FRAMEWORK is {framework!r}; put fastapi or flask there.")
    own_sandbox = not _set("STRIPE_SECRET_KEY") and not _set("STRIPE_API_BASE")
    sandbox_port = _port("SANDBOX_PORT", 12111)
    _require_free(port, "PORT")
    if own_sandbox:
        _require_free(sandbox_port, "SANDBOX_PORT")
    surroundings = _surroundings(port, sandbox_port if own_sandbox else None)
    _check(surroundings)
    if own_sandbox:
        children["the Stripe sandbox"] = _start(_sandbox(port, sandbox_port, surroundings), surroundings)
    _prepare_database(surroundings)
    has_broker = _set("KAFKA_BROKERS")
    if has_broker:
        _prepare_topics(surroundings)
    children["the shop"] = _start(_server(framework, port), surroundings)
    if has_broker:
        children["the orders service"] = _start(_orders(), _orders_surroundings(surroundings))
    _wait_until_served(port, children)
    _greet(framework, port, sandbox_port if own_sandbox else None, has_broker=has_broker)
    return _watch(children)


def _surroundings(port: int, sandbox_port: int | None) -> dict[str, str]:
    """The environment of what is started: as given, completed by the embedded default.

    A variable set to nothing counts as not set, except the webhook secret: a blank one is refused, never replaced.
    """
    given = {name: value for name, value in os.environ.items() if value.strip() or not _is_ours(name)}
    found = {**given, "PORT": str(port)}
    if sandbox_port is not None:
        found["STRIPE_API_BASE"] = f"http://{HOST}:{sandbox_port}"
        found.setdefault("STRIPE_WEBHOOK_SECRET", DEMO_WEBHOOK_SECRET)
    if "STRIPE_API_BASE" in found:
        found.setdefault("STRIPE_SECRET_KEY", DEMO_KEY)
    if "PAYMENTS_DATABASE_URL" not in found:
        STATE.mkdir(exist_ok=True)
        database = STATE / "payments.db"
        if sandbox_port is not None:
            # The sandbox starts with an empty memory, so a database that remembers its sessions would only puzzle.
            for left in STATE.glob("payments.db*"):
                left.unlink()
        found["PAYMENTS_DATABASE_URL"] = f"sqlite:///{database}"
    return found


def _check(surroundings: dict[str, str]) -> None:
    """Refuse a configuration that cannot work before anything is started."""
    os.environ.update(surroundings)
    settings = Settings.from_env()
    if settings.livemode:
        raise CannotStart("STRIPE_SECRET_KEY is a live key; the demo shows its activity to everybody, use a test key.")
    try:
        settings.webhook_secrets()
    except ConfigurationError:
        if _set("STRIPE_WEBHOOK_SECRET"):
            raise
        raise CannotStart(
            "STRIPE_WEBHOOK_SECRET is not set; run `stripe listen --forward-to "
            f"http://{HOST}:{settings.port}{WEBHOOK_PATH}` and put the whsec_… that it prints there."
        ) from None


def _prepare_database(surroundings: dict[str, str]) -> None:
    if surroundings["PAYMENTS_DATABASE_URL"].startswith("sqlite"):
        return
    done = subprocess.run([_tool("payments"), "db", "upgrade"], env=surroundings, cwd=ROOT, check=False)  # noqa: S603
    if done.returncode:
        raise CannotStart("the database of PAYMENTS_DATABASE_URL could not be brought up to date; see above.")


def _prepare_topics(surroundings: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603
        [_tool("payments"), "topics", "--create"], env=surroundings, cwd=ROOT, check=False, stdout=subprocess.DEVNULL
    )
    if done.returncode:
        raise CannotStart("the topics could not be made on the brokers of KAFKA_BROKERS; see above.")


def _orders() -> list[str]:
    return [sys.executable, "-m", "examples.orders_consumer"]


def _orders_surroundings(surroundings: dict[str, str]) -> dict[str, str]:
    """A service of its own has a database of its own."""
    STATE.mkdir(exist_ok=True)
    database = os.environ.get("ORDERS_DATABASE_URL", "").strip() or f"sqlite:///{STATE / 'orders.db'}"
    return surroundings | {"PAYMENTS_DATABASE_URL": database}


def _sandbox(port: int, sandbox_port: int, surroundings: dict[str, str]) -> list[str]:
    secret = surroundings["STRIPE_WEBHOOK_SECRET"].split(",")[0].strip()
    forward = f"http://{HOST}:{port}{WEBHOOK_PATH}"
    options = ["--port", str(sandbox_port), "--forward-to", forward, "--webhook-secret", secret]
    return [_tool("payments"), "sandbox", *options]


def _server(framework: str, port: int) -> list[str]:
    if framework == "flask":
        app = "examples.shop.flask_app:create_app()"
        options = ["--worker-class", "gthread", "--threads", "8", "--log-level", "warning", "--no-control-socket"]
        return [_tool("gunicorn"), "--bind", f"{HOST}:{port}", *options, app]
    app = "examples.shop.fastapi_app:create_app"
    options = ["--host", HOST, "--port", str(port), "--no-access-log", "--log-level", "warning", "--no-proxy-headers"]
    return [_tool("uvicorn"), "--factory", app, *options, "--timeout-graceful-shutdown", "5"]


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _start(command: list[str], surroundings: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=surroundings, cwd=ROOT)  # noqa: S603


def _wait_until_served(port: int, children: dict[str, subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        _require_alive(children)
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/api/payments/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise CannotStart(f"the shop did not answer within {START_S} s; see above.")


def _watch(children: dict[str, subprocess.Popen[bytes]]) -> int:
    while True:
        _require_alive(children)
        time.sleep(0.3)


def _require_alive(children: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, child in children.items():
        if child.poll() is not None:
            raise CannotStart(f"{name} ended by itself (exit code {child.returncode}); see above.")


def _end(children: dict[str, subprocess.Popen[bytes]]) -> None:
    """Stop the shop first, then the sandbox; what does not stop in time is killed."""
    for child in reversed(children.values()):
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    for child in children.values():
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _greet(framework: str, port: int, sandbox_port: int | None, *, has_broker: bool) -> None:
    name = {"fastapi": "FastAPI", "flask": "Flask"}[framework]
    stripe = f"http://{HOST}:{sandbox_port} (sandbox: no account, no money)" if sandbox_port else "as configured"
    kafka = (
        f"  Kafka          {os.environ['KAFKA_BROKERS']}: the orders service prints what it books\n"
        if has_broker
        else ""
    )
    print(
        f"\n  Example shop   http://{HOST}:{port}   ({name})\n"
        f"  Stripe         {stripe}\n"
        f"{kafka}"
        "  Test cards     4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined\n"
        "  Stop           Ctrl-C\n",
        flush=True,
    )


def _set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def _is_ours(name: str) -> bool:
    return name.startswith(("STRIPE_", "PAYMENTS_", "KAFKA_")) and name != "STRIPE_WEBHOOK_SECRET"


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise CannotStart(f"{name} is {text!r}; put a port number there, 1 to 65535.")
    return int(text)


def _require_free(port: int, name: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise CannotStart(f"port {port} is in use; stop what uses it, or set {name} to another port.") from None


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
