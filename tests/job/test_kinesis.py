"""Kinesis under resharding: shards split and merge while the job runs, and while it does not."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

from dev.demo.generate import Recipe, generate
from dev.demo.made import Made
from dev.servers import kinesis
from dev.servers.stack import Stack
from tests.job.harness import Harness
from tests.oracle import Sent

PART = 1_500
RATE = 100.0
MOST = 30_000


def test_resharding_loses_and_doubles_nothing(stack: Stack, tmp_path: Path) -> None:
    made = generate(Recipe(events=MOST, seed=23))
    with harness(stack, tmp_path) as running:
        sent = running.produce(part(made))
        running.start()
        sent += produce_while_resharding(running, made)
        running.drain()
        savepoint = running.stop()
        sent += running.produce(part(made))
        split(running)
        sent += running.produce(part(made))
        running.start(savepoint=savepoint)
        running.drain()
        running.stop(drain=True)

    shards = kinesis.list_shards(running.stream, endpoint=running.endpoint)
    assert len(shards) == 2 + 2 + 1 + 2, "split, merge, and a split across the savepoint"
    assert len(sent) == running.produced
    assert running.verdict(sent).problems() == []


def harness(stack: Stack, folder: Path) -> Harness:
    """A job of one stream alone, its dead letters on another."""
    endpoint = stack.environment()["KINESIS_ENDPOINT"]
    kinesis.create_stream("reshard-dead-letters", endpoint=endpoint)
    dead_letters = {
        "kinesis_stream": "reshard-dead-letters",
        "large_path": "s3a://reshard/large",
    }
    return Harness(
        stack=stack,
        name="reshard",
        folder=folder,
        topics=(),
        streams=("trips",),
        overrides={"dead_letters": dead_letters},
    )


def part(made: Iterator[Made]) -> Iterator[Made]:
    return itertools.islice(made, PART)


def produce_while_resharding(running: Harness, made: Iterator[Made]) -> list[Sent]:
    """Records keep coming until the shards have been split and merged."""
    sent: list[Sent] = []
    done = threading.Event()
    until_done = itertools.takewhile(lambda _: not done.is_set(), made)
    producer = threading.Thread(target=lambda: sent.extend(running.produce(until_done, rate=RATE)))
    producer.start()
    try:
        running.wait_checkpoints(1)
        split(running)
        running.wait_checkpoints(1)
        first, second, *_ = kinesis.open_shards(running.stream, endpoint=running.endpoint)
        kinesis.merge_shards(running.stream, first, second, endpoint=running.endpoint)
        running.wait_checkpoints(1)
    finally:
        done.set()
        producer.join()
    return sent


def split(running: Harness) -> None:
    first = kinesis.open_shards(running.stream, endpoint=running.endpoint)[0]
    kinesis.split_shard(running.stream, first, endpoint=running.endpoint)
