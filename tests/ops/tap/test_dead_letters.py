"""`tap dead-letters` on each back end."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from dev.servers import kinesis
from dev.servers.s3 import create_bucket
from tests.ops.dead_letters.harness import BUCKET, BackEnd, Case, DeadRecord, Servers
from tests.ops.tap.harness import Place

BACK_ENDS: tuple[BackEnd, ...] = ("s3", "kafka", "kinesis")
ODD = b'{"type":"trip"\x1b[31m\n' + bytes([0xFF])


@pytest.fixture(params=BACK_ENDS)
def case(request: pytest.FixtureRequest, place: Place) -> Iterator[Case]:
    create_bucket(BUCKET, endpoint=place.environment["S3_ENDPOINT"])
    servers = Servers(dict(place.environment), place.folder)
    back_end: BackEnd = request.param
    made = servers.case(back_end)
    yield made
    if back_end == "kinesis":  # The server has a limit of shards.
        kinesis.client(place.environment["KINESIS_ENDPOINT"]).delete_stream(StreamName=made.dead)


def letter(case: Case, number: int, detail: str = "fare_amount: text") -> DeadRecord:
    arrived = datetime.now(UTC)
    return DeadRecord(raw=ODD, position=case.position(number), detail=detail, arrived=arrived)


def test_the_newest_come_first_and_then_what_is_rejected(case: Case, place: Place) -> None:
    for number in range(3):
        case.write([letter(case, number)])
    with place.tap("dead-letters", case.config_path, "--json", "--limit", "5") as running:
        running.until_it_follows()
        case.write([letter(case, 3), letter(case, 4)])
        ended = running.ended()
    assert ended.code == 0, ended.notes
    found = [each["position"] for each in ended.shown]
    where = ["/".join(map(str, filter(lambda part: part is not None, case.position(n))))
             for n in range(5)]  # fmt: skip
    assert sorted(found[:3]) == where[:3]
    assert sorted(found[3:]) == where[3:]
    first = ended.shown[0]
    assert (first["step"], first["reason"]) == ("decode", "wrong_type")
    assert first["detail"] == "fare_amount: text"


def test_of_a_topic_s_partitions_the_newest_come_first(place: Place) -> None:
    servers, topic = place.environment["KAFKA_BOOTSTRAP_SERVERS"], place.name()
    admin = AdminClient({"bootstrap.servers": servers})
    stamped = NewTopic(topic, 2, config={"message.timestamp.type": "CreateTime"})
    admin.create_topics([stamped])[topic].result()
    producer = Producer({"bootstrap.servers": servers})
    now_ms = time.time_ns() // 1_000_000
    for number, age in enumerate((7200, 30, 20, 10)):
        producer.produce(
            topic,
            b"{",
            headers={"reason": f"aged {age}"},
            partition=number % 2,
            timestamp=now_ms - 1000 * age,
        )
    assert producer.flush(30) == 0
    options = ("--since", "3600", "--timeout", "0", "--json")
    ended = place.run("dead-letters", place.config(dead_letters={"kafka_topic": topic}), *options)
    assert [each["reason"] for each in ended.shown] == ["aged 10", "aged 20", "aged 30"]
    assert ended.code == 0


def test_of_files_the_newest_come_first(place: Place, tmp_path: Path) -> None:
    columns = {"raw": pa.array([b"{"] * 2, pa.binary()), "reason": pa.array(["first", "last"])}
    for name, age in (("b", 60), ("a", 30), ("c", 7200)):
        pq.write_table(pa.table({**columns, "detail": pa.array([name] * 2)}), tmp_path / name)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    config = place.config(dead_letters={"path": f"file://{tmp_path}"})
    ended = place.run("dead-letters", config, "--timeout", "0", "--json")
    found = [(each["detail"], each["reason"]) for each in ended.shown]
    assert found == [("a", "last"), ("a", "first"), ("b", "last"), ("b", "first")]


def test_what_was_there_may_be_left_out(case: Case, place: Place) -> None:
    case.write([letter(case, 1)])
    options = ("--since", "0", "--limit", "1")
    with place.tap("dead-letters", case.config_path, *options) as running:
        assert case.dead in (note := running.until_it_follows()) or case.name in note
        assert note.endswith("; waiting for dead letters\n")
        case.write([letter(case, 2, detail="\x1b]0;owned\x07")])
        ended = running.ended()
    assert ended.code == 0, ended.notes
    head, raw = ended.stdout.splitlines()
    assert head.endswith(f"{letter(case, 2).position[0] or case.name}/0/2  \\x1b]0;owned\\x07")
    assert raw == '    {"type":"trip"\\x1b[31m\\n\\xff'


def test_no_more_than_the_limit_is_shown(case: Case, place: Place) -> None:
    case.write([letter(case, number) for number in range(30)])
    ended = place.run("dead-letters", case.config_path, "--limit", "4", "--json")
    assert (ended.code, len(ended.shown)) == (0, 4)
    assert "following" not in ended.notes


def test_none_is_told(case: Case, place: Place) -> None:
    ended = place.run("dead-letters", case.config_path, "--timeout", "0")
    assert (ended.code, ended.stdout) == (1, "")
    assert re.search(r"0 of 10 shown in \d+ s; looked at 0 dead letters of the ", ended.notes)


def test_without_dead_letters_it_says_what_to_do(place: Place) -> None:
    ended = place.run("dead-letters", place.config())
    assert ended.code == 2
    assert "the configuration has no section dead_letters" in ended.notes
