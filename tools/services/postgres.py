"""PostgreSQL from the machine's own binaries: a cluster with a password, on loopback, durable as in production."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.services.base import (
    LOOPBACK,
    Running,
    Service,
    ServiceUnavailable,
    await_ready,
    birth,
    chosen_port,
    spawn,
)

ROLE = "payments"


PROGRAMS = ("initdb", "postgres", "pg_isready")


def binaries() -> Path:
    """The folder of PostgreSQL's server programs: the one on PATH, else Debian's, newest version first."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    debian = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    folders += sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in folders:
        if all((folder / program).exists() for program in PROGRAMS):
            return folder
    raise ServiceUnavailable("no PostgreSQL server was found; install it (Debian: apt-get install postgresql)")


def server_user() -> str | None:
    """PostgreSQL refuses to run as root: the account to use instead, or None when we are not root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in names:
            return name
    raise ServiceUnavailable("running as root, and there is no account 'postgres' to run PostgreSQL as")


def _create(folder: Path, data: Path, password_file: Path, user: str | None) -> None:
    command = [str(folder / "initdb"), "-D", str(data), "-U", ROLE, "--encoding=UTF8"]
    command += ["--locale=C", "--no-sync", "--auth=scram-sha-256", f"--pwfile={password_file}"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        user=user,
        group=_group(user),
        extra_groups=[] if user else None,
    )
    if done.returncode != 0:
        raise ServiceUnavailable(f"initdb failed: {done.stderr.strip().splitlines()[-1:]}")


def _group(user: str | None) -> int | None:
    return pwd.getpwnam(user).pw_gid if user else None


def _own(path: Path, user: str | None) -> None:
    if user:
        shutil.chown(path, user, _group(user))


def _reachable(path: Path) -> None:
    """Let the server's account walk down to its data: search permission only, and only on folders of ours."""
    for folder in [path, *path.parents]:
        mode = folder.stat().st_mode
        if folder.stat().st_uid == os.geteuid() and not mode & 0o001:
            folder.chmod(mode | 0o011)
        if (folder / "pyproject.toml").exists():
            return


def start(home: Path, settings: Sequence[str] = ("fsync=on", "synchronous_commit=on")) -> Running:
    """Create the cluster on first use, start its server; `Running.url` is a libpq URL of database postgres."""
    folder, user = binaries(), server_user()
    data, password_file, log = home / "data", home / "password", home / "log"
    if user:
        _reachable(home)
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        _own(data, user)
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(18))
        _own(password_file, user)
        _create(folder, data, password_file, user)
    password = password_file.read_text().strip()
    port = chosen_port("PAYMENTS_SERVICES_POSTGRES_PORT")
    command = [str(folder / "postgres"), "-D", str(data), "-h", LOOPBACK, "-p", str(port), "-k", ""]
    for setting in (*settings, "max_connections=200"):
        command += ["-c", setting]
    process = spawn(command, log, user=user)
    probe = [str(folder / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(port)]
    await_ready("PostgreSQL", process, log, lambda: subprocess.run(probe, check=False).returncode == 0, 30)
    url = f"postgresql://{ROLE}:{password}@{LOOPBACK}:{port}/postgres"
    return Running(url=url, pid=process.pid, born=birth(process.pid))


# SIGINT is PostgreSQL's "fast" shutdown: sessions are ended, the cluster is closed cleanly.
POSTGRES = Service("postgres", "PAYMENTS_TEST_POSTGRES_URL", start, stop_signal=signal.SIGINT)
