"""The demo's load: dealt to the sources, replayed in parts, each record sent once."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from connectors.errors import UserError
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kinesis import reader as kinesis_stream
from dev.demo.generate import Recipe, generate
from dev.demo.load import Load
from dev.demo.made import CONTROL, EVENT
from dev.demo.variants import BUCKET, STREAM, TOPIC, Place
from dev.servers import kinesis
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack

RECIPE = Recipe(events=1_000, seed=8)
MADE = list(generate(RECIPE))


def place(environment: dict[str, str]) -> Place:
    return Place(environment, BUCKET, STREAM)


def test_both_sources_together_get_the_whole_set_once(stack: Stack, tmp_path: Path) -> None:
    environment = stack.environment()
    servers, endpoint = environment["KAFKA_BOOTSTRAP_SERVERS"], environment["KINESIS_ENDPOINT"]
    create_topics(servers, source=TOPIC, dead_letters=None, partitions=2)
    kinesis.create_stream(STREAM, endpoint=endpoint, shards=2)
    load, made = Load(("kafka", "kinesis"), tmp_path, place(environment)), iter(MADE)
    assert load.write(islice(made, 600), "first") == 600
    load.send("first")
    rest = load.write(made, "rest")
    started = time.monotonic()
    load.send("rest", rate=200.0)
    assert time.monotonic() - started > rest / 200 - 1

    cluster = Kafka(bootstrap_servers=servers)
    on_topic = [message.value() for message in kafka_topic.messages(cluster, TOPIC)]
    client = kinesis.client(endpoint)
    on_stream = [record.data for record in kinesis_stream.records(client, STREAM)]
    assert Counter(on_topic) == Counter(one.raw for one in MADE[::2])
    assert Counter(on_stream) == Counter(one.raw or b"" for one in MADE[1::2])


def test_what_was_written_is_counted(tmp_path: Path) -> None:
    load = Load(("kafka",), tmp_path, place({}))
    assert load.write(MADE, "all") == len(MADE)
    due, events = load.expectation, [one for one in MADE if one.expect == EVENT]
    assert due.produced == len(MADE)
    assert due.outcomes[EVENT] == len(events)
    assert due.outcomes[CONTROL] == RECIPE.watermarks
    assert sum(due.rejected.values()) == sum(one.is_reject for one in MADE) == 10
    assert {(name, id) for name, ids in due.ids.items() for id in ids} == {
        (event.event_type, event.trip_id) for event in events
    }
    assert 0 < due.at_airports < len(events)


def test_a_server_that_is_away_is_no_success(tmp_path: Path) -> None:
    load = Load(("kafka",), tmp_path, place({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}))
    load.write(MADE[:10], "all")
    with pytest.raises(UserError, match="streaming-etl replay ended with 2"):
        load.send("all")
