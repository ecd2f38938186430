"""Redrive headers in source and archive: only what the key signed makes a record a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import pyarrow.parquet as pq
import pytest

from pipeline.decode.redriven import HEADERS, Mark, content_digest, sign
from pipeline.ops.reconcile.report import Report
from tests.ops.reconcile import sinks as local
from tests.ops.reconcile.plant import (
    Plant,
    World,
    cut,
    envelope,
    found,
    is_event,
    message,
    places,
    said,
    send_letters,
)
from tests.ops.reconcile.sinks import Headers, Record
from tests.ops.reconcile.test_downstream import replicate

KEY: Final = "reconcile" * 4
FIRST: Final = "trips/0/7"


class Redriven(NamedTuple):
    """A record of the source with redrive headers, and whether it is a redriven copy."""

    record: Record
    headers: Headers
    is_copy: bool
    is_forged: bool


def signed(raw: bytes, step: str = "index", replica: str = "", *, key: str = KEY) -> Headers:
    """The headers of a genuine redrive."""
    mark = Mark(FIRST, step, replica)
    values = (step, FIRST, replica, sign(key, mark, content_digest(raw)))
    pairs = zip(HEADERS, values, strict=True)
    return [(name, value.encode()) for name, value in pairs if value]


def redriven(plant: Plant, raw: bytes = b"", *, forged: bool = False) -> list[Redriven]:
    """A record again and again, at the end of partition 0, with headers of every kind.

    Its bytes are those of an event, unless there are others; `forged` leaves out the other kinds.
    """
    original = plant.of(is_event)[0]
    raw = raw or original.made.raw or b""
    step, other = HEADERS[0], (HEADERS[0], b"index")
    genuine: Headers = [("theirs", b"\xff"), *signed(raw), ("more", None)]
    kinds: list[tuple[Headers, bool, bool]] = [
        (genuine, True, False),
        (signed(raw, "replicate", "airport"), True, False),
        ([other, (HEADERS[3], b"x"), *genuine], True, False),  # the last of each name counts
        ([*genuine, (step, b"replicate")], False, True),
        ([*genuine, (step, None)], False, False),
        ([*genuine, (step, b"decode")], False, False),
        ([(step, b"decode"), (HEADERS[1], FIRST.encode())], False, False),
        ([("redrive_position", FIRST.encode())], False, False),
        ([other], False, True),
        ([(step, b"")], False, True),
        ([(step, b"\xff\xfe")], False, True),
        (signed(raw, key="k" * 32), False, True),
        (signed(raw + b" "), False, True),
        ([*signed(raw), (HEADERS[1], b"trips/0/8")], False, True),
        ([*signed(raw), (HEADERS[3], b"\xff")], False, True),
    ]
    start = len(plant.of(lambda r: r.position.partition == 0))
    made = msgspec.structs.replace(original.made, raw=raw)
    records = []
    for row, kind in enumerate(kind for kind in kinds if kind[2] or not forged):
        position = original.position._replace(partition=0, offset=start + row)
        records.append(Redriven(Record(made, position), *kind))
    return records


@pytest.fixture
def keyed(own: Plant) -> Plant:
    """A faultless run whose job has a key."""
    own.config["dead_letters"]["redrive_key"] = KEY
    return own


def send(world: World, plant: Plant, records: list[Redriven]) -> None:
    world.send(plant.topic, [{**message(one.record), "headers": one.headers} for one in records])


def assert_copies_are_known(report: Report, records: list[Redriven]) -> None:
    """All but the copies are events that the lake lacks; the forged ones are counted and named."""
    forged = [one.record for one in records if one.is_forged]
    missing = places(one.record for one in records if not one.is_copy)
    assert found(report) == {("lake", "missing"): missing}
    figures = report.row("source").figures
    assert figures["redriven_copies"] == sum(one.is_copy for one in records)
    assert figures["forged_redrives"] == len(forged)
    [note] = [note for note in report.notes if "without a valid signature" in note]
    assert f"{forged[0].position.topic}/0@{forged[0].position.offset}" in note


def test_in_the_source(keyed: Plant, world: World) -> None:
    records = redriven(keyed)
    send(world, keyed, records)
    del keyed.config["archive"]
    assert_copies_are_known(keyed.reconcile(), records)
    del keyed.config["dead_letters"]["redrive_key"]
    unknown = [
        one._replace(is_copy=False, is_forged=one.is_forged or one.is_copy) for one in records
    ]
    report = keyed.reconcile()
    assert_copies_are_known(report, unknown)
    assert any("(dead_letters.redrive_key is not set)" in note for note in report.notes)


def in_files(world: World, plant: Plant, records: list[Redriven]) -> None:
    folder = plant.sinks.archive / "arrival_date=2018-03-01" / "arrival_hour=05"
    table = local.archive_table([one.record for one in records], [one.headers for one in records])
    pq.write_table(table, folder / "part-redriven")


def in_a_topic(world: World, plant: Plant, records: list[Redriven]) -> None:
    target, large = world.topic(partitions=2), plant.root / "large"
    plant.config["archive"] = {"kafka_topic": target, "large_path": f"file://{large}"}
    messages = []
    for record, headers in all_of(plant, records):
        raw, pointer = cut(record, large, headers)
        ours = {f"source.{name}": text for name, text in (said(record) | pointer).items()}
        theirs = [] if pointer else headers or []
        sent = [*theirs, *((name, text.encode()) for name, text in ours.items())]
        value = None if record.made.raw is None else raw
        messages.append({"value": value, "headers": sent})
    world.send(target, messages)


def in_a_stream(world: World, plant: Plant, records: list[Redriven]) -> None:
    target, large = world.stream(), plant.root / "large"
    plant.config["archive"] = {"kinesis_stream": target, "large_path": f"file://{large}"}
    plant.config["kinesis"] = world.kinesis
    world.put(target, [envelope(one, large, headers) for one, headers in all_of(plant, records)])


def all_of(plant: Plant, records: list[Redriven]) -> list[tuple[Record, Headers | None]]:
    others: list[tuple[Record, Headers | None]] = [(record, None) for record in plant.records]
    return others + [(one.record, one.headers) for one in records]


Archive = Callable[[World, Plant, list[Redriven]], None]


@pytest.mark.parametrize("write", [in_files, in_a_topic, in_a_stream])
def test_in_the_archive(keyed: Plant, world: World, write: Archive) -> None:
    records = redriven(keyed)
    write(world, keyed, records)
    assert_copies_are_known(keyed.reconcile(from_archive=True), records)


@pytest.mark.parametrize("write", [in_a_topic, in_a_stream])
def test_headers_of_a_large_record_are_with_the_whole_of_it(
    keyed: Plant, world: World, write: Archive
) -> None:
    event = keyed.of(is_event)[0].made.raw or b""
    records = redriven(keyed, event + b" " * 600_000)[:5]
    write(world, keyed, records)
    report = keyed.reconcile(from_archive=True)
    # Reconcile has only the heads, so the decoder cannot tell which sink lacks the events.
    missing = places(one.record for one in records if not one.is_copy)
    assert found(report) == {("source", "missing"): missing}
    assert report.row("source").figures["redriven_copies"] == 3
    assert report.row("source").figures["forged_redrives"] == 1


def test_a_forged_one_belongs_into_every_sink(keyed: Plant, world: World) -> None:
    records = redriven(keyed, forged=True)
    forged = [one.record for one in records]
    send(world, keyed, records)
    in_files(world, keyed, records)
    folder = keyed.sinks.lake / local._folder(forged[0].made)
    pq.write_table(local._lake_table(forged), folder / "part-forged")
    events = keyed.of(is_event)
    keyed.config["replicate"] = {"all": {"kafka_topic": replicate(world, [*events, *forged])}}
    report = keyed.reconcile()
    assert report.ok, report.problems()
    assert report.row("lake").observed == len(events) + len(forged)
    keyed.config["replicate"] = {"all": {"kafka_topic": replicate(world, events)}}
    assert found(keyed.reconcile()) == {("replicate.all", "missing"): places(forged)}


def test_a_genuine_copy_in_the_lake_is_unexpected(keyed: Plant, world: World) -> None:
    records = redriven(keyed)[:2]
    copies = [one.record for one in records]
    send(world, keyed, records)
    in_files(world, keyed, records)
    folder = keyed.sinks.lake / local._folder(copies[0].made)
    pq.write_table(local._lake_table(copies), folder / "part-copies")
    assert found(keyed.reconcile()) == {("lake", "unexpected"): places(copies)}


def test_a_forged_one_that_decode_rejects_is_its_dead_letter(keyed: Plant, world: World) -> None:
    records = redriven(keyed, b"{", forged=True)[:2]
    send(world, keyed, records)
    in_files(world, keyed, records)
    dead = keyed.config["dead_letters"]["kafka_topic"]
    send_letters(world, dead, [records[0].record])
    assert found(keyed.reconcile()) == {("dead_letters", "missing"): places([records[1].record])}
