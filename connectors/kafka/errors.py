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


def is_retriable(error: BaseException) -> bool:
    """Return whether the same call may succeed later: an error of Kafka, or one caused by it."""
    if isinstance(error, KafkaException):
        return bool(kafka_error(error).retriable()) or has_no_coordinator_yet(error)
    return error.__cause__ is not None and is_retriable(error.__cause__)


def has_no_coordinator_yet(error: KafkaException) -> bool:
    """Return whether the brokers are still electing the group's coordinator: try again."""
    return kafka_error(error).code() in _NO_COORDINATOR_YET


_NO_COORDINATOR_YET = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
