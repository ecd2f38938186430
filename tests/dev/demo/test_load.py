"""The demo's load: replayed to each source in parts, and the ledger read back from there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from connectors.errors import UserError
from dev.demo import data_set
from dev.demo.generate import Recipe, generate
from dev.demo.load import Load
from dev.demo.produce import create_topics, produce
from dev.demo.variants import STREAM, TOPIC
from dev.servers import kinesis
from tests.dev.demo import sinks as local
from tests.dev.demo.edges import Edges

RECIPE = Recipe(events=1_000, seed=8)


def test_both_sources_together_get_the_whole_set_once(edges: Edges, tmp_path: Path) -> None:
    servers = edges.kafka.bootstrap_servers
    create_topics(servers, source=TOPIC, dead_letters=None, partitions=2)
    kinesis.create_stream(STREAM, endpoint=edges.endpoint, shards=2)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": servers, "KINESIS_ENDPOINT": edges.endpoint}
    told: list[int] = []
    load = Load(("kafka", "kinesis"), RECIPE, tmp_path, environment)
    assert load.send(600, progress=told.append) == 600
    rest = load.send(rate=400.0, progress=told.append)
    assert max(told) == 600
    ledger = load.ledger()
    whole = local.on_kafka(generate(RECIPE))[1]
    assert len(ledger) == len(whole) == 600 + rest
    assert abs(int((ledger.positions >= 0).sum()) - len(whole) / 2) <= 1
    assert len(np.unique(ledger.positions)) == len(ledger)
    for name in ("trip_id", "content", "version_ms"):
        assert sorted(ledger.numbers(name).tolist()) == sorted(whole.numbers(name).tolist())
    assert ledger.counts("expect") == whole.counts("expect")


def test_a_source_that_lacks_a_record_or_has_one_twice_is_no_ledger(
    edges: Edges, tmp_path: Path
) -> None:
    made = list(generate(Recipe(events=200, seed=9)))
    facts = data_set.write(made, tmp_path)
    servers = edges.kafka.bootstrap_servers
    for name, sent in {"lacking": made[1:], "doubled": [*made, made[3]]}.items():
        create_topics(servers, source=name, dead_letters=None, partitions=1)
        produce(sent, servers=servers, topic=name)
        with pytest.raises(UserError, match=f"{len(sent)} are in the source"):
            data_set.on_kafka(facts, edges.kafka, name)
