"""Errors of librdkafka, so that nobody else needs to know its exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from connectors.errors import UserError


@contextmanager
def reported(action: str) -> Iterator[None]:
    """Raise UserError("cannot ACTION: REASON") instead of KafkaException."""
    try:
        yield
    except KafkaException as error:
        raise UserError(f"cannot {action}: {reason(error)}") from error


def reason(error: KafkaException) -> str:
    """Return librdkafka's message."""
    return str(kafka_error(error).str())


def kafka_error(error: KafkaException) -> KafkaError:
    """Return the error that librdkafka's exception wraps."""
    wrapped: KafkaError = error.args[0]
    return wrapped
