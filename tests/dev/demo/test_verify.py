"""The verifier finds real damage: each loss, copy and change made here is named exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from connectors import checksums as content
from connectors.errors import UserError
from connectors.s3.storage import open_store
from dev.demo import read_dead_letters, read_index
from dev.demo.findings import Verdict
from dev.demo.generate import Recipe, generate
from dev.demo.ledger import Ledger
from dev.demo.made import EVENT
from dev.demo.read_archive import read_archive
from dev.demo.read_dead_letters import DeadLetter
from dev.demo.read_index import Document
from dev.demo.read_lake import read_lake
from dev.demo.verify import verify
from dev.demo.writer import Writer
from pipeline.ops.lake.content import Lake
from tests.dev.demo import sinks as local
from tests.dev.demo.sinks import TOPIC, TYPES, Sinks
from tests.ops.compact.lakes import GRACE, Lakes

# Few files, but every reason and every kind of repeat.
RECIPE = Recipe(events=200, seed=3, defective=0.2, repeated=0.05, corrected=0.05, stale=0.05)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sinks:
    return local.build(generate(RECIPE), tmp_path_factory.mktemp("whole"))


@pytest.fixture
def sinks(whole: Sinks, tmp_path: Path) -> Sinks:
    root = tmp_path / "sinks"
    shutil.copytree(whole.root, root)
    documents = {name: dict(found) for name, found in whole.documents.items()}
    return replace(whole, root=root, letters=list(whole.letters), documents=documents)


def examine(sinks: Sinks, *, exactly_once: bool = False) -> Verdict:
    ledger = sinks.ledger
    return verify(
        ledger,
        event_types=TYPES,
        archive=read_archive(open_store(f"file://{sinks.archive}"), ledger),
        lake=read_lake(Lake(open_store(f"file://{sinks.lake}")), ledger, TYPES),
        dead_letters=read_dead_letters.collect(sinks.letters, ledger),
        index=[read_index.collect(name, sinks.documents[name].values()) for name in TYPES],
        exactly_once_dead_letters=exactly_once,
    )


def wrong(verdict: Verdict) -> dict[str, int]:
    return {finding.name: finding.count for finding in verdict.findings if finding.count}


def a_file(sinks: Sinks) -> Path:
    return sorted(sinks.lake.rglob("*.parquet"))[0]


def positions(path: Path) -> list[str]:
    table = pq.read_table(path, partitioning=None)
    rows = table.select(["source_partition", "source_offset"]).to_pylist()
    pairs = sorted((row["source_partition"], row["source_offset"]) for row in rows)
    return [f"{TOPIC}/{partition}@{offset}" for partition, offset in pairs]


def rewrite(path: Path, name: str, change: Callable[[list[object]], list[object]]) -> None:
    """Writes the file again with another column."""
    table = pq.read_table(path, partitioning=None)
    place = table.column_names.index(name)
    column = change(table.column(name).to_pylist())
    field = table.schema.field(name)
    pq.write_table(table.set_column(place, field, [column]), path)


def test_a_faultless_run_has_no_problems(sinks: Sinks) -> None:
    verdict = examine(sinks)
    assert verdict.problems() == []
    figures = verdict.as_dict()
    valid = [record.made for record in sinks.records if record.made.expect == EVENT]
    assert figures["produced"] == figures["archive_records"] == len(sinks.records)
    assert figures["valid"] == figures["lake_rows"] == len(valid)
    assert figures["dead_letters"] == len(sinks.letters) == 40
    assert figures["control"] == 20
    assert figures["index_docs"] == {name: len(sinks.documents[name]) for name in TYPES}
    assert (
        figures["lake_files"]
        == figures["lake_partitions"]
        == len({local.folder(made) for made in valid})
    )


def test_a_lost_lake_file_is_named_by_its_positions(sinks: Sinks) -> None:
    path = a_file(sinks)
    lost = positions(path)
    path.unlink()
    verdict = examine(sinks)
    assert wrong(verdict) == {"lake_missing": len(lost)}
    assert verdict.problems() == [
        f"lake_missing {len(lost)}: acknowledged but not there: {', '.join(lost)}"
    ]


def test_a_copied_lake_file_is_doubled(sinks: Sinks) -> None:
    path = a_file(sinks)
    shutil.copy(path, path.with_name("part-copy.parquet"))
    verdict = examine(sinks)
    assert wrong(verdict) == {"lake_duplicates": len(positions(path))}
    assert positions(path)[0] in verdict.problems()[0]


@pytest.mark.parametrize(
    "folder",
    [
        "trip/pickup_location=002/year=2018/month=03",
        "green_trip/pickup_location=001/year=2017/month=12",
        "trip/pickup_location=2/year=2018/month=01",
        "odd",
    ],
)
def test_a_lake_file_in_another_partition_is_misplaced(sinks: Sinks, folder: str) -> None:
    path = a_file(sinks)
    count = len(positions(path))
    elsewhere = sinks.lake / folder / "part-moved.parquet"
    elsewhere.parent.mkdir(parents=True, exist_ok=True)
    path.rename(elsewhere)
    assert wrong(examine(sinks)) == {"wrong_partition": count}


def test_one_altered_value_is_found(sinks: Sinks) -> None:
    path = next(p for p in sorted(sinks.lake.rglob("*.parquet")) if "/trip/" in str(p))
    rewrite(path, "tip_amount", lambda values: [99.0, *values[1:]])
    verdict = examine(sinks)
    assert wrong(verdict) == {"wrong_content": 1}
    assert any(position in verdict.problems()[0] for position in positions(path))


def test_rows_of_no_event_are_unexpected(sinks: Sinks) -> None:
    path = a_file(sinks)
    count = len(positions(path))
    rewrite(path, "source_offset", lambda values: [10**9 + i for i, _ in enumerate(values)])
    assert wrong(examine(sinks)) == {"lake_missing": count, "lake_unexpected": count}


def test_rows_of_an_unknown_topic_are_unexpected(sinks: Sinks) -> None:
    path = a_file(sinks)
    count = len(positions(path))
    rewrite(path, "source_topic", lambda values: ["other"] * len(values))
    verdict = examine(sinks)
    assert wrong(verdict) == {"lake_missing": count, "lake_unexpected": count}
    assert "a position of no known topic" in verdict.problems()[1]


def test_hidden_files_are_ignored_and_broken_ones_are_named(sinks: Sinks) -> None:
    (a_file(sinks).with_name("_SUCCESS")).write_bytes(b"")
    (a_file(sinks).with_name(".part.inprogress")).write_bytes(b"half")
    assert examine(sinks).ok
    path = a_file(sinks)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=path.name):
        examine(sinks)


def test_altered_bytes_in_the_archive_are_found(sinks: Sinks) -> None:
    path = sorted(sinks.archive.rglob("*.parquet"))[1]
    rewrite(path, "raw", lambda values: [b"{}", *values[1:]])
    verdict = examine(sinks)
    assert wrong(verdict) == {"archive_damaged": 1}
    assert f"{TOPIC}/1@0" in verdict.problems()[0]


def test_a_tombstone_archived_as_no_bytes_is_damaged(sinks: Sinks) -> None:
    record = next(r for r in sinks.records if r.made.expect == "empty_payload" and not r.made.raw)
    other = None if record.made.raw is not None else b""
    path = sorted(sinks.archive.rglob("*.parquet"))[record.place]
    offset = record.position.offset or 0
    rewrite(path, "raw", lambda values: values[:offset] + [other] + values[offset + 1 :])
    assert wrong(examine(sinks)) == {"archive_damaged": 1}


def test_an_archived_record_that_is_lost_doubled_or_misplaced_is_found(sinks: Sinks) -> None:
    path = sorted(sinks.archive.rglob("*.parquet"))[0]
    records = [record for record in sinks.records if record.place == 0]
    pq.write_table(local.archive_table([records[1], *records[1:]]), path)
    verdict = examine(sinks)
    assert wrong(verdict) == {"archive_missing": 1, "archive_duplicates": 1}
    assert f"{TOPIC}/0@0" in verdict.problems()[0]
    assert f"{TOPIC}/0@1" in verdict.problems()[1]
    pq.write_table(local.archive_table(records), path)
    hour = sinks.archive / "arrival_date=2018-03-01/arrival_hour=06"
    hour.mkdir()
    path.rename(hour / path.name)
    assert wrong(examine(sinks)) == {"archive_wrong_partition": len(records)}


def test_a_lost_document_is_named(sinks: Sinks) -> None:
    lost = next(iter(sinks.documents["green_trip"]))
    del sinks.documents["green_trip"][lost]
    verdict = examine(sinks)
    assert wrong(verdict) == {"index_missing": 1}
    assert f"green_trip {lost}" in verdict.problems()[0]


def test_a_document_of_an_older_version_is_named(sinks: Sinks) -> None:
    old, new = _two_versions(sinks)
    stale = Document(old.id, old.version, old.source)
    sinks.documents[str(new.source["type"])][new.id] = stale
    verdict = examine(sinks)
    assert wrong(verdict) == {"index_stale_wrong": 1}
    assert new.id in verdict.problems()[0]


def test_a_document_with_old_values_under_the_new_version_is_named(sinks: Sinks) -> None:
    old, new = _two_versions(sinks)
    sinks.documents[str(new.source["type"])][new.id] = Document(old.id, new.version, old.source)
    assert wrong(examine(sinks)) == {"index_stale_wrong": 1}


def test_documents_of_no_event_are_unexpected(sinks: Sinks) -> None:
    some = next(iter(sinks.documents["trip"].values()))
    sinks.documents["trip"]["extra"] = Document("not-a-number", 1, some.source)
    sinks.documents["trip"]["zeros"] = Document(f"00{some.id}", 1, some.source)
    assert wrong(examine(sinks)) == {"index_unexpected": 2}


def test_a_lost_dead_letter_is_named(sinks: Sinks) -> None:
    lost = sinks.letters.pop(7)
    verdict = examine(sinks)
    assert wrong(verdict) == {"dead_letters_missing": 1}
    assert f"{TOPIC}/{lost.position.partition}@{lost.position.offset}" in verdict.problems()[0]


@pytest.mark.parametrize("change", [{"reason": "internal_error"}, {"digest": 1}, {"step": "lake"}])
def test_a_dead_letter_with_other_reason_bytes_or_step_is_found(
    sinks: Sinks, change: dict[str, object]
) -> None:
    sinks.letters[3] = replace(sinks.letters[3], **change)  # type: ignore[arg-type]
    assert wrong(examine(sinks)) == {"dead_letters_wrong": 1}


def test_a_doubled_dead_letter_is_an_error_only_where_exactly_once_was_asked(sinks: Sinks) -> None:
    sinks.letters.append(sinks.letters[0])
    verdict = examine(sinks)
    assert verdict.ok
    assert verdict.as_dict()["dead_letters_duplicates"] == 1
    assert not examine(sinks, exactly_once=True).ok


def test_a_valid_event_among_the_dead_letters_of_decode_is_unexpected(sinks: Sinks) -> None:
    sinks.letters.append(_letter_of(sinks, "trip", step="decode", reason="wrong_type"))
    assert wrong(examine(sinks)) == {"dead_letters_unexpected": 1}


def test_an_event_that_the_index_refused_is_accounted_for(sinks: Sinks) -> None:
    letter = _letter_of(sinks, "trip", step="index", reason="index_unavailable")
    sinks.letters.append(letter)
    assert examine(sinks).ok  # A request that timed out may have been carried out all the same.
    made = _made_at(sinks, letter)
    del sinks.documents["trip"][str(made)]
    verdict = examine(sinks)
    assert verdict.problems() == []
    assert verdict.as_dict()["dead_letters_index"] == 1


def test_a_refused_newest_version_leaves_the_older_one(sinks: Sinks) -> None:
    old, new = _two_versions(sinks)
    sinks.documents[str(new.source["type"])][new.id] = old
    for record in sinks.records:
        made = record.made
        if str(made.trip_id) == new.id and made.version_ms == new.version:
            digest = content.digest(made.raw)
            sinks.letters.append(DeadLetter("index", "index_rejected", record.position, digest))
    assert examine(sinks).problems() == []


def test_a_sink_left_out_is_not_looked_at(sinks: Sinks) -> None:
    verdict = verify(sinks.ledger, event_types=TYPES)
    assert verdict.ok
    assert verdict.as_dict()["lake_rows"] is None
    assert verdict.as_dict()["index_missing"] is None
    assert verdict.as_dict()["produced"] == len(sinks.records)


def test_the_ledger_is_the_same_after_saving(sinks: Sinks, tmp_path: Path) -> None:
    path = tmp_path / "build" / "ledger.parquet"
    sinks.ledger.save(path)
    again = replace(sinks, ledger=Ledger.load(path))
    assert examine(again).as_dict() == examine(sinks).as_dict()


def test_an_empty_ledger_is_refused() -> None:
    with pytest.raises(UserError, match="nothing was produced"):
        verify(Writer(TOPIC).ledger(), event_types=TYPES)


def _two_versions(sinks: Sinks) -> tuple[Document, Document]:
    """An older and the newest version of one trip."""
    newest = {name: found for by_id in sinks.documents.values() for name, found in by_id.items()}
    for record in sinks.records:
        made = record.made
        if made.expect == EVENT and made.version_ms < newest[str(made.trip_id)].version:
            old = local.document(made)
            return old, newest[old.id]
    raise AssertionError("the recipe makes corrections")


def _letter_of(sinks: Sinks, event_type: str, *, step: str, reason: str) -> DeadLetter:
    """A dead letter of an event that has one version only."""
    for record in sinks.records:
        same = [r for r in sinks.records if r.made.trip_id == record.made.trip_id]
        if record.made.event_type == event_type and len(same) == 1:
            digest = content.digest(record.made.raw)
            return DeadLetter(step, reason, record.position, digest)
    raise AssertionError("most events have one version")


def _made_at(sinks: Sinks, letter: DeadLetter) -> int:
    return next(
        record.made.trip_id for record in sinks.records if record.position == letter.position
    )


def test_a_compacted_lake_is_as_it_was(tmp_path: Path) -> None:
    sinks = local.build(generate(RECIPE), tmp_path, events_a_file=1)
    lakes = Lakes(f"file://{sinks.lake}")
    before = examine(sinks)
    report = lakes.run()
    assert report.merged_files > 5
    lakes.later = GRACE
    assert lakes.run(clean=True).deleted_files == report.replaced_files
    verdict = examine(sinks)
    assert wrong(verdict) == wrong(before) == {}
    assert verdict.as_dict()["lake_partitions"] == before.as_dict()["lake_partitions"]
    assert before.as_dict()["lake_files"] == report.files_before
    assert verdict.as_dict()["lake_files"] == report.files_after < report.files_before
