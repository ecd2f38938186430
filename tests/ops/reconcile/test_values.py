"""Values, positions and bounds without servers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import UserError
from connectors.positions import Position, table_of
from dev.demo.generate import Recipe, generate
from dev.demo.made import EVENT
from pipeline.events import event_types
from pipeline.ops.readers.arrival_hours import hours_of
from pipeline.ops.reconcile import options
from pipeline.ops.reconcile.bounds import Bounds, Covered, bounds
from pipeline.ops.reconcile.options import Options, Span, span
from pipeline.ops.reconcile.places import Places, at_least, pieces_of
from pipeline.ops.reconcile.source import is_aggregated
from pipeline.ops.reconcile.truth import is_control
from pipeline.ops.reconcile.values import UNREADABLE, Values

TYPES = event_types.load(Path(__file__).parents[3] / "schemas")
CODES = {name: code for code, name in enumerate(TYPES.names)}
MADE = [one for one in generate(Recipe(events=300, seed=3)) if one.expect == EVENT]


def test_values_of_bytes_are_those_that_the_generator_made() -> None:
    values = Values(TYPES)
    for name, code in CODES.items():
        mine = [one for one in MADE if one.event_type == name]
        found = values.of_raws(code, [one.raw for one in mine])
        assert found.tolist() == [one.content for one in mine]


def test_one_spoilt_record_spoils_no_other() -> None:
    values = Values(TYPES)
    mine = [one for one in MADE if one.event_type == "trip"][:20]
    raws: list[bytes | None] = [one.raw for one in mine]
    for row, bad in enumerate([b"", None, b"{", b"{}{}", b'{"trip_id": "x"}', b"[1]", b"\xff"]):
        raws[row * 2] = bad
    found = values.of_raws(CODES["trip"], raws)
    for row, one in enumerate(mine):
        expected = one.content if raws[row] == one.raw else UNREADABLE
        assert found[row] == expected, raws[row]


@pytest.mark.parametrize(
    "other",
    [
        "2018-01-01T01:21:05.000+01:00",
        "2018-01-01T00:21:05Z",
        "2018-01-01T00:21:05.000000000Z",
        "2018-01-01T00:21:05.0Z",
    ],
)
def test_one_instant_written_otherwise_is_the_same(other: str) -> None:
    event = json.loads(next(one.raw for one in MADE if one.event_type == "trip") or b"")
    same = [{**event, "pickup_datetime": time} for time in ("2018-01-01T00:21:05.000Z", other)]
    pretty = {**same[1], "fare_amount": 5}
    texts = [json.dumps({**same[0], "fare_amount": 5.0}), json.dumps(pretty, indent=2)]
    found = Values(TYPES).of_raws(CODES["trip"], [text.encode() for text in texts])
    assert found[0] == found[1] != UNREADABLE


def test_unknown_members_count_where_they_are_kept() -> None:
    event = json.loads(next(one.raw for one in MADE if one.event_type == "trip") or b"")
    more: list[dict[str, Any]] = [event, {**event, "b": [1, "é"], "a": None}, {**event, "b": 2}]
    raws = [json.dumps(one).encode() for one in more]
    code = CODES["trip"]
    assert len(set(Values(TYPES).of_raws(code, raws).tolist())) == 1
    keeping = Values(TYPES, keep_unknown=True)
    found = keeping.of_raws(code, raws)
    assert len(set(found.tolist())) == 3
    lake = pa.table({"unknown_fields": pa.array([None, '{"a":null,"b":[1,"é"]}', '{"b":2}'])})
    known = keeping.of_documents(code, raws)
    assert (known + keeping.extras_of_table(lake)).tolist() == found.tolist()


@pytest.mark.parametrize(
    ("raw", "control"),
    [
        (b'{"watermark":"2018-01-01T00:00:00.000Z","type":"watermark"}', True),
        (b'{"type":"watermark"}', False),
        (b'{"watermark":"2018-01-01T00:00:00.000","type":"watermark"}', False),
        (b'{"type":"trip","watermark":"2018-01-01T00:00:00.000Z"}', False),
        (b"", False),
        (None, False),
        (b"[" * 100_000, False),
    ],
)
def test_what_a_watermark_is(raw: bytes | None, control: bool) -> None:
    assert is_control(raw) is control


def test_the_hours_of_absurd_times_are_unknown() -> None:
    millis = [1_519_882_200_000, 0, 4_102_444_800_000, -(2**63)]
    assert hours_of(np.array(millis)).tolist() == [1_519_882_200_000 // 3_600_000, -1, -1, -1]


def test_only_a_whole_aggregate_is_one() -> None:
    body = b"protobuf"
    whole = b"\xf3\x89\x9a\xc2" + body + hashlib.md5(body).digest()
    assert is_aggregated(whole)
    assert not is_aggregated(whole[:-1] + b"x")
    assert not is_aggregated(body)


@given(st.sets(st.integers(0, 40), max_size=30), st.integers(0, 3))
def test_positions_are_named_as_ranges(offsets: set[int], partition: int) -> None:
    places = Places(["trips"])
    table = table_of(Position("trips", partition, offset) for offset in offsets)
    names = places.ranges(places.numbers(table))
    found: list[int] = []
    for name in names:
        where, _, numbers = name.partition("@")
        assert where == f"trips/{partition}"
        first, _, last = numbers.partition("..")
        found += range(int(first), int(last or first) + 1)
    assert found == sorted(offsets)
    assert len(names) == sum(number - 1 not in offsets for number in offsets)


@given(st.lists(st.integers(0, 10**57 - 1), min_size=1, max_size=20), st.integers(0, 10**57 - 1))
def test_sequence_numbers_keep_their_order_and_text(numbers: list[int], limit: int) -> None:
    pieces = np.array([pieces_of(number) for number in numbers], dtype=np.uint64)
    assert at_least(pieces, limit).tolist() == [number >= limit for number in numbers]
    places = Places()
    rows = [
        Position(stream="s", shard=f"shard-{n % 3}", sequence_number=str(number))
        for n, number in enumerate(numbers)
    ]
    found = places.numbers(table_of(rows))
    assert [places.describe(number) for number in found.tolist()] == [
        f"s/{row.shard}@{row.sequence_number}" for row in rows
    ]


def test_a_row_without_a_position_is_told_as_such() -> None:
    places = Places()
    [number] = places.numbers(table_of([Position()])).tolist()
    assert places.describe(number) == "a row without a known position"
    odd = table_of([Position(stream="s", shard="x", sequence_number="not a number")])
    assert places.describe(int(places.numbers(odd)[0])) == "a row without a known position"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trips/0@100..200", Span("trips", "0", 100, 200)),
        ("trips/0@100..", Span("trips", "0", 100, None)),
        ("trips/0@..200", Span("trips", "0", None, 200)),
        ("trips/0@..", Span("trips", "0", None, None)),
        ("trips/0@7", Span("trips", "0", 7, 7)),
        ("s/shardId-000@5..6", Span("s", "shardId-000", 5, 6)),
    ],
)
def test_ranges_are_read(text: str, expected: Span) -> None:
    assert span(text) == expected


@pytest.mark.parametrize("text", ["trips", "trips/0", "trips/0@", "trips/0@9..1", "a@1", "x/0@1-2"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--range"):
        span(text)


def test_times_are_read() -> None:
    assert options.instant("--since", None) is None
    assert options.instant("--since", "2018-01-01T00:00:00Z") == 1_514_764_800_000
    with pytest.raises(UserError, match="--since 'yesterday': allowed is ISO-8601"):
        options.instant("--since", "yesterday")


def made(covered: Covered, *texts: str) -> tuple[Places, Bounds]:
    places = Places(["t"])
    asked = Options(spans=options.spans(texts))
    return places, bounds(places, covered, asked, ["t", "s"])


def within(places: Places, found: Bounds, rows: list[Position]) -> list[bool]:
    answers: list[bool] = found.within(places.numbers(table_of(rows))).tolist()
    return answers


def test_bounds_are_what_is_covered_and_asked_for() -> None:
    covered = Covered({("t", 0): (0, 9), ("t", 1): (0, -1)}, {("s", "x"): (0, 50)})
    rows = [Position("t", 0, n) for n in (0, 9, 10)] + [Position("t", p, 0) for p in (1, 2)]
    rows += [Position(stream="s", shard=x, sequence_number=n) for x, n in
             (("x", "50"), ("x", "51"), ("y", "1"))]  # fmt: skip
    rows += [Position("other", 0, 3), Position()]
    places, found = made(covered)
    expected = [True, True, False, False, False, True, False, False, True, True]
    assert within(places, found, rows) == expected
    assert found.spans("t") == {0: (0, 10)}
    places, found = made(covered, "t/0@9..20", "s/x@50..50", "t/0@0")
    expected = [True, True, False, False, False, True, False, False, False, False]
    assert within(places, found, rows) == expected
    assert found.spans("t") == {0: (0, 10)}


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=5),
    st.integers(-1, 30),
)
def test_overlapping_ranges_hold_each_position_once(
    pairs: list[tuple[int, int]], last: int
) -> None:
    asked = [f"t/0@{min(pair)}..{max(pair)}" for pair in pairs]
    places, found = made(Covered({("t", 0): (0, last)}, {}), *asked)
    rows = [Position("t", 0, offset) for offset in range(40)]
    expected = [
        offset <= last and any(min(pair) <= offset <= max(pair) for pair in pairs)
        for offset in range(40)
    ]
    assert within(places, found, rows) == expected


def test_without_the_source_everything_is_covered() -> None:
    places, found = made(Covered({}, {}, open=True))
    rows = [Position("t", 0, 5), Position("gone", 3, 1)]
    assert within(places, found, rows) == [True, True]
    places, found = made(Covered({}, {}, open=True), "t/0@5..5")
    assert within(places, found, rows) == [True, False]
