"""The same services from `compose.yaml`, where a container engine answers.

Each service is a compose project of its own, so that one is stopped without touching another; its volumes go with it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tools.services.base import LOOPBACK, Running, Service, ServiceUnavailable, chosen_port

ROOT = Path(__file__).resolve().parent.parent.parent
CHOICE = "PAYMENTS_SERVICES"
START_TIMEOUT_S = 600


def wanted() -> bool:
    """Whether containers are to be used: `PAYMENTS_SERVICES` is `containers`, `native` or unset to find out."""
    choice = os.environ.get(CHOICE, "auto") or "auto"
    if choice not in ("auto", "native", "containers"):
        raise ServiceUnavailable(f"{CHOICE} is {choice!r}; use containers, native or auto")
    return choice == "containers" or (choice == "auto" and _engine_answers())


def _engine_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = (["docker", "info"], ["docker", "compose", "version"])
    try:
        return all(subprocess.run(one, capture_output=True, timeout=20, check=False).returncode == 0 for one in asked)
    except subprocess.TimeoutExpired:
        return False


def _project(name: str) -> str:
    return f"payments-core-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}-{name}"


def compose(project: str, *arguments: str) -> list[str]:
    """A compose command line for one project of this checkout."""
    return ["docker", "compose", "--project-name", project, "--file", str(ROOT / "compose.yaml"), *arguments]


def surroundings(password: str, ports: dict[str, int]) -> dict[str, str]:
    """What `compose.yaml` asks for; the keys of the service itself are blanks, as it is not started here."""
    given = {"POSTGRES_PASSWORD": password, "REDIS_PASSWORD": password}
    given |= {f"{name.upper()}_PORT": str(port) for name, port in ports.items()}
    blank = dict.fromkeys(("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"), "not-started-here")
    return {**os.environ, **blank, **given}


def _url(name: str, port: int, password: str) -> str:
    return {
        "postgres": f"postgresql://payments:{password}@{LOOPBACK}:{port}/postgres",
        "redis": f"redis://:{password}@{LOOPBACK}:{port}/0",
        "kafka": f"{LOOPBACK}:{port}",
    }[name]


def _starter(name: str) -> Callable[[Path], Running]:
    def start(home: Path) -> Running:
        project, password = _project(name), secrets.token_hex(16)
        port = chosen_port(f"PAYMENTS_SERVICES_{name.upper()}_PORT")
        done = subprocess.run(
            compose(project, "up", "--detach", "--wait", name),
            env=surroundings(password, {name: port}),
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        (home / "log").write_text(done.stdout + done.stderr)
        if done.returncode != 0:
            subprocess.run(compose(project, "down", "--volumes"), env=surroundings(password, {}), check=False)
            raise ServiceUnavailable(f"the container engine could not start {name}: {done.stderr.strip()[-300:]}")
        return Running(url=_url(name, port, password), container=project)

    return start


def stop(project: str) -> None:
    """End one service's project with its volumes."""
    subprocess.run(
        compose(project, "down", "--volumes"),
        env=surroundings("unused", {}),
        capture_output=True,
        check=False,
    )


def in_container(service: Service) -> Service:
    """The service, started by the container engine instead of from the machine's programs."""
    return replace(service, start=_starter(service.name))
