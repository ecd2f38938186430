"""A replica is compared event by event: what is lost, doubled, foreign or altered is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.positions import Position
from connectors.s3.storage import open_store
from dev.demo.check_replica import by_content, check_replica
from dev.demo.findings import Checked
from dev.demo.generate import Recipe, generate
from dev.demo.made import EVENT
from dev.demo.read_dead_letters import DeadLetter, collect, from_parquet
from dev.demo.read_replica import Replicated, read_replica
from dev.demo.verify import ReplicaFound, verify
from tests.dev.demo import sinks as local
from tests.dev.demo.sinks import TYPES, Record

RECIPE = Recipe(events=400, seed=6, defective=0.1, repeated=0.2, corrected=0.1)
RECORDS, LEDGER = local.on_kafka(generate(RECIPE))
CHOSEN = LEDGER.numbers("pickup_location_id") < 50


def is_due(record: Record) -> bool:
    return record.made.expect == EVENT and record.made.pickup_location_id < 50


DUE = [record for record in RECORDS if is_due(record)]


def replicated(record: Record, *, placed: bool) -> Replicated:
    key = str(record.made.trip_id)
    return Replicated(key, record.made.raw, record.position if placed else None)


def faultless(placed: bool) -> list[Replicated]:
    return [replicated(record, placed=placed) for record in DUE]


def examine(found: list[Replicated]) -> dict[str, object]:
    checked = check_replica(
        LEDGER, "some", read_replica(found, LEDGER), chosen=CHOSEN, exactly_once=True
    )
    return {f.name.removeprefix("replica_some_"): f.count for f in checked.findings if f.count}


def has_repeat(record: Record) -> bool:
    return sum(other.made.content == record.made.content for other in DUE) > 1


@pytest.fixture(params=[True, False], ids=["positions", "contents"])
def placed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_faultless_replica_has_no_problems(placed: bool) -> None:
    assert examine(faultless(placed)) == {}


def test_the_order_does_not_matter(placed: bool) -> None:
    assert examine(faultless(placed)[::-1]) == {}


def test_a_lost_event_is_missing_even_if_it_is_one_of_two_repeats(placed: bool) -> None:
    place = next(number for number, record in enumerate(DUE) if has_repeat(record))
    found = faultless(placed)
    del found[place]
    assert examine(found) == {"missing": 1}


def test_a_second_copy_is_a_duplicate(placed: bool) -> None:
    assert examine([*faultless(placed), faultless(placed)[3]]) == {"duplicates": 1}


def test_what_the_filter_stops_is_unexpected(placed: bool) -> None:
    other = next(record for record in RECORDS if record.made.expect == EVENT and not is_due(record))
    assert examine([*faultless(placed), replicated(other, placed=placed)]) == {"unexpected": 1}


def test_an_altered_event_is_found() -> None:
    first = DUE[0].made
    value = msgspec.json.encode({**msgspec.json.decode(first.raw or b""), "trip_id": 1})
    altered = Replicated(str(first.trip_id), value, DUE[0].position)
    assert examine([altered, *faultless(True)[1:]]) == {"wrong": 1}
    unplaced = altered._replace(position=None)
    assert examine([unplaced, *faultless(False)[1:]]) == {"missing": 1, "unexpected": 1}


def test_the_content_of_another_line_is_found_by_its_position() -> None:
    found = faultless(True)
    found[0] = found[0]._replace(value=DUE[-1].made.raw)
    assert examine(found) == {"wrong": 1}


def test_another_key_than_the_trip_id_is_found(placed: bool) -> None:
    found = faultless(placed)
    found[0] = found[0]._replace(key="trip")
    assert examine(found) == {"wrong": 1}


def test_what_is_no_event_is_unexpected(placed: bool) -> None:
    stray = Replicated("1", b"no JSON", Position() if placed else None)
    assert examine([*faultless(placed), stray]) == {"unexpected": 1}


def test_an_empty_replica_lacks_everything() -> None:
    assert examine([]) == {"missing": len(DUE)}


def test_a_replica_of_nothing_is_whole() -> None:
    nothing = np.zeros(len(LEDGER), dtype=np.bool_)
    for placed in (True, False):
        found = read_replica(faultless(placed)[:2], LEDGER)
        assert counts(check_replica(LEDGER, "x", found, chosen=nothing, exactly_once=True)) == {
            "replica_x_unexpected": 2
        }


def counts(checked: Checked) -> dict[str, int]:
    return {finding.name: finding.count for finding in checked.findings if finding.count}


def test_figures_and_problems_stand_in_the_verdict() -> None:
    found = read_replica([*faultless(False), faultless(False)[0]], LEDGER)
    replica = ReplicaFound(records=found, chosen=CHOSEN, exactly_once=False)
    verdict = verify(LEDGER, event_types=TYPES, replicas={"some": replica})
    assert verdict.ok
    figures = verdict.as_dict()
    assert figures["replica_some_records"] == len(DUE) + 1
    assert figures["replica_some_duplicates"] == 1
    assert figures["replica_some_missing"] == figures["replica_some_unexpected"] == 0
    strict = {"some": replace(replica, exactly_once=True)}
    assert not verify(LEDGER, event_types=TYPES, replicas=strict).ok


def refused(replica: str) -> DeadLetter:
    """The dead letter of the first event due, which that replica refused."""
    digest = int(LEDGER.numbers("digest")[RECORDS.index(DUE[0])])
    position = DUE[0].position
    return DeadLetter("replicate", "replica_too_large", position, digest, replica=replica)


def without_first(letters: list[DeadLetter], *names: str) -> list[str]:
    """The problems of replicas that all lack the first event due."""
    defects = [
        DeadLetter("decode", r.made.expect, r.position, int(LEDGER.numbers("digest")[line]))
        for line, r in enumerate(RECORDS)
        if r.made.expect not in (EVENT, "control")
    ]
    found = read_replica(faultless(True)[1:], LEDGER)
    replica = ReplicaFound(records=found, chosen=CHOSEN, exactly_once=True)
    verdict = verify(
        LEDGER,
        event_types=TYPES,
        dead_letters=collect([*letters, *defects], LEDGER),
        replicas=dict.fromkeys(names, replica),
        exactly_once_dead_letters=True,
    )
    return [problem.partition(":")[0] for problem in verdict.problems()]


def test_an_event_too_large_for_the_replica_may_be_missing_from_it() -> None:
    assert without_first([refused("some")], "some") == []


def test_what_one_replica_refused_must_not_be_missing_from_another() -> None:
    assert without_first([refused("some")], "some", "other") == ["replica_other_missing 1"]


def test_two_replicas_may_refuse_one_event_but_one_only_once() -> None:
    both = [refused("some"), refused("other")]
    assert without_first(both, "some", "other") == []
    twice = without_first([*both, both[0]], "some", "other")
    assert twice == ["dead_letters_duplicates 1"]


@pytest.mark.parametrize(
    ("detail", "replica"), [("replica airport: 9 bytes", "airport"), ("", ""), ("trip_id: 1", "")]
)
def test_a_dead_letter_names_its_replica(tmp_path: Path, detail: str, replica: str) -> None:
    row = {"step": "replicate", "reason": "replica_too_large", "detail": detail, "raw": b"{}"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "part-0.parquet")
    (found,) = from_parquet(open_store(str(tmp_path)))
    assert found.replica == replica


def test_equal_contents_are_dealt_out() -> None:
    contents = np.array([7, 5, 7, 9], dtype=np.uint64)
    found = np.array([7, 9, 7, 7, 1], dtype=np.uint64)
    lines = by_content(np.array([10, 11, 12, 13]), contents, found)
    assert lines.tolist() == [10, 13, 12, 12, -1]
