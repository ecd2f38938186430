"""Sending to a real Kinesis server: the target alone, then the command as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.block import Block
from connectors.errors import UserError
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.aggregation import MAGIC, packed_record
from connectors.kinesis.producer import KinesisProducer
from connectors.kinesis.reader import Record
from connectors.positions import Position
from connectors.producer import Outgoing
from dev.servers import kinesis, process
from dev.servers.stack import Stack

ROOT = Path(__file__).parents[3]
COMMAND = str(Path(sys.executable).parent / "streaming-etl")
NAMES = count()


@dataclass(frozen=True, slots=True)
class Server:
    stack: Stack
    endpoint: str
    client: Any


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("run")
    made = Stack(ROOT, run_dir=folder, free_ports=True, servers=("kinesis",))
    with made.running(print, wipe=True) as stack:
        endpoint = stack.environment()["KINESIS_ENDPOINT"]
        yield Server(stack, endpoint, kinesis.client(endpoint))
        process.kill(stack.started()["kinesis"])  # Asked to end, it waits for idle connections.


@pytest.fixture
def stream(server: Server) -> Iterator[str]:
    """Three shards; the server has few to give."""
    name = f"replay-{next(NAMES)}"
    kinesis.create_stream(name, endpoint=server.endpoint, shards=3)
    yield name
    server.client.delete_stream(StreamName=name)


def test_a_block_arrives_once_and_each_key_keeps_its_order(server: Server, stream: str) -> None:
    target = KinesisProducer(server.client, stream)
    numbers = range(2_000)
    raws: list[bytes | None] = [b"%d" % number for number in numbers]
    keys: list[bytes | None] = [b"key %d" % (number % 50) for number in numbers]
    target.send_block(Block(np.array(numbers, dtype=np.int64), raws, keys))
    target.close()
    assert (target.acknowledged_records, target.retries) == (2_000, 0)
    records = read(server, stream)
    assert sorted(int(record.data) for record in records) == list(numbers)
    for key in {record.key for record in records}:
        mine = [record for record in records if record.key == key]
        assert len({one.shard for one in mine}) == 1
        assert [int(one.data) % 50 for one in mine] == [int(key.split()[1])] * len(mine)
        assert [int(one.data) for one in mine] == sorted(int(one.data) for one in mine)


def test_a_position_is_reported_and_is_where_the_record_lies(server: Server, stream: str) -> None:
    target = KinesisProducer(server.client, stream)
    stored: list[Position] = []
    target.send(Outgoing(b"one", b"key"), stored.append)
    target.send(Outgoing(None, None), stored.append)
    target.flush()
    there = {(one.shard, one.sequence_number): one.data for one in read(server, stream)}
    assert Counter(there[str(one.shard), str(one.sequence_number)] for one in stored) == Counter(
        [b"one", b""]
    )
    assert {one.stream for one in stored} == {stream}
    target.close()


def test_a_key_that_cannot_be_a_partition_key_is_replaced(server: Server, stream: str) -> None:
    target = KinesisProducer(server.client, stream)
    for key in (None, b"", b"\xff", b"x" * 300, b"4071000"):
        target.send(Outgoing(b"value", key))
    target.close()
    keys = {one.key for one in read(server, stream)}
    assert "4071000" in keys and all(0 < len(key) <= 256 for key in keys)


@dataclass
class Watched:
    """The client, with the size of every request kept."""

    client: Any
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def get_paginator(self, name: str) -> Any:
        return self.client.get_paginator(name)

    def put_records(self, **request: Any) -> Any:
        records = request["Records"]
        size = sum(len(record["Data"]) + len(record["PartitionKey"]) for record in records)
        self.sizes.append((len(records), size))
        return self.client.put_records(**request)


def test_no_request_is_larger_than_kinesis_allows(server: Server, stream: str) -> None:
    watched = Watched(server.client)
    target = KinesisProducer(watched, stream)
    large = [os.urandom(900_000) for _ in range(6)]
    for raw in large:
        target.send(Outgoing(raw, b"one"))
    for number in range(1_200):
        target.send(Outgoing(b"%d" % number, b"one"))
    target.close()
    assert max(records for records, _ in watched.sizes) <= 500
    assert 4_000_000 < max(size for _, size in watched.sizes) < 5 * 1024 * 1024
    assert len(watched.sizes) < 60
    found = Counter(one.data for one in read(server, stream))
    assert found == Counter([*large, *(b"%d" % number for number in range(1_200))])


def test_a_record_too_large_for_kinesis_is_named(server: Server, stream: str) -> None:
    target = KinesisProducer(server.client, stream)
    target.send(Outgoing(b"x" * (1_048_576 - 3), b"key"))
    with pytest.raises(UserError, match="1048577 bytes with its key; the stream takes 1048576"):
        target.send(Outgoing(b"x" * (1_048_576 - 2), b"key"))
    target.close()


class LargeRecords(Watched):
    """The client of a stream whose owner allows 6 MiB; the local server knows no such limit."""

    def describe_stream_summary(self, **request: Any) -> Any:
        described = self.client.describe_stream_summary(**request)
        described["StreamDescriptionSummary"]["MaxRecordSizeInKiB"] = 6 * 1024
        return described


def test_the_stream_s_own_limit_is_used(server: Server, stream: str) -> None:
    target = KinesisProducer(LargeRecords(server.client), stream)
    assert target.takes(6 * 1024 * 1024) and not target.takes(6 * 1024 * 1024 + 1)
    with pytest.raises(UserError, match="with its key; the stream takes 6291456"):
        target.send(Outgoing(b"x" * 6 * 1024 * 1024, b"key"))
    target.close()
    default = KinesisProducer(server.client, stream)
    assert default.takes(1_048_576) and not default.takes(1_048_577)
    default.close()


@dataclass
class Throttling(Watched):
    """The client, but of each first request every second record is refused."""

    refused: int = 0

    def put_records(self, **request: Any) -> Any:
        entries = request["Records"]
        if len(self.sizes) % 2:
            return Watched.put_records(self, **request)
        taken = Watched.put_records(self, **{**request, "Records": entries[::2]})["Records"]
        self.refused += len(entries) - len(taken)
        no = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}
        return {"Records": [no if n % 2 else taken[n // 2] for n, _ in enumerate(entries)]}


def test_what_is_throttled_is_sent_again_and_counted(server: Server, stream: str) -> None:
    client = Throttling(server.client)
    target = KinesisProducer(client, stream)
    target.send_block(block(1_000))
    target.close()
    assert target.retries == target.throttled == client.refused > 0
    assert target.acknowledged_records == 1_000
    assert sorted(int(one.data) for one in read(server, stream)) == list(range(1_000))


@dataclass
class Refusing(Watched):
    """The client, but nothing is ever taken."""

    def put_records(self, **request: Any) -> Any:
        no = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}
        return {"Records": [no for _ in request["Records"]]}


def test_throttling_without_end_ends(server: Server, stream: str) -> None:
    target = KinesisProducer(Refusing(server.client), stream, timeout_seconds=1)
    began = time.monotonic()
    target.send(Outgoing(b"x", b"key"))
    with pytest.raises(UserError, match=f"the stream {stream}: not stored in 1 s .*Throughput"):
        target.flush()
    target.close()
    assert time.monotonic() - began < 10


def test_an_absent_stream_is_named(server: Server) -> None:
    with pytest.raises(UserError, match="cannot produce to the stream nowhere"):
        KinesisProducer(server.client, "nowhere")


def test_control_records_reach_every_open_shard_also_after_a_split(
    server: Server, stream: str
) -> None:
    target = KinesisProducer(server.client, stream)
    target.send_block(block(100))
    assert target.send_everywhere(b"first") == 3
    closed = kinesis.open_shards(stream, endpoint=server.endpoint)[0]
    kinesis.split_shard(stream, closed, endpoint=server.endpoint)
    target.send_everywhere(b"notices")
    target.flush()
    assert target.send_everywhere(b"last") == 4
    target.close()
    assert target.acknowledged_records == 100
    found = read(server, stream)
    for shard in kinesis.list_shards(stream, endpoint=server.endpoint):
        mine = [one.data for one in found if one.shard == shard["ShardId"]]
        assert mine[-1] == (b"first" if shard["ShardId"] == closed else b"last")


def test_aggregated_records_are_read_back_whole(server: Server, stream: str) -> None:
    target = KinesisProducer(server.client, stream, aggregate=True)
    stored: list[Position] = []
    large = b"l" * 60_000
    target.send_block(block(3_000))
    target.send(Outgoing(large, b"large"), stored.append)
    target.send(Outgoing(b"3000", b"3000"), stored.append)
    target.close()
    assert (target.acknowledged_records, len(stored)) == (3_002, 2)
    records = read(server, stream)
    assert len(records) < 20
    members = [one for record in records for one in taken_apart(server, stream, record)]
    assert sorted(data for _, data in members if data != large) == sorted(
        b"%d" % number for number in range(3_001)
    )
    assert all(key == data.decode() for key, data in members if data != large)
    assert ("large", large) in members


def test_a_split_meanwhile_loses_no_aggregated_record(server: Server, stream: str) -> None:
    target = KinesisProducer(server.client, stream, aggregate=True)
    target.send_block(block(1_000))
    target.flush()
    for shard in kinesis.open_shards(stream, endpoint=server.endpoint):
        kinesis.split_shard(stream, shard, endpoint=server.endpoint)
    target.send_block(block(1_000, 1_000))
    target.flush()
    assert target.misplaced_records > 0
    target.send_block(block(1_000, 2_000))
    target.close()
    assert target.acknowledged_records == 3_000
    found = [
        int(data)
        for record in read(server, stream)
        for _, data in taken_apart(server, stream, record)
    ]
    assert sorted(found) == list(range(3_000))


def test_the_packed_bytes_are_those_of_the_library() -> None:
    # Written by hand after aggregation-format.md: the key table, then key index and data.
    message = b"\x0a\x01a\x0a\x01b\x1a\x05\x08\x00\x1a\x01x\x1a\x06\x08\x01\x1a\x02yz"
    expected = b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()
    assert packed_record([(0, b"x"), (1, b"yz")], ["a", "b"]) == expected


@pytest.mark.server
def test_a_server_that_stays_away_ends_it(tmp_path: Path) -> None:
    made = Stack(ROOT, run_dir=tmp_path, free_ports=True, servers=("kinesis",))
    with made.running(print, wipe=True) as stack:
        endpoint = stack.environment()["KINESIS_ENDPOINT"]
        kinesis.create_stream("away", endpoint=endpoint)
        target = KinesisProducer(kinesis.client(endpoint), "away", timeout_seconds=1)
        process.kill(stack.started()["kinesis"])
        target.send(Outgoing(b"x", b"key"))
        with pytest.raises(UserError, match="cannot produce to the stream away"):
            target.flush()
        target.close()


# The command, with the spellings of the original.


def test_old_names_and_a_stream_need_no_configuration(
    server: Server, stream: str, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", 300)
    old = ["-streamName", stream, "-streamRegion", "us-east-1", "-noWatermark", "-speedup=1000"]
    done = run(server, str(data), *old, "-kinesisSenderThreads", "4", "--endpoint", server.endpoint)
    assert done.returncode == 0, done.stderr
    assert "-streamName is the old spelling of --stream." in done.stderr
    assert "-kinesisSenderThreads is not needed any more" in done.stderr
    assert sorted(json.loads(one.data)["trip_id"] for one in read(server, stream)) == list(
        range(300)
    )
    assert {one.key for one in read(server, stream)} == {str(number) for number in range(300)}


def test_watermarks_keep_their_promise_in_every_shard(
    server: Server, stream: str, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", 1_000)
    where = ["--stream", stream, "--region", "us-east-1", "--endpoint", server.endpoint]
    done = run(server, str(data), *where, "--aggregate", "--speedup", "500", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    found = read(server, stream)
    control = 0
    for shard in kinesis.open_shards(stream, endpoint=server.endpoint):
        promised = ""
        for record in (one for one in found if one.shard == shard):
            for _, data_bytes in taken_apart(server, stream, record):
                event = json.loads(data_bytes)
                if event["type"] == "watermark":
                    promised, control = event["watermark"], control + 1
                assert event.get("dropoff_datetime", promised) >= promised
        assert promised == report["last_event_time"]
    assert report["acknowledged"] == 1_000
    assert control == report["watermarks"] >= 3 * 2


def block(events: int, first: int = 0) -> Block:
    numbers = range(first, first + events)
    texts: list[bytes | None] = [b"%d" % number for number in numbers]
    return Block(np.array(numbers, dtype=np.int64), texts, texts)


def read(server: Server, stream: str) -> list[Record]:
    return list(kinesis_stream.records(server.client, stream))


def taken_apart(server: Server, stream: str, record: Record) -> list[tuple[str, bytes]]:
    """Key and data of each member, as the KCL and Flink do it: none of them when one's key isn't
    of this shard."""
    if not record.data.startswith(MAGIC):
        return [(record.key, record.data)]
    message, digest = record.data[4:-16], record.data[-16:]
    assert hashlib.md5(message).digest() == digest
    keys = [found.decode() for number, found in fields(message) if number == 1]
    members = [dict(fields(found)) for number, found in fields(message) if number == 3]
    shards = kinesis.list_shards(stream, endpoint=server.endpoint)
    (own,) = (shard["HashKeyRange"] for shard in shards if shard["ShardId"] == record.shard)
    first, last = int(own["StartingHashKey"]), int(own["EndingHashKey"])
    hashes = [int(hashlib.md5(keys[member[1]].encode()).hexdigest(), 16) for member in members]
    own_keys = all(first <= hash <= last for hash in hashes)
    return [(keys[member[1]], member[3]) for member in members] if own_keys else []


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer: a number, or bytes."""
    place = 0
    while place < len(message):
        tag, place = varint(message, place)
        found, place = varint(message, place)
        if tag & 7 == 0:
            yield tag >> 3, found
        else:
            yield tag >> 3, message[place : place + found]
            place += found


def varint(message: bytes, place: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = message[place]
        found |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return found, place


def write(folder: Path, events: int) -> Path:
    folder.mkdir()
    lines = (
        f'{{"dropoff_datetime":"2018-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000Z",'
        f'"trip_id":{n},"type":"trip"}}\n'
        for n in range(events)
    )
    (folder / "trips.json").write_text("".join(lines))
    return folder


def run(server: Server, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **server.stack.environment()}
    state = ["--state", str(server.stack.run_dir / f"state-{next(NAMES)}.json")]
    return subprocess.run(
        [COMMAND, "replay", *options, *state],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )
