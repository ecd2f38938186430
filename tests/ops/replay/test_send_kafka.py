"""Sending to a real Kafka: the target alone, then the command as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import pytest
from confluent_kafka import Message
from rich.console import Console
from typer.testing import CliRunner

from connectors.block import Block
from connectors.errors import UserError
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kafka.producer import KafkaProducer
from connectors.kinesis import reader as kinesis_stream
from connectors.positions import Position
from connectors.producer import Outgoing
from dev.servers import kinesis
from dev.servers.kafka import create_topics
from dev.servers.stack import Stack
from pipeline.cli import app
from pipeline.decode import timestamps
from pipeline.ops.replay.history import History
from pipeline.ops.replay.report import Show
from pipeline.ops.replay.rounds import Rounds
from pipeline.ops.replay.run import Plan, Replay, State
from pipeline.ops.replay.selection import Selection
from tests.ops.replay.input_data import trips

ROOT = Path(__file__).parents[3]
COMMAND = str(Path(sys.executable).parent / "streaming-etl")
PARTITIONS = 3
FIRST_MS = 1_514_764_800_000
NAMES = count()


class Done(NamedTuple):
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def cluster(stack: Stack) -> Kafka:
    return Kafka(bootstrap_servers=stack.environment()["KAFKA_BOOTSTRAP_SERVERS"])


@pytest.fixture
def topic(cluster: Kafka) -> str:
    name = f"replay-{next(NAMES)}"
    create_topics(cluster.bootstrap_servers, source=name, dead_letters=None, partitions=PARTITIONS)
    return name


# The target alone.


def test_a_block_arrives_once_in_order_with_its_keys(cluster: Kafka, topic: str) -> None:
    target = KafkaProducer(cluster, topic)
    target.send_block(block(5_000))
    target.send_block(block(5_000, 5_000))
    target.flush()
    assert target.acknowledged_records == 10_000
    target.close()
    messages = read(cluster, topic)
    assert sorted(key_number(message) for message in messages) == list(range(10_000))
    assert all(value(message) == b"event %d" % key_number(message) for message in messages)
    for partition in range(PARTITIONS):
        mine = [key_number(message) for message in messages if message.partition() == partition]
        assert mine and mine == sorted(mine)


def test_a_position_is_reported_and_is_where_the_record_lies(cluster: Kafka, topic: str) -> None:
    target = KafkaProducer(cluster, topic)
    headers = (("step", b"decode"), ("empty", None))
    stored: list[Position] = []
    target.send_block(block(10))
    target.send(Outgoing(b"one", b"k", headers), stored.append)
    target.send(Outgoing(None, b"k"), stored.append)
    target.send_block(block(10))
    target.close()
    assert target.acknowledged_records == 22
    there = {(message.partition(), message.offset()): message for message in read(cluster, topic)}
    first, second = (there[place.partition, place.offset] for place in stored)
    first_headers: Any = first.headers()
    assert (first.value(), first.key(), tuple(first_headers)) == (b"one", b"k", headers)
    assert second.value() is None
    assert stored[0].topic == topic


def test_headers_of_a_block_are_kept(cluster: Kafka, topic: str) -> None:
    target = KafkaProducer(cluster, topic)
    some = block(2)
    target.send_block(Block(some.times, some.raws, some.keys, [(("a", b"1"),), ()]))
    target.close()
    headers = {message.value(): message.headers() for message in read(cluster, topic)}
    assert headers == {b"event 0": [("a", b"1")], b"event 1": None}


def test_a_control_record_reaches_every_partition_behind_the_rest(
    cluster: Kafka, topic: str
) -> None:
    target = KafkaProducer(cluster, topic)
    target.send_block(block(100))
    assert target.send_everywhere(b"control") == PARTITIONS
    target.close()
    assert target.acknowledged_records == 100
    last = {message.partition(): message.value() for message in read(cluster, topic)}
    assert last == dict.fromkeys(range(PARTITIONS), b"control")


def test_what_kafka_refuses_is_named_with_its_size(cluster: Kafka, topic: str) -> None:
    target = KafkaProducer(cluster, topic)
    target.send(Outgoing(os.urandom(3_000_000)))
    with pytest.raises(UserError, match=rf"the topic {topic} on .*a record of 3000000 bytes"):
        target.flush()
    target.close()


def test_an_absent_topic_is_named(cluster: Kafka) -> None:
    with pytest.raises(UserError, match="the topic nowhere on .*create the topic first"):
        KafkaProducer(cluster, "nowhere")


# The command.


def test_all_of_it_arrives_and_the_summary_says_so(
    cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", 10_000)
    done = replay(cluster, topic, tmp_path, data, "--unpaced", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["events"], report["acknowledged"], report["files"]) == (10_000, 10_000, 2)
    assert (report["first_event_time"], report["last_event_time"]) == (instant(0), instant(9_999))
    assert report["bytes"] == sum(len(value(message)) for message in events(cluster, topic))
    assert ids(cluster, topic) == list(range(10_000))
    assert all(
        key_number(message) == trip(message)["trip_id"] for message in events(cluster, topic)
    )


def test_the_pace_is_that_of_event_time(cluster: Kafka, topic: str, tmp_path: Path) -> None:
    data = write(tmp_path / "data", 1_000)
    done = replay(cluster, topic, tmp_path, data, "--speedup", "500", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["seconds"] >= 999 / 500
    assert 0 < report["deviation_ms"]["p50"] <= report["deviation_ms"]["p99"]
    assert report["deviation_ms"]["p99"] <= report["deviation_ms"]["max"]


def test_the_cap_holds_without_a_pace(cluster: Kafka, topic: str, tmp_path: Path) -> None:
    data = write(tmp_path / "data", 1_000)
    done = replay(cluster, topic, tmp_path, data, "--unpaced", "--rate", "500", "--json")
    report = json.loads(done.stdout)
    assert report["seconds"] >= (1_000 - 50) / 500
    assert report["deviation_ms"] is None


def test_a_long_pause_is_cut_and_reported(cluster: Kafka, topic: str, tmp_path: Path) -> None:
    data = write(tmp_path / "data", 10)
    late = data / "z-late.json"
    late.write_bytes(line(100_000) + b"\n")
    done = replay(cluster, topic, tmp_path, data, "--speedup", "100", "--max-wait", "0.5")
    assert done.returncode == 0, done.stderr
    assert "pauses cut: 1, by 999 s in all" in done.stdout


def test_a_dry_run_sends_nothing(cluster: Kafka, topic: str, tmp_path: Path) -> None:
    data = write(tmp_path / "data", 1_000)
    done = replay(cluster, topic, tmp_path, data, "--dry-run", "--json")
    report = json.loads(done.stdout)
    assert (report["events"], report["seconds"]) == (1_000, pytest.approx(999 / 3600, abs=0.001))
    assert read(cluster, topic) == []
    elsewhere = run(str(data), "--dry-run", "--topic", "t", "--bootstrap-servers", "127.0.0.1:9")
    assert elsewhere.returncode == 0
    assert "1,000 events" in elsewhere.stdout and "nothing was sent" in elsewhere.stdout


def test_a_stray_event_moves_no_round_and_is_warned_of(
    cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    stray = trips([-9 * 365 * 86_400])
    lines = stray + trips(range(0, 3 * 86_400, 3_600)) + trips([11 * 365 * 86_400])
    (data / "a.json").write_bytes(b"\n".join(lines))
    pace = ("--speedup", "864000", "--max-wait", "0.2", "--statistics-seconds", "0.1")
    done = replay(cluster, topic, tmp_path, data, *pace, "--loop", "2", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["events"], report["strays"]) == (2 * 74, 2)
    assert "WARNING: stray events: 2, far from all others in time (2009-01-03: 1," in done.stderr
    # Paced again after the stray of 2028: two rounds of three days and the waits for strays.
    assert report["seconds"] > 2 * 0.3 + 3 * 0.2 - 0.1
    times = sorted(event["dropoff_datetime"] for event in map(trip, read(cluster, topic))
                   if event["type"] == "trip")  # fmt: skip
    assert [text[:10] for text in times[:3]] == ["2009-01-03", "2009-01-06", "2018-01-01"]
    assert [text[:10] for text in times[-3:]] == ["2018-01-06", "2028-12-29", "2029-01-01"]


def test_watermarks_reach_every_partition_and_keep_their_promise(
    cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", 3_000)
    done = replay(cluster, topic, tmp_path, data, "--speedup", "1000", "--json")
    report = json.loads(done.stdout)
    messages = read(cluster, topic)
    assert len(messages) == 3_000 + report["watermarks"]
    for partition in range(PARTITIONS):
        mine = [trip(message) for message in messages if message.partition() == partition]
        promised = -1
        for event in mine:
            if event["type"] == "watermark":
                assert millis(event["watermark"]) >= promised
                promised = millis(event["watermark"])
            else:
                assert millis(event["dropoff_datetime"]) >= promised
        assert mine[-1] == {"watermark": instant(2_999), "type": "watermark"}
        assert sum(event["type"] == "watermark" for event in mine) >= 3


def test_stopped_by_ctrl_c_it_goes_on_and_nothing_is_doubled(
    cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", 20_000)
    command = [*arguments(cluster, topic, tmp_path, data), "--speedup", "4000"]
    child = subprocess.Popen(
        [COMMAND, "replay", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_records(cluster, topic)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert "--resume goes on" in errors
    state = json.loads((tmp_path / "state.json").read_text())
    assert 0 < state["sent"] == len(ids(cluster, topic)) < 20_000
    done = run(*arguments(cluster, topic, tmp_path, data), "--unpaced", "--resume", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["resumed_at"] == state["sent"]
    assert ids(cluster, topic) == list(range(20_000))
    again = run(*arguments(cluster, topic, tmp_path, data), "--resume")
    assert (again.returncode, "nothing is left to send" in again.stdout) == (0, True)


def test_only_the_same_replay_is_resumed(cluster: Kafka, topic: str, tmp_path: Path) -> None:
    data = write(tmp_path / "data", 100)
    same = arguments(cluster, topic, tmp_path, data)
    assert run(*same, "--unpaced").returncode == 0
    refused = {
        "the selection was": [*same, "--limit", "5"],
        "the target was": [*arguments(cluster, "other", tmp_path, data)],
        "--loop was 1 and is now 2": [*same, "--loop", "2"],
        "there is no state": [*same, "--state", str(tmp_path / "nowhere.json")],
    }
    for why, command in refused.items():
        done = run(*command, "--resume")
        assert (done.returncode, why in done.stderr) == (2, True), done.stderr
    write(data, 101)
    done = run(*same, "--resume")
    assert (done.returncode, "fingerprint" in done.stderr) == (2, True), done.stderr


def test_rounds_are_later_each_and_have_ids_of_their_own(
    cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", 500)
    done = replay(cluster, topic, tmp_path, data, "--unpaced", "--loop", "3", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["events"], report["rounds"]) == (1_500, 3)
    trips = [trip(message) for message in events(cluster, topic)]
    assert len({message["trip_id"] for message in trips}) == 1_500
    assert millis(report["last_event_time"]) > millis(instant(999))


def test_stopped_in_a_later_round_it_goes_on_there(
    cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", 3_000)
    state = State(input="", fingerprint="", selection="", targets=(), rounds=3)
    for enough in (4_000, 7_000, 10_000):
        state = until(enough, state, data, KafkaProducer(cluster, topic))
        assert state.spans and state.finished == (enough > 9_000)
    numbers = ids(cluster, topic)
    assert len(numbers) == len(set(numbers)) == 9_000


def until(enough: int, state: State, data: Path, target: KafkaProducer) -> State:
    """Three rounds of the data, from a state on, stopped when enough is sent; the last state."""
    stop, states = Event(), [state]

    def save(state: State) -> None:
        states.append(state)
        if state.total > enough:
            stop.set()

    rounds = Rounds(History(str(data), Selection(), {}), 3, state.spans)
    plan = Plan(speedup=None, rate=10_000, statistics_seconds=0.05)
    show = Show(Console(quiet=True))
    Replay(rounds, [target], plan, state, save=save, show=show, stop=stop).run()
    target.close()
    return states[-1]


def test_a_topic_and_a_stream_get_the_same(
    stack: Stack, cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    variables = stack.environment()
    endpoint = variables["KINESIS_ENDPOINT"]
    kinesis.create_stream(topic, endpoint=endpoint, shards=2)
    data = write(tmp_path / "data", 300)
    also = ["--stream", topic, "--region", "us-east-1", "--endpoint", endpoint]
    options = [*also, "--unpaced", "--json"]
    done = replay(cluster, topic, tmp_path, data, *options, environment=variables)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["events"], report["acknowledged"], len(report["targets"])) == (300, 300, 2)
    records = kinesis_stream.records(kinesis.client(endpoint), topic)
    events = [json.loads(record.data) for record in records]
    events = [event for event in events if "trip_id" in event]
    assert sorted(event["trip_id"] for event in events) == ids(cluster, topic) == list(range(300))


def test_a_bad_line_is_reported_and_the_rest_is_sent(
    cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", 100)
    with (data / "trips-1.json").open("ab") as file:
        file.write(b'{"trip_id": oops\n')
    done = replay(cluster, topic, tmp_path, data, "--unpaced")
    assert done.returncode == 1
    assert "BAD LINES, not sent: 1" in done.stdout and "trips-1.json" in done.stdout
    assert re.search(r"trips-1\.json.*\b51\b", done.stdout)
    assert "oops" not in done.stdout
    assert ids(cluster, topic) == list(range(100))


def test_no_event_is_fine_and_no_file_is_an_error(
    cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for more in ([], ["--dry-run"]):
        done = replay(cluster, topic, tmp_path, empty, *more)
        assert (done.returncode, "there is no data file" in done.stderr) == (2, True), done.stderr
    (empty / "a.json").write_bytes(b"")
    done = replay(cluster, topic, tmp_path, empty, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"] == 0


def test_a_part_of_the_time_can_be_chosen(cluster: Kafka, topic: str, tmp_path: Path) -> None:
    data = write(tmp_path / "data", 100)
    span = ("--seek", instant(10), "--until", instant(20))
    done = replay(cluster, topic, tmp_path, data, "--unpaced", *span, "--limit", "5")
    assert done.returncode == 0, done.stderr
    assert ids(cluster, topic) == [10, 11, 12, 13, 14]


def test_a_broker_that_stays_away_ends_it_and_one_that_comes_back_loses_nothing(
    stack: Stack, cluster: Kafka, topic: str, tmp_path: Path
) -> None:
    data = write(tmp_path / "data", 20_000)
    command = [*arguments(cluster, topic, tmp_path, data), "--timeout", "3"]
    child = subprocess.Popen(
        [COMMAND, "replay", *command, "--speedup", "2000", "--statistics-seconds", "0.5"],
        stderr=subprocess.PIPE,
        text=True,
    )
    patient = KafkaProducer(cluster, topic)
    wait_for_records(cluster, topic)
    stack.stop_server("kafka", print)
    patient.send(Outgoing(line(20_000), b"20000"))
    try:
        _, errors = child.communicate(timeout=60)
    finally:
        stack.start_server("kafka", print)
    patient.close()
    assert child.returncode == 2, errors
    assert f"cannot produce to the topic {topic}" in errors and "--resume" in errors
    assert run(*command, "--unpaced", "--resume").returncode == 0
    numbers = ids(cluster, topic)
    assert sorted(set(numbers)) == list(range(20_001))
    assert numbers.count(20_000) == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--topic", "t", "--bootstrap-servers", "10.1.2.3:9092"], "says nothing of TLS"),
        (["--stream", "trips", "--region", "eu-west-1"], "is not on this machine"),
        (["--stream", "trips", "--region", "eu-west-1", "--remote"], "--rate"),
        (["--stream", "s", "--region", "r", "--endpoint", "http://10.1.2.3"], "use https"),
        (["--bootstrap-servers", "127.0.0.1:9"], "Say where to"),
        (["--topic", "t", "--bootstrap-servers", "127.0.0.1:9", "--from", "soon"], "--from is"),
        (["--topic", "t", "--bootstrap-servers", "127.0.0.1:9", "--rate", "0"], "--rate is 0"),
    ],
)
def test_what_the_user_must_fix(options: list[str], why: str, tmp_path: Path) -> None:
    done = run(str(write(tmp_path / "data", 10)), *options)
    assert (done.returncode, why in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_the_configuration_says_where_to(
    cluster: Kafka, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "one.yaml"
    text = (ROOT / "conf" / "local.yaml").read_text()
    config.write_text(text.replace("kafka_topics: [trips]", f"kafka_topics: [{topic}]"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", cluster.bootstrap_servers)
    data = write(tmp_path / "data", 10)
    state = ["--state", str(tmp_path / "state.json")]
    done = run(str(data), "--config", str(config), "--unpaced", *state)
    assert done.returncode == 0, done.stderr
    assert ids(cluster, topic) == list(range(10))


def block(events: int, first: int = 0) -> Block:
    numbers = range(first, first + events)
    return Block(
        np.array(numbers, dtype=np.int64),
        [b"event %d" % number for number in numbers],
        [b"%d" % number for number in numbers],
    )


def write(folder: Path, events: int) -> Path:
    """Trips a second of event time apart, in two files."""
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(events), 2)):
        lines = b"".join(line(int(number)) + b"\n" for number in part)
        (folder / f"trips-{number}.json").write_bytes(lines)
    return folder


def line(number: int) -> bytes:
    times = f'"pickup_datetime":"{instant(number - 60)}","dropoff_datetime":"{instant(number)}"'
    return f'{{{times},"pickup_location_id":41,"trip_id":{number},"type":"trip"}}'.encode()


def instant(number: int) -> str:
    return timestamps.text(FIRST_MS + number * 1000)


def millis(text: str) -> int:
    instant = timestamps.parse(text)
    assert isinstance(instant, int)
    return instant


def arguments(cluster: Kafka, topic: str, folder: Path, data: Path) -> list[str]:
    where = ["--bootstrap-servers", cluster.bootstrap_servers, "--topic", topic]
    return [str(data), *where, "--state", str(folder / "state.json")]


def replay(
    cluster: Kafka,
    topic: str,
    folder: Path,
    data: Path,
    *options: str,
    environment: dict[str, str] | None = None,
) -> Done:
    return run(*arguments(cluster, topic, folder, data), *options, environment=environment)


def run(*options: str, environment: dict[str, str] | None = None) -> Done:
    """The command in this process, with what `main` makes of a mistake."""
    result = CliRunner().invoke(app, ["replay", *options], env=environment)
    if isinstance(result.exception, UserError):
        return Done(2, result.stdout, result.stderr + str(result.exception))
    return Done(result.exit_code, result.stdout, result.stderr)


def read(cluster: Kafka, topic: str) -> list[Message]:
    return list(kafka_topic.messages(cluster, topic))


def events(cluster: Kafka, topic: str) -> list[Message]:
    return [message for message in read(cluster, topic) if trip(message)["type"] != "watermark"]


def ids(cluster: Kafka, topic: str) -> list[int]:
    return sorted(trip(message)["trip_id"] for message in events(cluster, topic))


def trip(message: Message) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(value(message))
    return event


def value(message: Message) -> bytes:
    raw: Any = message.value()
    return bytes(raw)


def key_number(message: Message) -> int:
    key: Any = message.key()
    return int(key)


def wait_for_records(cluster: Kafka, topic: str) -> None:
    deadline = time.monotonic() + 60
    while not read(cluster, topic):
        assert time.monotonic() < deadline, "nothing was sent"
