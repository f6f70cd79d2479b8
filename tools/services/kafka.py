"""Apache Kafka, a real broker of one node, from the project's published Maven artifacts.

The jars are fetched once per user (`$XDG_CACHE_HOME/payments-core`) and each is compared with its recorded hash. The
data survives a stop and a start, on other ports too.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.services.base import (
    LOOPBACK,
    Running,
    Service,
    ServiceUnavailable,
    await_ready,
    birth,
    chosen_port,
    free_port,
    need,
    spawn,
)

FILES = Path(__file__).resolve().parent.parent / "kafka"
HASHES = FILES / "jars.sha256"
JAVA_AT_LEAST = 17
HEAP = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def version() -> str:
    """The Kafka version that the pom names."""
    found = re.search(r"<kafka\.version>(.+?)<", (FILES / "pom.xml").read_text(encoding="utf-8"))
    assert found is not None, "tools/kafka/pom.xml has no kafka.version"
    return found[1]


def cache() -> Path:
    """Where this version's jars are kept, for all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "payments-core" / f"kafka-{version()}"


def java() -> str:
    """A Java that Kafka's broker runs on."""
    program = need("java", f"Java {JAVA_AT_LEAST} or newer (Debian: apt-get install openjdk-17-jre-headless)")
    told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < JAVA_AT_LEAST:
        raise ServiceUnavailable(f"Kafka needs Java {JAVA_AT_LEAST} or newer; `java -version` says {told.strip()!r}")
    return program


def hashes(folder: Path) -> str:
    """One line `sha256  name` per jar, in the order of names."""
    lines = [f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n" for jar in sorted(folder.glob("*.jar"))]
    return "".join(lines)


def jars() -> Path:
    """The folder of the broker's jars; fetched with Maven and compared with the recorded hashes on first use."""
    folder = cache()
    if folder.exists():
        return folder
    maven = need("mvn", "Maven, which fetches Kafka once (Debian: apt-get install maven)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        fetched = Path(scratch) / "jars"
        pom = shutil.copy(FILES / "pom.xml", scratch)
        command = [maven, "-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime"]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={fetched}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=scratch,
        )
        if done.returncode != 0:
            raise ServiceUnavailable(f"Maven could not fetch Kafka {version()}: {done.stdout.strip()[-400:]}")
        if hashes(fetched) != HASHES.read_text(encoding="utf-8"):
            raise ServiceUnavailable("the fetched Kafka jars are not those of tools/kafka/jars.sha256")
        if not folder.exists():
            fetched.rename(folder)
    return folder


def cluster_id() -> str:
    """A new cluster id as Kafka writes it: 22 characters of url-safe base64, no leading dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def properties(template: str, extra: Mapping[str, str]) -> str:
    """The lines of the template, those named in `extra` replaced by it."""
    kept = [line for line in template.splitlines() if line.partition("=")[0] not in extra]
    return "\n".join([*kept, *(f"{name}={value}" for name, value in extra.items()), ""])


def answers(port: int) -> bool:
    """Whether the node lists itself as a broker, in its reply to a Metadata request of version 1 for no topics."""
    request = struct.pack(">hhih5si", 3, 1, 1, 5, b"ready", 0)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            reply = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(reply) == 12 and struct.unpack(">iii", reply)[2] >= 1


def start(home: Path, extra: Mapping[str, str] | None = None, formatted_with: Sequence[str] = ()) -> Running:
    """Format the storage on first use, start the node; `Running.url` is the bootstrap server, `host:port`.

    `extra` are properties that are added or take a line's place, with {broker} and {controller} for the two ports;
    `formatted_with` are further arguments of Kafka's own format command (users with SCRAM credentials).
    """
    program, folder = java(), jars()
    data, log, config = home / "data", home / "log", home / "server.properties"
    port, controller = chosen_port("PAYMENTS_SERVICES_KAFKA_PORT"), free_port()
    template = (FILES / "server.properties").read_text(encoding="utf-8")
    config.write_text(properties(template, extra or {}).format(broker=port, controller=controller, data=data))
    command = [program, *HEAP, f"-Dlog4j2.configurationFile=file:{FILES / 'log4j2.xml'}"]
    command += [f"-Dkafka.logs.dir={home}", "-cp", f"{folder}/*"]
    if not (data / "meta.properties").exists():
        shutil.rmtree(data, ignore_errors=True)
        tool = [*command, "kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", str(config), *formatted_with]
        done = subprocess.run(tool, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServiceUnavailable(f"Kafka's storage could not be formatted: {done.stderr.strip()[-400:]}")
    process = spawn([*command, "kafka.Kafka", str(config)], log)
    await_ready("Kafka", process, log, lambda: answers(port), 90)
    return Running(url=f"{LOOPBACK}:{port}", pid=process.pid, born=birth(process.pid))


KAFKA = Service("kafka", "PAYMENTS_TEST_KAFKA_BROKERS", start, stop_timeout_s=30)
