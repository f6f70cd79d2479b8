"""The settings of PAYMENTS_KAFKA_SECURITY_PROTOCOL and its kin, against a broker that insists on them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from payments_core.adapters.kafka import topics
from payments_core.adapters.kafka.publisher import KafkaPublisher
from payments_core.ports.publishing import BrokerUnavailable
from payments_core.settings import BrokerSettings
from tests._services import unavailable
from tests.kafka.scenes import HASTY, TYPES, owed
from tools.services import ServiceUnavailable, kafka
from tools.services.base import end, free_port

pytestmark = pytest.mark.timeout(900)

JAAS = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Walls:
    """A broker with a listener of each kind, and the files of those who may come in by TLS."""

    ports: dict[str, int]
    files: Path

    def settings(self, protocol: str, **values: Any) -> BrokerSettings:
        tls = {"payments_kafka_ca_file": str(self.files / "ca.pem")} if protocol.endswith("SSL") else {}
        port = self.ports[values.pop("port", protocol)]
        return BrokerSettings.of(
            kafka_brokers=(f"127.0.0.1:{port}",), payments_kafka_security_protocol=protocol, **tls, **values
        )


def pem(folder: Path) -> None:
    """An authority, a certificate for 127.0.0.1 and one for a client, all good for a day."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "1",
        "-subj",
        "/CN=authority",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    for name, more in (("broker", "subjectAltName=IP:127.0.0.1"), ("client", "subjectAltName=DNS:relay")):
        (folder / f"{name}.ext").write_text(f"{more}\nkeyUsage=critical,digitalSignature,keyEncipherment\n")
        openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={name}",
        )
        openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "1",
            "-extfile",
            f"{name}.ext",
            "-out",
            f"{name}.pem",
        )
    (folder / "broker-all.pem").write_text((folder / "broker.key").read_text() + (folder / "broker.pem").read_text())


@pytest.fixture(scope="module")
def walls(kafka_brokers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walls]:
    """A broker that lets nobody in who cannot say who he is; anonymous people are not even let near a topic."""
    files, home = tmp_path_factory.mktemp("pem"), tmp_path_factory.mktemp("walled")
    pem(files)
    ports = {name: free_port() for name in ("SASL_PLAINTEXT", "SSL", "SASL_SSL")}
    listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    known = " ".join(f'user_{name}="{name}-secret"' for name in ("relay", "guest", "stranger"))
    plain = f"{JAAS}.plain.PlainLoginModule required {known};"
    scram = f"{JAAS}.scram.ScramLoginModule required;"
    extra = {
        "listeners": f"PLAINTEXT://127.0.0.1:{{broker}},{listeners},CONTROLLER://127.0.0.1:{{controller}}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{broker}},{listeners}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
        + ",".join(f"{name}:{name}" for name in ports),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(files / "broker-all.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(files / "ca.pem"),
        "listener.name.ssl.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:relay;User:CN=client",
    }
    for name in ("sasl_plaintext", "sasl_ssl"):
        extra[f"listener.name.{name}.plain.sasl.jaas.config"] = plain
        extra[f"listener.name.{name}.scram-sha-256.sasl.jaas.config"] = scram
        extra[f"listener.name.{name}.scram-sha-512.sasl.jaas.config"] = scram
    users = [
        argument
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for argument in ("--add-scram", f"{mechanism}=[name=relay,password=relay-secret]")
    ]
    try:
        running = kafka.start(home, extra, users)
    except ServiceUnavailable as error:
        pytest.skip(unavailable("kafka", str(error)))
    try:
        asyncio.run(topics.create(BrokerSettings.of(kafka_brokers=(running.url,)), partitions=1))
        grant(running.url, TYPES[1], AclOperation.WRITE)
        grant(running.url, TYPES[2], AclOperation.DESCRIBE)
        yield Walls(ports, files)
    finally:
        end(running, signal.SIGKILL, 10)


async def sent(settings: BrokerSettings) -> None:
    """One message, acknowledged."""
    publisher = KafkaPublisher(settings, patience=HASTY)
    try:
        acknowledged, refused = await publisher.publish([owed(1)])
    finally:
        await publisher.close()
    assert (list(acknowledged), dict(refused)) == ([1], {})


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_user_with_a_password_is_let_in(walls: Walls, protocol: str, mechanism: str) -> None:
    """By every mechanism that the settings take, with and without TLS."""
    await sent(walls.settings(protocol, payments_kafka_sasl_mechanism=mechanism, **user("relay", "relay-secret")))


async def test_a_client_certificate_is_let_in(walls: Walls) -> None:
    """Where the broker demands one."""
    await sent(walls.settings("SSL", **certificate(walls)))


async def test_a_wrong_password_is_told_and_parks_nothing(walls: Walls) -> None:
    """As an outage: the credentials may be mended; what is said holds no secret."""
    wrong = walls.settings("SASL_PLAINTEXT", **user("relay", "wrong-secret"))
    with pytest.raises(BrokerUnavailable, match="Kafka refuses the credentials") as told:
        await sent(wrong)
    assert "wrong-secret" not in str(told.value)


async def test_a_client_without_a_certificate_is_told(walls: Walls) -> None:
    """It is no row's fault."""
    with pytest.raises(BrokerUnavailable):
        await sent(walls.settings("SSL"))


async def test_a_broker_that_nobody_vouches_for_is_told(walls: Walls) -> None:
    """A certificate of another authority: there is no TLS with it."""
    changed = walls.settings("SASL_SSL", **user("relay", "relay-secret")).model_copy(
        update={"payments_kafka_ca_file": None}
    )
    with pytest.raises(BrokerUnavailable, match="No TLS with Kafka"):
        await sent(changed)


async def test_a_client_without_rights_to_a_topic_is_refused(walls: Walls) -> None:
    """Its rows are parked, with what to grant, whether it may see the topic or not; the others go on."""
    guest = walls.settings("SASL_PLAINTEXT", **user("guest", "guest-secret"))
    publisher = KafkaPublisher(guest, patience=HASTY)
    try:
        acknowledged, refused = await publisher.publish([owed(n, key=f"k{n}", kind=TYPES[n]) for n in range(3)])
    finally:
        await publisher.close()
    assert list(acknowledged) == [1]
    assert sorted(refused) == [0, 2]
    assert all("grant it WRITE" in one.reason for one in refused.values())


async def test_a_client_without_any_rights_is_told(walls: Walls) -> None:
    """Nothing is parked: it is no row's fault that the user may do nothing at all."""
    stranger = walls.settings("SASL_PLAINTEXT", **user("stranger", "stranger-secret"))
    with pytest.raises(BrokerUnavailable, match="grant its user IDEMPOTENT_WRITE"):
        await sent(stranger)


def grant(brokers: str, topic: str, operation: AclOperation) -> None:
    """Let the guest do this with the topic."""
    admin = AdminClient({"bootstrap.servers": brokers})
    rule = AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:guest", "*", operation, AclPermissionType.ALLOW
    )
    for future in admin.create_acls([rule]).values():
        future.result(30)


def user(name: str, password: str) -> dict[str, Any]:
    return {"payments_kafka_sasl_username": name, "payments_kafka_sasl_password": password}


def certificate(walls: Walls) -> dict[str, Any]:
    return {
        "payments_kafka_cert_file": str(walls.files / "client.pem"),
        "payments_kafka_key_file": str(walls.files / "client.key"),
    }
