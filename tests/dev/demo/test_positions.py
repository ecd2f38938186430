"""Positions of both back ends in one ledger: told apart, found again, kept by its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from connectors import checksums as content
from connectors.positions import UNKNOWN, Position, table_of
from connectors.s3.storage import open_store
from dev.demo import read_dead_letters, read_index
from dev.demo.findings import Verdict
from dev.demo.generate import Recipe, generate
from dev.demo.ledger import Ledger
from dev.demo.read_archive import read_archive
from dev.demo.read_lake import read_lake
from dev.demo.verify import verify
from tests.dev.demo import sinks as local
from tests.dev.demo.sinks import STREAM, TOPIC, TYPES, Sinks

MADE = list(generate(Recipe(events=120, seed=4, defective=0.2, repeated=0.1, corrected=0.1)))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Sinks:
    return local.build_of_both(MADE, tmp_path_factory.mktemp("both"))


def examine(sinks: Sinks, ledger: Ledger) -> Verdict:
    return verify(
        ledger,
        event_types=TYPES,
        archive=read_archive(open_store(f"file://{sinks.archive}"), ledger),
        lake=read_lake(open_store(f"file://{sinks.lake}"), ledger, TYPES),
        dead_letters=read_dead_letters.collect(sinks.letters, ledger),
        index=[read_index.collect(name, sinks.documents[name].values()) for name in TYPES],
        exactly_once_dead_letters=True,
    )


def test_a_faultless_run_of_two_sources_has_no_problems(both: Sinks) -> None:
    verdict = examine(both, both.ledger)
    assert verdict.problems() == []
    assert verdict.as_dict()["archive_records"] == len(MADE)


def test_a_faultless_run_of_kinesis_alone_has_no_problems(tmp_path: Path) -> None:
    records, ledger = local.on_kinesis(MADE)
    assert examine(local.write(records, ledger, tmp_path), ledger).problems() == []


def test_every_position_has_a_number_of_its_own_and_finds_its_line(both: Sinks) -> None:
    ledger = both.ledger
    numbers = ledger.position_numbers(table_of(record.position for record in both.records))
    assert len(set(numbers.tolist())) == len(MADE)
    assert ledger.lines(numbers).tolist() == list(range(len(MADE)))
    on_kafka = [record.position.topic is not None for record in both.records]
    assert (numbers >= 0).tolist() == on_kafka
    assert not (numbers == UNKNOWN).any()


def test_positions_are_described_by_their_back_end(both: Sinks) -> None:
    for record, number in zip(both.records, both.ledger.positions, strict=True):
        at = record.position
        source, place, offset = (
            (at.topic, at.partition, at.offset) if at.topic else (at.stream, at.shard, at[5])
        )
        assert both.ledger.describe(int(number)) == f"{source}/{place}@{offset}"
    nowhere = Position(stream=STREAM, shard="shardId-000000000000", sequence_number="7")
    number = both.ledger.position_numbers(table_of([nowhere]))[0]
    assert both.ledger.lines(np.array([number])).tolist() == [-1]
    assert both.ledger.describe(int(number)) == "a position of no record sent to Kinesis"


def test_columns_may_be_missing_null_of_another_type_or_prefixed(both: Sinks) -> None:
    ledger = both.ledger
    table = pa.table({"source_topic": [TOPIC, "other", None], "source_partition": [0, 0, None]})
    table = table.append_column("source_offset", pa.array([0, 0, None], pa.int32()))
    assert ledger.position_numbers(table, "source_").tolist() == [
        ledger.position_numbers(table_of([Position(TOPIC, 0, 0)]))[0],
        UNKNOWN,
        UNKNOWN,
    ]
    half = pa.table({"stream": [STREAM], "shard": pa.nulls(1, pa.string())})
    assert ledger.position_numbers(half).tolist() == [UNKNOWN]
    assert ledger.position_numbers(pa.table({"raw": [b""]})).tolist() == [UNKNOWN]


def test_a_ledger_of_both_is_the_same_after_saving(both: Sinks, tmp_path: Path) -> None:
    both.ledger.save(tmp_path / "ledger.parquet")
    again = Ledger.load(tmp_path / "ledger.parquet")
    assert again.positions.tolist() == both.ledger.positions.tolist()
    assert again.topics == [TOPIC]
    assert examine(both, again).as_dict() == examine(both, both.ledger).as_dict()
    assert len(Ledger.of([again, both.ledger])) == 2 * len(MADE)


def test_a_lost_record_of_a_stream_is_named(both: Sinks) -> None:
    lost = next(letter for letter in both.letters if letter.position.stream)
    letters = [letter for letter in both.letters if letter is not lost]
    verdict = verify(
        both.ledger,
        event_types=TYPES,
        dead_letters=read_dead_letters.collect(letters, both.ledger),
    )
    assert verdict.problems() == [
        "dead_letters_missing 1: acknowledged but not there:"
        f" {STREAM}/{lost.position.shard}@{lost.position.sequence_number}"
    ]


def test_arrival_ascends_by_sequence_number_in_a_shard() -> None:
    _, ledger = local.on_kinesis(MADE)
    assert (np.diff(ledger.arrival) > 0).all()


def test_the_number_of_a_kinesis_position_is_a_hash() -> None:
    _, ledger = local.on_kinesis(MADE[:1])
    text = "/".join(ledger.table.column(name)[0].as_py() for name in ("stream", "shard"))
    sequence = ledger.table.column("sequence_number")[0].as_py()
    hashed = content.digest(f"{text}/{sequence}".encode()) >> 2
    assert ledger.positions.tolist() == [-2 - hashed]
