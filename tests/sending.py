"""Sends made records one by one, and returns where each of them lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from msgspec.structs import replace

from connectors.block import Headers
from connectors.kafka.headers import LIST
from connectors.kafka.options import Kafka
from connectors.kafka.producer import KafkaProducer
from connectors.kinesis.producer import KinesisProducer
from connectors.positions import Position
from connectors.producer import Outgoing, Producer
from dev.demo.made import Made
from tests.oracle import Sent

HeadersOf = Callable[[int], Headers]
_LINGER_SECONDS = 0.05

OTHERS: Headers = ((LIST, b"sender's"), ("source.topic", b"x"), ("step", b"x"), ("header.a", b"1"))
"""Names that the job itself uses, elsewhere or for something else."""
VARIED: tuple[Headers, ...] = (
    (),
    (("origin", b"\x00golden"),),
    (("a", b"1"), ("b", None), ("a", b""), ("a", None), ("a", b"2"), ("b", b"\xff\x00")),
    (("", b"no name"), ("", None), ("\u00e9\U0001f600", "\u00fc".encode())),
    OTHERS,
)
"""Headers that a sender may add: none, one, repeats, nulls, empty names and values."""


def varied(number: int) -> Headers:
    """Return the headers of the record with this number; they differ from its neighbours'."""
    return VARIED[number % len(VARIED)]


def produce(
    made: Iterable[Made],
    *,
    servers: str,
    topic: str,
    rate: float | None = None,
    headers: HeadersOf | None = None,
) -> list[Sent]:
    """Send to Kafka, at most `rate` records a second; return when all are acknowledged.

    Each record lies there once. Raises UserError if Kafka refuses a record or is unreachable.
    """
    target = KafkaProducer(Kafka(bootstrap_servers=servers), topic)
    return _send(made, target, rate, headers or (lambda number: ()))


def produce_kinesis(
    made: Iterable[Made], *, client: Any, stream: str, rate: float | None = None
) -> list[Sent]:
    """Send to Kinesis, which has no null: a record without a value is sent as no bytes."""
    records = (replace(one, raw=one.raw or b"") for one in made)
    return _send(records, KinesisProducer(client, stream), rate, lambda number: ())


def text_of(position: Position) -> str:
    """Return a position as the oracle writes it."""
    if position.topic is not None:
        return f"{position.topic}/{position.partition}@{position.offset}"
    return f"{position.stream}/{position.shard}@{position.sequence_number}"


def _send(
    made: Iterable[Made], target: Producer, rate: float | None, headers: HeadersOf
) -> list[Sent]:
    started, records, positions = time.monotonic(), [], dict[int, str]()
    try:
        for number, one in enumerate(made):
            records.append(one)
            outgoing = Outgoing(one.raw, one.key, headers(number))
            target.send(outgoing, partial(_note, positions, number))
            while rate and (ahead := started + (number + 1) / rate - time.monotonic()) > 0:
                time.sleep(min(ahead, _LINGER_SECONDS))
                target.poll()
    finally:
        target.close()
    return [Sent(positions[number], one) for number, one in enumerate(records)]


def _note(positions: dict[int, str], number: int, position: Position) -> None:
    positions[number] = text_of(position)
