"""Producing to Kinesis and reading it, against a real server."""

from __future__ import annotations

import time
from typing import Any

import pytest

from connectors.errors import UserError
from connectors.kinesis.reader import records
from connectors.positions import Position
from dev.demo.made import CONTROL, EVENT, Made
from dev.demo.produce import produce_kinesis
from dev.servers import kinesis
from tests.dev.demo.edges import LIMIT, MADE, STREAM, Edges, Sent, unused_stream


def test_the_ledger_names_the_position_of_every_record(edges: Edges, sent: Sent) -> None:
    assert len(sent.ledger) == len(MADE)
    for shard in kinesis.list_shards(STREAM, endpoint=edges.endpoint):
        iterator = edges.client.get_shard_iterator(
            StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        answer = edges.client.get_records(ShardIterator=iterator, Limit=10_000)
        found = {one["SequenceNumber"]: one["Data"] for one in answer["Records"]}
        mine = [r for r in sent.records if r.position.shard == shard["ShardId"]]
        assert found == {r.position.sequence_number: r.made.raw or b"" for r in mine}


def test_versions_of_one_id_keep_their_order(sent: Sent) -> None:
    by_id: dict[int, list[Position]] = {}
    for record in sent.records:
        if record.made.expect == EVENT:
            by_id.setdefault(record.made.trip_id, []).append(record.position)
    assert any(len(found) > 1 for found in by_id.values())
    for found in by_id.values():
        assert len({position.shard for position in found}) == 1
        assert found == sorted(found, key=lambda position: position.sequence_number or "")


def test_a_stream_is_read_whole_after_a_split_and_a_merge(edges: Edges) -> None:
    name = unused_stream(edges, shards=2)
    produce_kinesis(MADE[:100], client=edges.client, stream=name)
    first, second = kinesis.open_shards(name, endpoint=edges.endpoint)
    kinesis.split_shard(name, first, endpoint=edges.endpoint)
    produce_kinesis(MADE[100:200], client=edges.client, stream=name)
    children = kinesis.open_shards(name, endpoint=edges.endpoint)
    kinesis.merge_shards(name, children[1], second, endpoint=edges.endpoint)
    produce_kinesis(MADE[200:300], client=edges.client, stream=name)
    found = sorted(record.data for record in records(edges.client, name))
    assert found == sorted(one.raw or b"" for one in MADE[:300])


def test_the_rate_is_kept_and_progress_is_told(edges: Edges) -> None:
    name = unused_stream(edges)
    told: list[int] = []
    started = time.monotonic()
    made = [one for one in MADE if len(one.raw or b"") < LIMIT][:200]
    produce_kinesis(made, client=edges.client, stream=name, rate=100, progress=told.append)
    assert 1.9 <= time.monotonic() - started < 10
    assert told == [200]


def test_a_key_that_cannot_be_a_partition_key_is_replaced(edges: Edges) -> None:
    name = unused_stream(edges)
    keys = [None, b"", b"\xff", b"x" * 300, b"4071000"]
    made = [Made(b"value", key, CONTROL) for key in keys]
    produce_kinesis(made, client=edges.client, stream=name)
    found = [record.key for record in records(edges.client, name)]
    assert "4071000" in found
    assert all(0 < len(key) <= 256 for key in found)


class Throttling:
    """A client that refuses every second record of each first request."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.requests = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def put_records(self, **request: Any) -> dict[str, Any]:
        self.requests += 1
        every = 2 if self.requests % 2 else 1
        entries = request["Records"]
        taken = self.client.put_records(**{**request, "Records": entries[::every]})["Records"]
        refused = {"ErrorCode": "ProvisionedThroughputExceededException"}
        answers = [taken[n // every] if n % every == 0 else refused for n, _ in enumerate(entries)]
        return {"Records": answers}


def test_a_refused_record_is_sent_again(edges: Edges) -> None:
    name = unused_stream(edges, shards=2)
    ledger = produce_kinesis(MADE, client=Throttling(edges.client), stream=name)
    found = sorted(record.data for record in records(edges.client, name))
    assert len(ledger) == len(MADE)
    assert found == sorted(one.raw or b"" for one in MADE)


def test_a_stream_that_is_not_there_is_named(edges: Edges) -> None:
    with pytest.raises(UserError, match="cannot produce to the stream nowhere"):
        produce_kinesis(MADE[:1], client=edges.client, stream="nowhere")
    with pytest.raises(UserError, match="cannot read the stream nowhere"):
        list(records(edges.client, "nowhere"))
