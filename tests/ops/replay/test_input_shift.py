"""Round after round of the same data: other ids, later times, nothing else changed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import schemas
from connectors.block import Block
from connectors.errors import UserError
from pipeline.decode.decoder import Decoder, Event
from pipeline.events import event_types
from pipeline.ops.replay.history import History
from pipeline.ops.replay.rounds import Rounds, Shift
from pipeline.ops.replay.spans import Extent, Spans
from tests.ops.replay.input_data import START, history, raws, trip, trips, write

DAY_MS = 86_400_000


def first_round(source: History) -> tuple[list[Block], Spans]:
    extent = Extent(source.types)
    blocks = list(source.blocks(observe=extent.add))
    assert extent.spans is not None
    return blocks, extent.spans


def shifted(source: History, block: Block, spans: Spans, number: int) -> Block:
    return Shift(source.types, source.selection, source.counts).moved(block, spans, number)


def test_the_spans_of_a_pass_are_known_after_it(tmp_path: Path) -> None:
    write(tmp_path / "a.json", trips(range(100)))
    rounds = Rounds(history(tmp_path, limit=50), 2)
    assert rounds.spans is None
    pieces = list(rounds.pieces(skip=20))
    assert [sum(len(p.block) for p in pieces if p.round == at) for at in range(2)] == [30, 50]
    assert rounds.spans == Spans(START, START + 49_000, 1, 50)
    single = Rounds(history(tmp_path))
    assert raws(piece.block for piece in single.pieces()) == trips(range(100))
    assert single.spans is None


def test_rounds_never_share_an_id_and_follow_in_time(tmp_path: Path) -> None:
    write(tmp_path / "a.json", trips(range(0, 3 * 86_400, 1_000)))
    rounds = Rounds(history(tmp_path), 3)
    ids: list[int] = []
    times: list[int] = []
    for _, block in rounds.pieces():
        times += block.times.tolist()
        events = [json.loads(raw or b"") for raw in block.raws]
        ids += [event["trip_id"] for event in events]
        assert [b"%d" % event["trip_id"] for event in events] == block.keys
    assert len(set(ids)) == len(ids) == 3 * len(range(0, 3 * 86_400, 1_000))
    assert times == sorted(times)


def test_all_times_are_moved_by_whole_days_and_the_rest_stays(tmp_path: Path) -> None:
    event_before = json.loads(trip(10)) | {"fare_amount": 1e-7, "padding": "é"}
    write(tmp_path / "a.json", [json.dumps(event_before).encode(), trip(10 + 86_400)])
    source = history(tmp_path)
    (block,), spans = first_round(source)
    moved = shifted(source, block, spans, 2)
    event = json.loads(moved.raws[0] or b"")
    assert event == event_before | {
        "trip_id": event_before["trip_id"] + 2 * (86_400 + 1),
        "pickup_datetime": "2018-01-04T23:50:10.000Z",
        "dropoff_datetime": "2018-01-05T00:00:10.000Z",
    }
    assert list(event) == list(event_before)
    assert moved.times.tolist() == [time + 4 * DAY_MS for time in block.times.tolist()]
    types = event_types.load(Path(schemas.__file__).parent)
    assert isinstance(Decoder(types).decode(moved.raws[0]), Event)


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    for digits in (b"0.10", b"0.1234567890123456789", b"12345678901234567890123", b"1e-7"):
        event = trip(1).replace(b'"trip_distance": 0.5', b'"trip_distance": ' + digits)
        assert digits in event
        write(tmp_path / "a.json", [event])
        _, (_, block) = Rounds(history(tmp_path), 2).pieces()
        assert b'"trip_distance":' + digits + b"," in (block.raws[0] or b"")


def test_the_first_round_is_left_as_it_is(tmp_path: Path) -> None:
    odd = trip(1).replace(b", ", b" ,  ")
    write(tmp_path / "a.json", [odd])
    first, second = Rounds(history(tmp_path), 2).pieces()
    assert first.block.raws == [odd] != second.block.raws


def test_what_cannot_be_moved_is_a_bad_line(tmp_path: Path) -> None:
    bad = [
        trip(2, trip_id="2"),
        trip(3, trip_id=True),
        trip(4, type="unknown"),
        trip(5, type=["trip"]),
        trip(6, pickup_datetime=None),
        trip(7, pickup_datetime="2018-01-01T00:00:00.1234Z"),
        trip(8, pickup_datetime="yesterday"),
    ]
    write(tmp_path / "a.json", [trip(1), *bad, trip(9)])
    source = history(tmp_path)
    (block,), spans = first_round(source)
    assert spans == Spans(START + 1_000, START + 9_000, 2, 10)
    moved = shifted(source, block, spans, 1)
    assert [json.loads(raw or b"")["trip_id"] for raw in moved.raws] == [11, 19]
    assert source.counts.bad_lines == len(bad)
    assert source.counts.bad_examples[0] == (
        "round 1, event of 2018-01-01T00:00:02.000Z: trip_id is no integer"
    )


def test_a_time_outside_the_schema_moves_too(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [trip(1, about={"at": "2018-01-01 00:00:01"})])
    source = history(
        tmp_path, timestamp_field="about.at", timestamp_format="sql", key_field="about.at"
    )
    (block,), spans = first_round(source)
    moved = shifted(source, block, spans, 1)
    assert json.loads(moved.raws[0] or b"")["about"] == {"at": "2018-01-02 00:00:01.000"}
    assert moved.keys == [b"2018-01-02 00:00:01.000"]


def test_another_key_stays(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [trip(1)])
    source = history(tmp_path, key_field="pickup_location_id")
    (block,) = source.blocks()
    moved = shifted(source, block, Spans(START, START, 1, 1), 1)
    assert moved.keys == [b"41"]


def at(text: str) -> int:
    """That instant, in seconds of the year 2018."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) - START // 1000


MONTH = list(range(0, 31 * 86_400, 10_000))


@pytest.mark.parametrize(
    ("strays", "days"),
    [
        (["2009-01-01"], {"2009-01-01": 1}),
        (["2009-01-01", "2009-01-01", "2029-05-06"], {"2009-01-01": 2, "2029-05-06": 1}),
        (["2009-01-01", "2017-10-01"], {"2009-01-01": 1, "2017-10-01": 1}),
        (["2017-12-31", "2018-02-01", "2018-02-20"], {}),
    ],
)
def test_strays_do_not_move_later_rounds(
    tmp_path: Path, strays: list[str], days: dict[str, int]
) -> None:
    write(tmp_path / "a.json", trips(sorted([*MONTH, *map(at, strays)])))
    rounds = Rounds(history(tmp_path), 2)
    moved = [time for number, block in rounds.pieces() if number for time in block.times.tolist()]
    assert rounds.spans is not None
    whole_month = rounds.spans.move(1)[0] // DAY_MS
    assert whole_month == (31 if days else 52)
    assert sorted(moved) == moved
    assert START + whole_month * DAY_MS in moved
    counts = rounds.history.counts
    assert counts.strays == sum(days.values())
    named = ", ".join(f"{day}: {events}" for day, events in days.items())
    about = [warning for warning in counts.warnings if "far from all others" in warning]
    assert [f"({named})" in warning for warning in about] == ([True] if days else [])


def test_a_selection_leaves_strays_out(tmp_path: Path) -> None:
    write(tmp_path / "a.json", trips([at("2009-01-01"), *MONTH]))
    rounds = Rounds(history(tmp_path, start_ms=START), 2)
    assert {number for number, _ in rounds.pieces()} == {0, 1}
    assert (rounds.history.counts.strays, rounds.history.counts.warnings) == (0, [])


@pytest.mark.parametrize(
    "dates",
    [
        ["2018-01-01"],
        ["2010-01-01", "2018-01-01"],
        ["2010-01-01", "2012-01-01", "2014-01-01", "2016-01-01", "2018-01-01"],
        ["2017-01-01"] * 10 + ["2018-01-01"] * 10,
    ],
)
def test_sparse_data_have_no_strays(tmp_path: Path, dates: list[str]) -> None:
    write(tmp_path / "a.json", trips(map(at, dates)))
    _, spans = first_round(history(tmp_path))
    assert (spans.first_ms, spans.last_ms) == (
        START + at(dates[0]) * 1000,
        START + at(dates[-1]) * 1000,
    )


def test_years_without_a_gap_have_no_strays(tmp_path: Path) -> None:
    write(tmp_path / "a.json", trips(range(0, 4 * 365 * 86_400, 86_400)))
    _, spans = first_round(history(tmp_path))
    assert spans.move(1)[0] == 4 * 365 * DAY_MS


def test_how_many_rounds_the_job_accepts_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "a.json", trips(MONTH))
    endless, few = Rounds(history(tmp_path), 0), Rounds(history(tmp_path), 3)
    for rounds, last in ((endless, 0), (few, 2)):
        for number, _ in rounds.pieces():
            if number > last:
                break
    assert few.history.counts.warnings == []
    (warning,) = endless.history.counts.warnings
    assert re.fullmatch(r"the job accepts \d{2,3} rounds: times of .* in the future", warning)
    write(tmp_path / "a.json", [trip(1, number=2**52), trip(2, number=2**52 + 2**50 - 1)])
    endless = Rounds(history(tmp_path), 0)
    for number, _ in endless.pieces():
        if number:
            break
    (warning,) = endless.history.counts.warnings
    assert warning.startswith("the job accepts 4 rounds: ids of later ones are above 2^53-1")


def test_an_id_that_no_json_reader_keeps_ends_no_loop(tmp_path: Path) -> None:
    ids = (5, 2**53 - 1 - 10**6, 2**53, 10**30)
    write(tmp_path / "a.json", [trip(at, number=number) for at, number in enumerate(ids)])
    source = history(tmp_path)
    (block,), spans = first_round(source)
    assert (spans.least_id, spans.largest_id, spans.rounds_of_ids) == (5, ids[1], 1)
    few = spans._replace(largest_id=5)
    assert len(shifted(source, block, few, 1)) == 2
    assert source.counts.bad_examples[0].endswith("trip_id is beyond 2^53-1")


def test_ids_beyond_what_json_keeps_exactly_are_refused() -> None:
    with pytest.raises(UserError, match="replay fewer rounds"):
        Spans(0, 0, 1, 2**52).move(2)
