"""The local Kinesis server: records in, records out, real resharding, loopback only."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from dev.servers import ports, process
from dev.servers.kinesis import (
    client,
    create_stream,
    keep_hashes,
    list_shards,
    merge_shards,
    open_shards,
    split_shard,
)
from dev.servers.setup import setup
from dev.servers.stack import Stack

ROOT = Path(__file__).parents[3]
FULL_RANGE = (0, 2**128 - 1)

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="the server needs Node")


def silent(_: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The Kinesis server alone, on a free port."""
    setup(ROOT, say=silent, servers=("kinesis",))
    run_dir = tmp_path_factory.mktemp("kinesis")
    made = Stack(ROOT, run_dir=run_dir, free_ports=True, servers=("kinesis",))
    with made.running(silent):
        yield made


@pytest.fixture(scope="module")
def endpoint(stack: Stack) -> str:
    """The server's address."""
    return stack.environment()["KINESIS_ENDPOINT"]


def test_environment_has_address_and_keys(stack: Stack) -> None:
    assert set(stack.environment()) == {
        "KINESIS_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION",
    }  # fmt: skip


def test_stream_is_made_once_and_told_by_its_arn(endpoint: str) -> None:
    arn = create_stream("made", endpoint=endpoint, shards=2)

    assert arn == "arn:aws:kinesis:us-east-1:000000000000:stream/made"
    assert create_stream("made", endpoint=endpoint, shards=4) == arn
    assert len(open_shards("made", endpoint=endpoint)) == 2


def test_records_come_back_by_shard_in_order(endpoint: str) -> None:
    create_stream("trips", endpoint=endpoint, shards=2)
    put(endpoint, "trips", range(100))

    found = [read(endpoint, "trips", shard) for shard in open_shards("trips", endpoint=endpoint)]

    assert sorted(found[0] + found[1]) == list(range(100))
    assert all(each and each == sorted(each) for each in found)


def test_split_closes_the_parent_and_its_children_take_over(endpoint: str) -> None:
    create_stream("busy", endpoint=endpoint)
    (parent,) = open_shards("busy", endpoint=endpoint)
    put(endpoint, "busy", range(50))

    children = split_shard("busy", parent, endpoint=endpoint)
    put(endpoint, "busy", range(50, 100))

    assert open_shards("busy", endpoint=endpoint) == children
    assert ranges(endpoint, "busy", children) == [(0, 2**127 - 1), (2**127, 2**128 - 1)]
    assert read(endpoint, "busy", parent) == list(range(50))
    found = [read(endpoint, "busy", child) for child in children]
    assert sorted(found[0] + found[1]) == list(range(50, 100))
    assert all(found)


def test_merge_closes_both_parents_and_names_them(endpoint: str) -> None:
    create_stream("quiet", endpoint=endpoint, shards=2)
    one, two = open_shards("quiet", endpoint=endpoint)
    put(endpoint, "quiet", range(50))

    child = merge_shards("quiet", one, two, endpoint=endpoint)
    put(endpoint, "quiet", range(50, 100))

    shards = {shard["ShardId"]: shard for shard in list_shards("quiet", endpoint=endpoint)}
    assert (shards[child]["ParentShardId"], shards[child]["AdjacentParentShardId"]) == (one, two)
    assert open_shards("quiet", endpoint=endpoint) == [child]
    assert ranges(endpoint, "quiet", [child]) == [FULL_RANGE]
    assert read(endpoint, "quiet", child) == list(range(50, 100))
    before = read(endpoint, "quiet", one) + read(endpoint, "quiet", two)
    assert sorted(before) == list(range(50))


def test_server_is_reachable_from_this_machine_only(stack: Stack) -> None:
    found = ports.listeners_of(stack.processes())

    assert found
    assert all(each.is_loopback for each in found)


def test_down_leaves_no_process(stack: Stack) -> None:
    (started,) = stack.started().values()

    stack.down(silent)

    assert not process.family(started)


def test_server_of_another_shape_is_not_changed(tmp_path: Path) -> None:
    main = tmp_path / "main.js"
    main.write_text("something else", "utf-8")

    with pytest.raises(UserError, match="differs"):
        keep_hashes(main)


def put(endpoint: str, stream: str, numbers: range) -> None:
    """One record per number, spread over the shards."""
    records = [{"Data": str(n).encode(), "PartitionKey": f"key {n}"} for n in numbers]
    assert (
        client(endpoint).put_records(StreamName=stream, Records=records)["FailedRecordCount"] == 0
    )


def read(endpoint: str, stream: str, shard: str) -> list[int]:
    """Everything in a shard, up to its end or to now."""
    kinesis = client(endpoint)
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    found: list[int] = []
    deadline = time.monotonic() + 20
    while iterator is not None:
        assert time.monotonic() < deadline, "waited in vain"
        answer: dict[str, Any] = kinesis.get_records(ShardIterator=iterator)
        found += [int(record["Data"]) for record in answer["Records"]]
        if not answer["Records"] and answer["MillisBehindLatest"] == 0:
            return found
        iterator = answer.get("NextShardIterator")
    return found


def ranges(endpoint: str, stream: str, shards: list[str]) -> list[tuple[int, int]]:
    """The hash keys of some shards."""
    known = {
        shard["ShardId"]: shard["HashKeyRange"] for shard in list_shards(stream, endpoint=endpoint)
    }
    return [
        (int(known[shard]["StartingHashKey"]), int(known[shard]["EndingHashKey"]))
        for shard in shards
    ]
