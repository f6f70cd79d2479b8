"""Redis from the machine's own `redis-server`: in memory only, with a password, on loopback."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from tools.services.base import LOOPBACK, Running, Service, await_ready, birth, chosen_port, need, spawn

DATABASES = 64


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            return b"+OK" in connection.recv(64)
    except OSError:
        return False


def start(home: Path) -> Running:
    """Start the server; `Running.url` names database 0."""
    program = need("redis-server", "Redis (Debian: apt-get install redis-server)")
    password = secrets.token_urlsafe(18)
    port = chosen_port("PAYMENTS_SERVICES_REDIS_PORT")
    config, log = home / "redis.conf", home / "log"
    config.touch(mode=0o600)
    config.write_text(
        f"bind {LOOPBACK}\nport {port}\nrequirepass {password}\ndatabases {DATABASES}\n"
        f'dir "{home}"\nsave ""\nappendonly no\ndaemonize no\n'
    )
    process = spawn([program, str(config)], log)
    await_ready("Redis", process, log, lambda: _answers(port, password), 15)
    url = f"redis://:{password}@{LOOPBACK}:{port}/0"
    return Running(url=url, pid=process.pid, born=birth(process.pid))


REDIS = Service("redis", "PAYMENTS_TEST_REDIS_URL", start)
