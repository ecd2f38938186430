"""The headers of what the job writes to topics, compared with those that were sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.block import Headers
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from tests.job.harness import Harness
from tests.oracle_read import position


def headers_in(topic: str, job: Harness, prefix: str = "") -> list[tuple[str, Headers]]:
    """Return the position and all headers of each message; `prefix` is that of our headers."""
    cluster = Kafka(bootstrap_servers=job.servers)
    all_headers: list[Any] = [message.headers() for message in kafka_topic.messages(cluster, topic)]
    decoded = [{n: v.decode("latin-1") for n, v in pairs if v is not None} for pairs in all_headers]
    places = (position(each, prefix) for each in decoded)
    return [(place, tuple(pairs)) for place, pairs in zip(places, all_headers, strict=True)]


def check_dead_letters(job: Harness, sent: Mapping[str, Headers]) -> set[bytes | None]:
    """Each has its record's headers first, with our prefix, then ours; return the steps."""
    letters = headers_in(job.dead_letters, job)
    for place, headers in letters:
        own = tuple((f"header.{name}", value) for name, value in sent.get(place, ()))
        assert headers[: len(own)] == own
        assert not [name for name, _ in headers[len(own) :] if name.startswith("header.")]
    return {dict(headers)["step"] for _, headers in letters}
