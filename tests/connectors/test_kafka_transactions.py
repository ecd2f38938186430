"""The earlier of two producers with one transactional id raises `Fenced`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat

import pytest

from connectors.kafka.options import Kafka
from connectors.kafka.transactions import Fenced, TopicRecord, TransactionalProducer
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack

RECORD = TopicRecord("fenced", b"{}", None)


class Overtaken(list[TopicRecord]):
    """Records for one transaction; after the first one, another producer takes over.

    More follow than are sent before the broker's refusal comes back, so `produce` meets it.
    """

    def __init__(self, take_over: Callable[[], object]) -> None:
        super().__init__([RECORD])
        self._take_over = take_over

    def __iter__(self) -> Iterator[TopicRecord]:
        yield RECORD
        self._take_over()
        yield from repeat(RECORD, 10_000_000)


def test_a_producer_fenced_off_within_a_transaction_says_so(stack: Stack) -> None:
    cluster = Kafka(bootstrap_servers=stack.environment()["KAFKA_BOOTSTRAP_SERVERS"])
    create_topics(cluster.bootstrap_servers, source="fenced", dead_letters=None, partitions=1)

    def start() -> TransactionalProducer:
        return TransactionalProducer(
            cluster, "fenced", max_message_bytes=1_000_000, purpose="write to fenced"
        )

    earlier = start()
    with pytest.raises(Fenced, match="cannot write to fenced: "):
        earlier.write(Overtaken(start))
    earlier.close()
