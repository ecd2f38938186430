"""Archive, dead letters and replicas in topics and streams, against real servers."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from connectors.s3.storage import open_store
from dev.demo import read_dead_letters, read_replica
from dev.demo.made import EVENT, Made
from dev.demo.produce import produce_kinesis
from dev.demo.read_archive import read_carried
from dev.demo.verify import ReplicaFound, verify
from dev.demo.watch import ArchivedRecords
from tests.dev.demo import sinks as local
from tests.dev.demo.edges import (
    MADE,
    Edges,
    Sent,
    large,
    position_texts,
    transactional,
    unused_stream,
    unused_topic,
    whole_folder,
    write_sinks,
)
from tests.dev.demo.sinks import TYPES, Record


@pytest.mark.parametrize("back_end", ["kafka", "kinesis"])
def test_archive_and_dead_letters_with_heads_are_found_right(
    edges: Edges, sent: Sent, tmp_path: Path, back_end: str
) -> None:
    archive, dead = write_sinks(edges, sent, tmp_path, back_end)
    verdict = verify(
        sent.ledger,
        event_types=TYPES,
        archive=read_carried(archive, sent.ledger, open_store),
        dead_letters=read_dead_letters.collect(dead, sent.ledger),
    )
    assert verdict.problems() == []
    figures = verdict.as_dict()
    assert figures["archive_records"] == len(MADE)
    assert figures["dead_letters_large"] == len(large(sent)) > 0


@pytest.mark.parametrize("damage", ["none there", "other bytes", "another record's", "twice"])
def test_a_pointer_that_leads_astray_is_found(
    edges: Edges, sent: Sent, tmp_path: Path, damage: str
) -> None:
    archive, dead = write_sinks(edges, sent, tmp_path, "kinesis")
    first, second = large(sent)[:2]
    file = whole_folder(tmp_path, first) / "part-0.parquet"
    if damage == "none there":
        file.unlink()
    elif damage == "another record's":
        pq.write_table(local.archive_table([second]), file)
    elif damage == "twice":
        pq.write_table(local.archive_table([first]), file.with_name("part-1.parquet"))
    else:
        other = Record(Made(b"x" * 800_000, None, EVENT), first.position)
        pq.write_table(local.archive_table([other]), file)
    verdict = verify(
        sent.ledger,
        event_types=TYPES,
        archive=read_carried(archive, sent.ledger, open_store),
        dead_letters=read_dead_letters.collect(dead, sent.ledger),
    )
    assert {f.name: f.count for f in verdict.findings if f.count} == {
        "archive_damaged": 1,
        "dead_letters_wrong": 1,
    }


@pytest.mark.parametrize("back_end", ["kafka", "kinesis"])
def test_a_replica_is_found_right(edges: Edges, sent: Sent, back_end: str) -> None:
    due = [record for record in sent.records if record.made.expect == EVENT]
    name = unused_topic(edges) if back_end == "kafka" else unused_stream(edges)
    if back_end == "kafka":
        producer = transactional(edges)
        for commit in (False, True):
            producer.begin_transaction()
            for record in due:
                headers = position_texts(record)
                producer.produce(name, record.made.raw, record.made.key, headers=headers)
            producer.flush(30)
            producer.commit_transaction() if commit else producer.abort_transaction()
        found = read_replica.from_kafka(edges.kafka, name)
    else:
        produce_kinesis([r.made for r in due], client=edges.client, stream=name)
        found = read_replica.from_kinesis(edges.client, name)
    replica = ReplicaFound(
        records=read_replica.read_replica(found, sent.ledger),
        chosen=sent.ledger.valid,
        exactly_once=True,
    )
    verdict = verify(sent.ledger, event_types=TYPES, replicas={"all": replica})
    assert verdict.problems() == []
    assert verdict.as_dict()["replica_all_records"] == len(due)


def test_archived_records_are_counted_as_files_appear(tmp_path: Path, sent: Sent) -> None:
    archived = ArchivedRecords(open_store(f"file://{tmp_path}"))
    assert archived.count() == 0
    folder = tmp_path / "arrival_date=2018-03-01"
    folder.mkdir()
    for number, end in enumerate((10, 25)):
        pq.write_table(local.archive_table(sent.records[:end]), folder / f"part-{number}.parquet")
    (folder / ".part-2.inprogress").write_bytes(b"half")
    assert archived.count() == 35
    (folder / "part-0.parquet").write_bytes(b"no longer read")
    assert archived.count() == 35
