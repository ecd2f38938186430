"""A Kinesis stream as the source, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.ops.reconcile.options import span
from tests.ops.reconcile.plant import (
    Plant,
    World,
    envelope,
    found,
    is_event,
    is_reject,
    on_both,
    on_stream,
    place,
    places,
)


@pytest.fixture
def stream(world: World, tmp_path: Path) -> Plant:
    return on_stream(world, tmp_path)


def test_a_stream_is_judged_as_a_topic_is(stream: Plant, world: World, tmp_path: Path) -> None:
    report = stream.reconcile()
    assert report.ok, report.problems()
    assert report.row("source").due == len(stream.records)
    assert report.row("archive").observed == len(stream.records)
    path = stream.lake_files()[0]
    hidden = path.with_name("." + path.name)
    path.rename(hidden)
    errors = found(stream.reconcile())
    lost = errors.pop(("lake", "missing"))
    assert not errors and lost
    assert lost <= places(stream.of(is_event))
    first = sorted(lost)[0]
    where = stream.reconcile(spans=(span(first),))
    assert found(where) == {("lake", "missing"): {first}}
    assert where.row("source").due == 1
    shard = first.rpartition("@")[0]
    assert found(stream.reconcile(spans=(span(f"{shard}@.."),))) == {
        ("lake", "missing"): {one for one in lost if one.startswith(shard)}
    }
    assert found(stream.reconcile(from_archive=True)) == {("lake", "missing"): lost}
    hidden.rename(path)
    copies = stream.of(is_reject)[:2]
    dead = stream.config["dead_letters"]["kinesis_stream"]
    world.put(dead, [envelope(copy, tmp_path / "large") for copy in copies])
    report = stream.reconcile()
    assert report.ok
    told = [finding for finding in report.row("dead_letters").findings if not finding.is_error]
    assert [one.count for one in told] == [2]


def test_a_running_job_is_judged_as_far_as_the_archive_is(stream: Plant) -> None:
    by_shard: dict[str, list[str]] = {}
    for record in stream.records:
        by_shard.setdefault(record.position.shard or "", []).append(place(record))
    shard = sorted(by_shard)[1]
    for path in stream.sinks.archive.rglob(f"part-{shard}"):
        path.unlink()
    report = stream.reconcile(complete=False)
    assert report.ok, report.problems()
    judged = report.row("source").due
    assert judged < len(stream.records)
    assert report.row("source").figures["pending"] == len(stream.records) - judged
    shorter = stream.reconcile(complete=True)
    missing = found(shorter)[("archive", "missing")]
    assert missing == set(by_shard[shard])


def test_the_archive_in_a_stream(stream: Plant, world: World, tmp_path: Path) -> None:
    target, large = world.stream(), tmp_path / "archive-large"
    stream.config["archive"] = {"kinesis_stream": target, "large_path": f"file://{large}"}
    world.put(target, [envelope(record, large) for record in stream.records])
    for from_archive in (False, True):
        report = stream.reconcile(from_archive=from_archive)
        assert report.ok, report.problems()
        assert report.row("archive").observed == len(stream.records)
    world.put(target, [envelope(stream.records[0], large)])
    whole = next(large.rglob("part-0.parquet"))
    whole.unlink()
    report = stream.reconcile()
    told = [finding for finding in report.row("archive").findings if not finding.is_error]
    assert [(one.kind, one.count) for one in told] == [("doubled", 1)]
    heads = stream.of(lambda r: len(r.made.raw or b"") > 500_000)
    errors = found(report)
    assert errors.keys() == {("archive", "wrong")}
    assert errors["archive", "wrong"] <= places(heads)


def test_topic_and_stream_of_one_name_at_once(world: World, tmp_path: Path) -> None:
    both = on_both(world, tmp_path)
    report = both.reconcile()
    assert report.ok, report.problems()
    assert report.row("source").due == report.row("archive").observed == len(both.records)
    for path in both.lake_files():
        path.unlink()
    events = both.of(is_event)
    assert found(both.reconcile()) == {("lake", "missing"): places(events)}
    part = tuple(span(f"{both.topic}/{n}@..") for n in range(4))
    of_topic = [record for record in events if record.position.topic]
    assert found(both.reconcile(spans=part)) == {("lake", "missing"): places(of_topic)}
