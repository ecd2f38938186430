"""`tap decode` on real topics and streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from connectors.kafka.options import Kafka
from connectors.kafka.producer import KafkaProducer
from connectors.kinesis.aggregation import packed_record
from connectors.positions import Position
from connectors.producer import Outgoing
from dev.demo.generate import Recipe, generate
from dev.demo.made import EVENT, Made
from dev.servers import kinesis
from dev.servers.kafka import create_topics
from pipeline.decode.partition import partition
from pipeline.decode.redriven import HEADERS
from tests.decode.corpus import TYPES
from tests.ops.tap.harness import Ended, Place
from tests.oracle import Sent
from tests.sending import produce, produce_kinesis

MADE = list(generate(Recipe(events=40, seed=7, defective=0.3, watermarks=2)))
GOOD = [one for one in MADE if one.expect == EVENT]
BAD = [one for one in MADE if one.is_reject]
ESCAPES = b'{"type":"trip\x1b]0;owned\x07\xc2\x9b31m","trip_id":1}'


def topic(place: Place, partitions: int = 2) -> str:
    name = place.name()
    servers = place.environment["KAFKA_BOOTSTRAP_SERVERS"]
    create_topics(servers, source=name, dead_letters=None, partitions=partitions)
    return name


@contextmanager
def stream(place: Place, shards: int) -> Iterator[str]:
    """A stream of this test; the server has a limit of shards."""
    name, endpoint = place.name(), place.environment["KINESIS_ENDPOINT"]
    kinesis.create_stream(name, endpoint=endpoint, shards=shards)
    yield name
    kinesis.client(endpoint).delete_stream(StreamName=name)


def send(place: Place, name: str, made: list[Made]) -> list[Sent]:
    return produce(made, servers=place.environment["KAFKA_BOOTSTRAP_SERVERS"], topic=name)


def expected(made: Made) -> dict[str, Any]:
    """What is shown of a record, as its maker knows it."""
    if made.expect == EVENT:
        values = {"pickup_location_id": made.pickup_location_id, "pickup_datetime": made.pickup_ms}
        path = partition(TYPES[made.event_type], values).partition("/")[2]
        return {"verdict": "event", "event_type": made.event_type, "partition": path,
                "id": str(made.trip_id)}  # fmt: skip
    if made.is_reject:
        return {"verdict": "reject", "step": "decode", "reason": made.expect}
    return {"verdict": "control"}


def assert_seen(ended: Ended, sent: list[Sent]) -> None:
    """Assert that each record was shown once, at its position and as what it is."""
    assert ended.code == 0, ended.notes
    found = {each["position"]: each for each in ended.shown}
    assert len(ended.shown) == len(found) == len(sent)
    for one in sent:
        shown = found[one.position.replace("@", "/")]
        assert shown.items() >= expected(one.made).items()


def test_what_arrives_in_topics_is_shown_as_the_job_decodes_it(place: Place) -> None:
    names = [topic(place), topic(place)]
    send(place, names[0], GOOD[:3])
    config = place.config(source={"kafka_topics": names, "kafka_group_id": names[0]})
    limit = str(2 * len(MADE))
    with place.tap("decode", config, "--json", "--limit", limit) as running:
        assert f"the topic {names[0]} (2 partitions)" in running.until_it_follows()
        sent = [one for name in names for one in send(place, name, MADE)]
        assert_seen(running.ended(), sent)
    admin = AdminClient({"bootstrap.servers": place.environment["KAFKA_BOOTSTRAP_SERVERS"]})
    groups = admin.list_consumer_groups().result().valid
    assert {names[0], "streaming-etl-reader"}.isdisjoint(group.group_id for group in groups)


def test_a_stream_is_followed_through_a_split(place: Place) -> None:
    endpoint = place.environment["KINESIS_ENDPOINT"]
    client = kinesis.client(endpoint)
    with stream(place, shards=2) as name:
        produce_kinesis(GOOD[:3], client=client, stream=name)
        config = place.config(source={"kinesis_streams": [name]})
        with place.tap("decode", config, "--json", "--limit", str(len(MADE))) as running:
            assert f"the stream {name} (2 shards)" in running.until_it_follows()
            sent = produce_kinesis(MADE[:20], client=client, stream=name)
            first, _ = kinesis.open_shards(name, endpoint=endpoint)
            kinesis.split_shard(name, first, endpoint=endpoint)
            sent += produce_kinesis(MADE[20:], client=client, stream=name)
            assert_seen(running.ended(), sent)


def test_the_records_of_an_aggregate_are_shown_one_by_one(place: Place) -> None:
    packed = packed_record([(0, one.raw or b"") for one in GOOD], ["key"])
    with stream(place, shards=1) as name:
        config = place.config(source={"kinesis_streams": [name]})
        with place.tap("decode", config, "--json", "--limit", str(len(GOOD))) as running:
            running.until_it_follows()
            client = kinesis.client(place.environment["KINESIS_ENDPOINT"])
            client.put_record(StreamName=name, Data=packed, PartitionKey="a")
            ended = running.ended()
    assert sorted(each["id"] for each in ended.shown) == sorted(str(one.trip_id) for one in GOOD)
    assert len({each["position"] for each in ended.shown}) == 1


def test_it_looks_back_and_may_show_rejects_alone(place: Place) -> None:
    name = topic(place)
    sent = send(place, name, MADE)
    config = place.config(source={"kafka_topics": [name]})
    options = ("--json", "--since", "600")
    assert_seen(place.run("decode", config, *options, "--limit", str(len(MADE))), sent)
    ended = place.run("decode", config, *options, "--rejects", "--limit", str(len(BAD)))
    assert_seen(ended, [one for one in sent if one.made.is_reject])


def test_a_silent_source_is_said_to_be_silent(place: Place) -> None:
    name = topic(place)
    send(place, name, GOOD[:3])
    config = place.config(source={"kafka_topics": [name]})
    ended = place.run("decode", config, "--timeout", "0.5", "--limit", "4")
    assert (ended.code, ended.stdout) == (1, "")
    following, over = ended.notes.splitlines()
    assert following.endswith("from the end; waiting for records")
    assert over.startswith("0 of 4 shown in ")
    assert f"looked at 0 records (0 events, 0 rejects) of the topic {name}" in over


def test_ctrl_c_ends_it(place: Place) -> None:
    name = topic(place)
    config = place.config(source={"kafka_topics": [name]})
    with place.tap("decode", config, "--limit", "0") as running:
        running.until_it_follows()
        send(place, name, GOOD[:1])
        assert f"  {GOOD[0].trip_id}  {name}/" in running.line()
        ended = running.interrupted()
    assert (ended.code, ended.notes) == (0, "ended by Ctrl-C; 1 shown\n")


def test_no_control_character_reaches_the_terminal(place: Place) -> None:
    name = topic(place, partitions=1)
    hostile = [Made(ESCAPES, None, "unknown_type"), Made(b"\x1b[2J\xff\n", None, "invalid_json")]
    send(place, name, hostile)
    config = place.config(source={"kafka_topics": [name]})
    for options in ((), ("--json",)):
        ended = place.run("decode", config, "--since", "600", "--limit", "2", *options)
        assert ended.code == 0
        assert all(c.isprintable() for c in ended.stdout.replace("\n", ""))
        assert "owned" in ended.stdout


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        (("index", "trips/0/1", "", "0" * 64), "with a forged redrive mark"),
        (("decode", "trips/0/1"), "redriven to the step decode"),
    ],
)
def test_a_redriven_record_is_named(place: Place, mark: tuple[str, ...], told: str) -> None:
    name = topic(place)
    config = place.config(source={"kafka_topics": [name]})
    headers = tuple(zip(HEADERS, (value.encode() for value in mark), strict=False))
    cluster = Kafka(bootstrap_servers=place.environment["KAFKA_BOOTSTRAP_SERVERS"])
    stored: list[Position] = []
    producer = KafkaProducer(cluster, name)
    producer.send(Outgoing(GOOD[0].raw, None, headers), stored.append)
    producer.close()
    ended = place.run("decode", config, "--since", "600", "--limit", "1", "--json")
    assert [each["redriven"] for each in ended.shown] == [told]


@pytest.mark.parametrize("key", ["kafka_topics", "kinesis_streams"])
def test_an_absent_source_is_named(place: Place, key: str) -> None:
    ended = place.run("decode", place.config(source={key: ["nowhere"]}))
    assert ended.code == 2
    assert "nowhere" in ended.notes
    assert "Traceback" not in ended.notes
    assert len(ended.notes.splitlines()) == 1
