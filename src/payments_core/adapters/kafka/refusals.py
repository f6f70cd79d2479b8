"""What a broker's error means for the rows it is about: refused for good, or worth another try.

The names are Kafka's own (https://kafka.apache.org/protocol#protocol_error_codes). What is not known to be about the
row alone is tried again: a row that is parked by mistake is worse than one that is sent twice.
"""

from __future__ import annotations

import ssl
from typing import Final

from aiokafka import errors  # pyright: ignore[reportMissingTypeStubs]

_RELEASE: Final = "release it with `payments outbox release`"


class InvalidRecord(errors.BrokerResponseError):  # type: ignore[misc] # aiokafka has no types
    """INVALID_RECORD, for which aiokafka has no class: it would be taken for a fault of the broker's own."""

    errno = 87
    message = "INVALID_RECORD"
    description = "The broker's validation refused the record."


errors.kafka_errors.setdefault(InvalidRecord.errno, InvalidRecord)

#: Errors that a smaller batch, or one without the row, would not have met.
_OF_A_ROW: Final[dict[type[BaseException], str]] = {
    errors.MessageSizeTooLargeError: "it is larger than the topic's max.message.bytes; raise that",
    errors.RecordListTooLargeError: "it is larger than a segment of the topic (segment.bytes); raise that",
    errors.InvalidTopicError: "the topic's name cannot be used; change PAYMENTS_TOPIC_PREFIX",
    errors.TopicAuthorizationFailedError: "this client may not write to the topic; grant it WRITE",
    errors.PolicyViolationError: "a policy of the broker forbids it; change the policy",
    InvalidRecord: "a rule of the topic forbids the record; see the broker's log, change the rule",
}


def refusal(error: BaseException, topic: str) -> str | None:
    """Why a row of that topic can never be taken as it is, with what to do; None where that is not said."""
    for kind, words in _OF_A_ROW.items():
        if type(error) is kind:
            return f"Kafka refused it for topic {topic}: {words}, then {_RELEASE}."
    return None


def concerns_topic(error: BaseException) -> bool:
    """Whether every row of the topic shares the refusal, so that nobody has to look for a culprit."""
    return isinstance(error, errors.InvalidTopicError | errors.TopicAuthorizationFailedError)


def missing_topic(topic: str) -> str:
    """The refusal of a row whose topic is not there."""
    return f"Kafka has no topic {topic}: create it with `payments topics --create`, then {_RELEASE}."


def too_large(size_bytes: int, limit_bytes: int) -> str:
    """The refusal of a row that is not even sent."""
    return f"It has {size_bytes} bytes, and at most {limit_bytes} are sent in one message."


def outage(error: BaseException) -> str:
    """What to say of an error that may pass, with what to look at; nothing of what was sent."""
    name = type(error).__name__
    if isinstance(error, errors.ClusterAuthorizationFailedError):
        return "Kafka does not let this client write idempotently; grant its user IDEMPOTENT_WRITE on the cluster."
    if isinstance(error, errors.AuthenticationFailedError | errors.SaslAuthenticationFailed):
        return "Kafka refuses the credentials; check PAYMENTS_KAFKA_SASL_USERNAME, its password and the mechanism."
    if isinstance(error, errors.InvalidTimestampError):
        return "Kafka refuses the time of this machine's clock; set the clock."
    if isinstance(error, ssl.SSLError):
        return f"No TLS with Kafka ({error.reason or name}); check PAYMENTS_KAFKA_CA_FILE and the client's certificate."
    if isinstance(error, errors.NotEnoughReplicasError | errors.NotEnoughReplicasAfterAppendError):
        return "Kafka has too few replicas in sync; bring its brokers back."
    if isinstance(error, TimeoutError | errors.RequestTimedOutError | errors.KafkaTimeoutError):
        return "Kafka did not answer in time; check KAFKA_BROKERS and the brokers."
    return f"Kafka could not be used ({name}); check KAFKA_BROKERS, the security protocol and the brokers."
