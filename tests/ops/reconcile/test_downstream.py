"""The index and replicas against the lake, on a real node and a real broker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opensearchpy.helpers import bulk

from pipeline.ops.reconcile.options import span
from pipeline.ops.reconcile.report import Rejects
from tests.connectors.serverless import serverless
from tests.ops.reconcile import sinks as local
from tests.ops.reconcile.plant import (
    Plant,
    World,
    fill_index,
    found,
    is_event,
    is_reject,
    places,
    put,
    said,
    send_letters,
)
from tests.ops.reconcile.sinks import TYPES, Document, Record


def newest(plant: Plant, event_type: str, version: int = 1) -> list[str]:
    """Ids of that type with so many versions."""
    events = plant.of(lambda r: is_event(r) and r.made.event_type == event_type)
    ids = [str(record.made.trip_id) for record in events]
    return [id_ for id_ in dict.fromkeys(ids) if ids.count(id_) == version]


def rows_of(plant: Plant, document_id: str) -> list[Record]:
    """The records of an id."""
    return plant.of(lambda r: str(r.made.trip_id) == document_id)


def test_documents_are_named_by_type_and_id(plant: Plant) -> None:
    prefix = "reconcile-one-"
    client = fill_index(plant, prefix)
    report = plant.reconcile()
    assert report.problems() == []
    assert report.row("index.trip").due == report.row("index.trip").observed > 50
    client.close()
    ids = newest(plant, "trip")
    stale, wrong = (plant.sinks.documents["trip"][one] for one in ids[1:3])
    prefix = "reconcile-bad-"
    client = fill_index(
        plant,
        prefix,
        {
            ("trip", ids[0]): None,
            ("trip", ids[1]): Document(stale.id, stale.version - 1000, stale.source),
            ("trip", ids[2]): Document(wrong.id, wrong.version, {**wrong.source, "vendor_id": 9}),
            ("fhv_trip", "77"): Document("77", 5, {"type": "fhv_trip"}),
        },
    )
    expected = {
        ("index.trip", "missing"): {f"trip {ids[0]}"},
        ("index.trip", "wrong"): {f"trip {ids[1]}", f"trip {ids[2]}"},
    }
    strange = {("index.fhv_trip", "unexpected"): {"fhv_trip 77"}}
    assert found(plant.reconcile()) == {**expected, **strange}
    report = plant.reconcile(spans=tuple(span(f"{plant.topic}/{n}@..") for n in range(4)))
    assert found(report) == expected
    assert report.row("index.trip").count("unexpected") is None
    one = rows_of(plant, ids[0])[0].position
    report = plant.reconcile(spans=(span(f"{plant.topic}/{one.partition}@{one.offset}"),))
    assert found(report) == {("index.trip", "missing"): {f"trip {ids[0]}"}}
    assert report.row("index.trip").due == 1
    client.close()


def test_what_waits_for_redrive_is_no_error(own: Plant) -> None:
    prefix = "reconcile-two-"
    client = fill_index(own, prefix)
    ids = newest(own, "trip")
    client.delete(index=f"{prefix}trip", id=ids[0], params={"refresh": "true"})
    dead = own.config["dead_letters"]["kafka_topic"]
    send_letters(own.world, dead, rows_of(own, ids[0]), step="index", reason="index_unavailable")
    report = own.reconcile()
    assert report.ok, report.problems()
    assert report.row("dead_letters").figures["of_index"] == 1
    assert Rejects("index", "index_unavailable", 1) in (report.rejects or [])
    assert report.row("index.trip").figures["waiting_for_redrive"] == 1
    client.indices.delete(index=f"{prefix}fhv_trip")
    errors = found(own.reconcile())
    assert errors == {
        ("index.fhv_trip", "missing"): {
            f"fhv_trip {one}" for one in own.sinks.documents["fhv_trip"]
        }
    }
    client.close()


def test_an_id_in_two_indices_of_an_alias_is_doubled(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages that end between two documents of one sort key."""
    monkeypatch.setattr("pipeline.ops.reconcile.index._PAGE", 3)
    prefix = "reconcile-rolled-"
    client = fill_index(plant, prefix + "old-")
    ids = newest(plant, "trip")
    documents = plant.sinks.documents["trip"]
    second = f"{prefix}second"
    older = documents[ids[1]]
    actions = [
        put(second, ids[0], documents[ids[0]].version, dict(documents[ids[0]].source)),
        put(second, ids[1], older.version - 1000, dict(older.source)),
    ]
    bulk(client, actions, refresh=True)
    for kind in TYPES:
        indices = [f"{prefix}old-{kind}", *([second] if kind == "trip" else [])]
        client.indices.put_alias(index=indices, name=prefix + kind)
    plant.config["index"]["prefix"] = prefix
    expected = {
        ("index.trip", "doubled"): {f"trip {ids[0]}", f"trip {ids[1]}"},
        ("index.trip", "wrong"): {f"trip {ids[1]}"},
    }
    assert found(plant.reconcile()) == expected
    position = rows_of(plant, ids[0])[0].position
    one = span(f"{plant.topic}/{position.partition}@{position.offset}")
    assert found(plant.reconcile(spans=(one,))) == {("index.trip", "doubled"): {f"trip {ids[0]}"}}
    client.close()


def test_an_index_in_serverless(plant: Plant) -> None:
    """Without refresh; what is not visible yet is looked for again."""
    prefix = "reconcile-aoss-"
    ids = newest(plant, "trip")
    late = plant.sinks.documents["trip"][ids[0]]
    old = Document(late.id, late.version - 1000, late.source)
    client = fill_index(plant, prefix, {("trip", ids[0]): old, ("trip", ids[1]): None})
    settings = {"index.refresh_interval": "3s"}
    client.indices.put_settings(index=f"{prefix}trip", body=settings)
    with serverless(plant.world.environment["OPENSEARCH_URL"]) as (url, refused):
        plant.config["index"] |= {"url": url, "service": "aoss"}
        bulk(client, [put(f"{prefix}trip", late.id, late.version, dict(late.source))])
        report = plant.reconcile(settle_seconds=8.0)
        assert found(report) == {("index.trip", "missing"): {f"trip {ids[1]}"}}
        missing = plant.sinks.documents["trip"][ids[1]]
        bulk(client, [put(f"{prefix}trip", missing.id, missing.version, dict(missing.source))])
        assert plant.reconcile(settle_seconds=30.0).ok
        assert refused == []
    client.close()


def replicate(world: World, records: Iterable[Record], **changed: Any) -> str:
    """A replica's topic."""
    topic = world.topic(partitions=2)
    messages = (
        {
            "value": record.made.raw,
            "key": record.made.key,
            "headers": {**said(record), "event_type": record.made.event_type},
            **changed,
        }
        for record in records
    )
    world.send(topic, messages)
    return topic


def test_a_replica_in_a_topic(plant: Plant, world: World) -> None:
    events = plant.of(is_event)
    trips = [record for record in events if record.made.event_type == "trip"]
    whole = replicate(world, events)
    plant.config["replicate"] = {
        "all": {"kafka_topic": whole},
        "raw": {"kafka_topic": replicate(world, trips), "event_types": ["trip"], "value": "raw"},
    }
    report = plant.reconcile()
    assert report.ok, report.problems()
    assert report.row("replicate.all").observed == len(events)
    lacking = replicate(world, [*events[1:], events[4]])
    plant.config["replicate"] = {
        "all": {"kafka_topic": lacking},
        "raw": {"kafka_topic": whole, "event_types": ["trip"], "value": "raw"},
        "bytes": {
            "kafka_topic": replicate(world, trips, value=b'{"trip_id": 1}'),
            "event_types": ["trip"],
            "guarantee": "at_least_once",
        },
    }
    others = [record for record in events if record.made.event_type != "trip"]
    assert found(plant.reconcile()) == {
        ("replicate.all", "missing"): places(events[:1]),
        ("replicate.all", "doubled"): places([events[4]]),
        ("replicate.raw", "unexpected"): places(others),
        ("replicate.bytes", "wrong"): places(trips),
    }


def test_of_a_replica_with_a_filter_only_what_is_there_is_judged(
    plant: Plant, world: World
) -> None:
    events = plant.of(is_event)
    topic = replicate(world, [*events[:3], events[0]])
    plant.config["replicate"] = {"some": {"kafka_topic": topic, "filter": "pickup_location_id = 1"}}
    report = plant.reconcile(settle_seconds=20.0)
    assert found(report) == {("replicate.some", "doubled"): places(events[:1])}
    assert report.row("replicate.some").count("missing") is None
    assert any("replica some has a filter" in note for note in report.notes)


def test_a_replica_in_a_stream_is_judged_by_its_values(plant: Plant, world: World) -> None:
    events = plant.of(is_event)
    stream = world.stream()
    plant.config |= {"kinesis": world.kinesis, "replicate": {"all": {"kinesis_stream": stream}}}
    world.put(stream, [record.made.raw or b"" for record in events])
    report = plant.reconcile()
    assert report.ok, report.problems()
    world.put(stream, [b'{"type": "trip"}'])
    lost = world.stream()
    world.put(lost, [record.made.raw or b"" for record in events[1:]])
    plant.config["replicate"]["lacking"] = {"kinesis_stream": lost}
    errors = found(plant.reconcile())
    alike = [r for r in events if r.made.raw == events[0].made.raw]
    expected = {("replicate.lacking", "missing"): places(alike)} if len(alike) == 1 else {}
    assert errors == {
        **expected,
        ("replicate.all", "unexpected"): {"a row without a known position"},
    }


def test_an_archive_in_a_topic(plant: Plant, world: World) -> None:
    """The record's own headers stay there, ours have a prefix."""
    topic = world.topic(partitions=2)
    messages = [
        {
            "value": record.made.raw,
            "key": record.made.key,
            "headers": {
                "topic": "the record's own",
                **{f"source.{name}": text for name, text in said(record).items()},
            },
        }
        for record in plant.records
    ]
    world.send(topic, messages)
    plant.config["archive"] = {"kafka_topic": topic}
    for from_archive in (False, True):
        report = plant.reconcile(from_archive=from_archive)
        assert report.ok, report.problems()
        assert report.row("archive").observed == len(plant.records)
    world.send(topic, [messages[0], {**messages[1], "value": b"other"}])
    assert found(plant.reconcile()) == {
        ("archive", "doubled"): places(plant.records[:2]),
        ("archive", "wrong"): places(plant.records[1:2]),
    }


def test_dead_letters_as_files(plant: Plant) -> None:
    rejects = plant.of(is_reject)
    folder = plant.root / "dead" / "arrival_date=2018-03-01"
    folder.mkdir(parents=True)
    table = local.archive_table(rejects)
    for name, texts in (
        ("step", ["decode"] * len(rejects)),
        ("reason", [record.made.expect for record in rejects]),
        ("detail", [None] * len(rejects)),
    ):
        table = table.append_column(name, pa.array(texts, pa.string()))
    pq.write_table(table.slice(1), folder / "part-0")
    plant.config["dead_letters"] = {"path": f"file://{folder.parent}"}
    assert found(plant.reconcile()) == {("dead_letters", "missing"): places(rejects[:1])}
    pq.write_table(table.slice(0, 2), folder / "part-1")
    assert found(plant.reconcile()) == {("dead_letters", "doubled"): places(rejects[1:2])}
    counted = plant.reconcile().rejects or []
    assert sum(each.count for each in counted) == len(rejects)  # Copies count once.
