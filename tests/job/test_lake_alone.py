"""The lake without index and replicas: each row keeps its position, and files are few.

The topic holds batches of every codec that a producer can choose.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from connectors.block import Headers
from dev.demo.generate import Recipe, generate
from dev.demo.made import Made
from dev.servers import kinesis
from dev.servers.stack import Stack
from tests.job.harness import Harness
from tests.job.own_headers import check_dead_letters
from tests.oracle import Sent
from tests.sending import produce_kinesis, varied

FORGED: Headers = (("redrive_step", b"index"), ("redrive_position", b"alone/0/0"))
CODECS = ("gzip", "snappy", "lz4", "zstd")
# A good one, 1970, the end of pandas' nanoseconds, the year 10,000, microseconds taken for
# milliseconds, and no year at all.
TIMES = (
    1_514_764_800_000,
    1,
    9_223_372_036_855,
    253_402_300_800_000,
    1_514_764_800_000_000,
    2**62,
)


def test_rows_keep_their_positions_whatever_time_producers_say(
    stack: Stack, tmp_path: Path
) -> None:
    made = generate(Recipe(events=3_000, seed=51))
    alone: dict[str, Any] = {"index": None}
    with Harness(
        stack=stack, name="alone", folder=tmp_path, streams=("more",), overrides=alone
    ) as job:
        let_producers_say_the_time(job.servers, job.topic)
        headers = produce(job.servers, job.topic, itertools.islice(made, 2_000))
        sent = list(headers)
        client = kinesis.client(job.endpoint)
        sent += produce_kinesis(made, client=client, stream=job.stream)
        job.produced = len(sent)
        job.start()
        job.drain()
        job.stop(drain=True)
    assert job.verdict(sent).problems() == []
    of_places = {one.position: own for one, own in headers.items()}
    assert check_dead_letters(job, of_places) == {b"decode"}


def test_files_follow_file_seconds_and_not_checkpoints(stack: Stack, tmp_path: Path) -> None:
    # Buckets take turns by the clock: these two have theirs at midnight and at noon.
    long: dict[str, Any] = {"index": None, "lake": {"file_seconds": 86_400, "buckets": 2}}
    with Harness(stack=stack, name="few", folder=tmp_path, overrides=long) as job:
        job.start()
        made = generate(Recipe(events=1_500, seed=52))
        sent: list[Sent] = []
        for _ in range(3):
            sent += job.produce(itertools.islice(made, 500))
            job.wait_read()
        assert list(job.store("lake").listing()) == []
        job.stop(drain=True)
    assert job.verdict(sent).problems() == []
    paths = [Path(stored.path) for stored in job.store("lake").listing()]
    assert {path.suffix for path in paths} == {".parquet"}
    assert len({path.parent for path in paths}) == len(paths), "a partition has one file"


def let_producers_say_the_time(servers: str, topic: str) -> None:
    settings = {
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": str(2**63 - 1),
        "retention.ms": "-1",
    }
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    changed = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.incremental_alter_configs([changed]).values():
        future.result()


def produce(servers: str, topic: str, made: Iterable[Made]) -> dict[Sent, Headers]:
    """Every record with one of those times, in turn by a producer of each codec.

    All have a redrive's headers, but no signature: they would be in the index, if there was one.
    Return the records with their headers.
    """
    settings = {"bootstrap.servers": servers, "message.max.bytes": 16_777_216}
    producers = [Producer({**settings, "compression.type": codec}) for codec in CODECS]
    sent: dict[Sent, Headers] = {}
    turns = zip(made, itertools.cycle(TIMES), itertools.cycle(producers), strict=False)
    for number, (one, time, producer) in enumerate(turns):
        own: Any = (*varied(number), *FORGED)
        told = partial(acknowledged, sent, one, own)
        settled: dict[str, Any] = {"timestamp": time, "headers": list(own), "on_delivery": told}
        producer.produce(topic, one.raw, one.key, **settled)
    assert [producer.flush(60) for producer in producers] == [0] * len(CODECS)
    return sent


def acknowledged(
    sent: dict[Sent, Headers],
    one: Made,
    own: Headers,
    error: KafkaError | None,
    message: Message,
) -> None:
    assert error is None, error.str()
    sent[Sent(f"{message.topic()}/{message.partition()}@{message.offset()}", one)] = own
