"""How a client of Kafka's reaches the brokers: addresses, and who it is."""

from __future__ import annotations

import ssl
from typing import Any

from payments_core.errors import ConfigurationError
from payments_core.settings import BrokerSettings


def connection(settings: BrokerSettings) -> dict[str, Any]:
    """The arguments that producer, consumer and admin client of aiokafka have in common.

    Raises ConfigurationError where no broker is named, or a certificate cannot be read.
    """
    if not settings.kafka_brokers:
        raise ConfigurationError(
            "KAFKA_BROKERS is not set; put the brokers' addresses there, as kafka-1:9092,kafka-2:9092."
        )
    protocol = settings.payments_kafka_security_protocol
    made: dict[str, Any] = {"bootstrap_servers": list(settings.kafka_brokers), "security_protocol": protocol}
    if protocol.startswith("SASL"):
        password = settings.payments_kafka_sasl_password
        made |= {
            "sasl_mechanism": settings.payments_kafka_sasl_mechanism,
            "sasl_plain_username": settings.payments_kafka_sasl_username,
            "sasl_plain_password": None if password is None else password.get_secret_value(),
        }
    if protocol.endswith("SSL"):
        made["ssl_context"] = _tls(settings)
    return made


def _tls(settings: BrokerSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.payments_kafka_ca_file)
        if settings.payments_kafka_cert_file is not None:
            context.load_cert_chain(settings.payments_kafka_cert_file, settings.payments_kafka_key_file)
    except OSError as error:
        raise ConfigurationError(
            "PAYMENTS_KAFKA_CA_FILE, PAYMENTS_KAFKA_CERT_FILE or PAYMENTS_KAFKA_KEY_FILE cannot be used "
            f"({error.strerror or type(error).__name__}); put the paths of PEM files there."
        ) from None
    return context
