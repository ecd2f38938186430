"""Errors of Kafka's client, for callers that report them."""

from __future__ import annotations

from confluent_kafka import KafkaException

KAFKA_ERRORS = (KafkaException,)
"""What librdkafka raises when a broker refuses a request or does not answer."""


def explain(error: KafkaException) -> str:
    """Return what librdkafka says, in one line."""
    return str(error.args[0].str())
