"""Values, positions and bounds without servers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import UserError
from connectors.positions import Position
from dev.demo.generate import Recipe, generate
from dev.demo.made import EVENT
from pipeline.events import event_types
from pipeline.ops.reconcile import coverage, options
from pipeline.ops.reconcile.coverage import Bounds, Coverage
from pipeline.ops.reconcile.database import Database
from pipeline.ops.reconcile.options import Options, Span, span
from pipeline.ops.reconcile.position_index import PositionIndex, ordered, placed
from pipeline.ops.reconcile.records import HOUR_OF_PATH, Records, hours_sql
from pipeline.ops.reconcile.values import Values
from tests.ops.reconcile.plant import workspace
from tests.ops.reconcile.sinks import event_columns
from tests.position_table import table_of

TYPES = event_types.load(Path(__file__).parents[3] / "schemas")
MADE = [one for one in generate(Recipe(events=300, seed=3)) if one.expect == EVENT]
UNHURRIED = settings(deadline=None)


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Database]:
    """A database for the many examples of one test."""
    database = Database()
    yield database
    database.close()


def of_raws(
    database: Database, event_type: str, raws: list[bytes | None], *, keep: bool = False
) -> list[int | None]:
    """The checksum of each raw record as an event of that type."""
    values = Values(TYPES, keep_unknown=keep)
    database.present("incoming", pa.table({"raw": pa.array(raws, pa.binary())}))
    known, unknown = values.of_json(f"'{event_type}'"), values.unknown_of_json(f"'{event_type}'")
    rows = database.rows(f"SELECT xor({known}, {unknown}) FROM ({values.members('FROM incoming')})")
    return [checksum for (checksum,) in rows]


def of_lake(
    database: Database, event_type: str, table: pa.Table, folder: Path, *, keep: bool = False
) -> list[int]:
    """The checksum of each row of a file of the lake."""
    pq.write_table(table, folder / "part-0")
    files = f"read_parquet('{folder / 'part-0'}')"
    columns = database.columns(f"FROM {files}")
    values = Values(TYPES, keep_unknown=keep)
    known = values.of_columns(TYPES[event_type], columns)
    unknown = values.unknown_of_columns(columns)
    return [sum_ for (sum_,) in database.rows(f"SELECT xor({known}, {unknown}) FROM {files}")]


def lake_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Events as the lake holds them."""
    return pa.table(event_columns(rows))


def raws_of(event_type: str, count: int = 1000) -> list[bytes]:
    return [one.raw or b"" for one in MADE if one.event_type == event_type][:count]


@pytest.mark.parametrize("event_type", TYPES.names)
def test_values_of_bytes_are_those_of_the_lake(
    database: Database, tmp_path: Path, event_type: str
) -> None:
    raws = raws_of(event_type)
    table = lake_table([json.loads(raw) for raw in raws])
    found = of_raws(database, event_type, list(raws))
    assert None not in found
    assert found == of_lake(database, event_type, table, tmp_path)
    contents = {json.dumps(json.loads(raw), sort_keys=True) for raw in raws}
    assert len(set(found)) == len(contents)


def test_every_value_counts(database: Database, tmp_path: Path) -> None:
    [raw] = raws_of("trip", 1)
    event = json.loads(raw)
    known = of_raws(database, "trip", [raw])
    for field in TYPES["trip"].fields:
        value = event.get(field.name, "")
        if field.kind == "timestamp":
            other = value.replace("T", "T1")[: len("2018-01-01T1")] + value[len("2018-01-01T0") :]
            other = other if other != value else value.replace(":", ":3", 1)[:15] + value[16:]
        else:
            other = f"{value}x" if isinstance(value, str) else value + 1
        changed = lake_table([{**event, field.name: other}])
        assert of_lake(database, "trip", changed, tmp_path) != known, field.name


def test_one_spoilt_record_spoils_no_other(database: Database) -> None:
    mine = raws_of("trip", 20)
    raws: list[bytes | None] = list(mine)
    bad = [b"", None, b"{", b"{}{}", b'{"trip_id": "x"}', b"[1]", b"\xff"]
    for row, one in enumerate(bad):
        raws[row * 2] = one
    known, found = of_raws(database, "trip", list(mine)), of_raws(database, "trip", raws)
    for row, one in enumerate(mine):
        assert (found[row] == known[row]) == (raws[row] == one), raws[row]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vendor_id", "2"),
        ("vendor_id", True),
        ("fare_amount", "5.5"),
        ("store_and_fwd_flag", 5),
        ("pickup_datetime", "2018-01-01T00:21:05.000"),
        ("pickup_datetime", "2018-01-01T00:21:05.0001Z"),
        ("pickup_datetime", 1_514_766_065_000),
    ],
)
def test_a_value_of_another_type_never_matches(
    database: Database, tmp_path: Path, name: str, value: Any
) -> None:
    """Not even where the lake has what a cast would make of it, or nothing."""
    event = json.loads(raws_of("trip", 1)[0]) | {"pickup_datetime": "2018-01-01T00:21:05.000Z"}
    casts = {"vendor_id": int, "fare_amount": float, "store_and_fwd_flag": str}
    cast = casts[name](value) if name in casts else event[name]
    found = of_raws(database, "trip", [json.dumps(event | {name: value}).encode()])
    for kept in (cast, None):
        assert of_lake(database, "trip", lake_table([event | {name: kept}]), tmp_path) != found


def test_a_column_of_another_type_never_matches(database: Database, tmp_path: Path) -> None:
    [raw] = raws_of("trip", 1)
    table = lake_table([json.loads(raw)])
    for name, kind in (("vendor_id", pa.string()), ("store_and_fwd_flag", pa.binary())):
        at = table.column_names.index(name)
        odd = table.set_column(at, name, table.column(name).cast(kind))
        assert of_lake(database, "trip", odd, tmp_path) != of_raws(database, "trip", [raw])


@pytest.mark.parametrize(
    "other",
    [
        "2018-01-01T01:21:05.000+01:00",
        "2018-01-01T00:21:05Z",
        "2018-01-01T00:21:05.000000000Z",
        "2018-01-01T00:21:05.0Z",
    ],
)
def test_one_instant_written_otherwise_is_the_same(database: Database, other: str) -> None:
    event = json.loads(raws_of("trip", 1)[0])
    same = [{**event, "pickup_datetime": time} for time in ("2018-01-01T00:21:05.000Z", other)]
    pretty = {**same[1], "fare_amount": 5, "padding": None}
    texts = [
        json.dumps({**same[0], "fare_amount": 5.0, "padding": ""}),
        json.dumps(pretty, indent=2),
    ]
    found = of_raws(database, "trip", [text.encode() for text in texts])
    assert found[0] == found[1] is not None


def test_unknown_members_count_where_they_are_kept(database: Database, tmp_path: Path) -> None:
    event = json.loads(raws_of("trip", 1)[0])
    more: list[dict[str, Any]] = [event, {**event, "b": [1, "é"], "a": None}, {**event, "b": 2}]
    raws: list[bytes | None] = [json.dumps(one).encode() for one in more]
    assert len(set(of_raws(database, "trip", raws))) == 1
    Values(TYPES, keep_unknown=True).prepare(database)
    found = of_raws(database, "trip", raws, keep=True)
    assert len(set(found)) == 3
    texts = [None, '{"a":null,"b":[1,"é"]}', '{"b":2}']
    lake = lake_table([event] * 3).append_column("unknown_fields", pa.array(texts))
    assert of_lake(database, "trip", lake, tmp_path, keep=True) == found


@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize(
    ("raw", "control"),
    [
        (b'{"watermark":"2018-01-01T00:00:00.000Z","type":"watermark"}', True),
        (b'{"type":"watermark", "watermark":"2018-01-01T01:00:00+01:00"}', True),
        (b'{"type":"watermark"}', False),
        (b'{"watermark":"2018-01-01T00:00:00.000","type":"watermark"}', False),
        (b'{"watermark":1514764800000,"type":"watermark"}', False),
        (b'{"watermark":"2018-01-01T00:00:00.000Z","type":"watermark","more":1}', False),
        (b'{"type":"trip","watermark":"2018-01-01T00:00:00.000Z"}', False),
        (b"", False),
        (None, False),
        (b"[" * 100_000, False),
    ],
)
def test_what_a_watermark_is(
    database: Database, raw: bytes | None, control: bool, values: bool
) -> None:
    ws = workspace(database, values=values)
    ws.index.judge(WHOLE)
    records = Records(ws)
    page = table_of([Position("t", 0, 0)])
    for name, column in {
        "arrival_ms": pa.array([0]),
        "raw": pa.array([raw], pa.binary()),
        "redrive": pa.nulls(1, pa.string()),
        "told": pa.nulls(1, pa.string()),
        "aggregated": pa.array([False]),
    }.items():
        page = page.append_column(name, column)
    assert records.add(page) == 1
    assert database.rows("SELECT is_control FROM expected") == [(control,)]


def test_the_hours_of_absurd_times_are_unknown(database: Database) -> None:
    millis = [1_519_882_200_000, 0, 4_102_444_800_000, -(2**63)]
    expected = [1_519_882_200_000 // 3_600_000, -1, -1, -1]
    for number, hour in zip(millis, expected, strict=True):
        assert database.rows(f"SELECT {hours_sql('?::BIGINT')}", [number] * 2) == [(hour,)]


def test_the_hour_of_a_path(database: Database) -> None:
    hours = {
        "arrival_date=2018-03-01/arrival_hour=05/part-0": 1_519_880_400_000 // 3_600_000,
        "arrival_date=unknown/arrival_hour=unknown/part-0": -1,
        "arrival_date=2018-02-30/arrival_hour=05/part-0": -2,
        "arrival_date=2018-03-01/arrival_hour=25/part-0": -2,
        "arrival_date=2018-03-01/arrival_hour=05/more/part-0": -2,
        "part-0": -2,
    }
    for path, hour in hours.items():
        assert database.rows(f"SELECT {HOUR_OF_PATH} FROM (SELECT ? AS path)", [path]) == [(hour,)]


WHOLE = Bounds(parts={}, whole=True, open_shards=True)


def positions_of(database: Database, bounds: Bounds = WHOLE) -> PositionIndex:
    """An empty index of positions, and a table `judged_rows` to put them into."""
    for table in ("parts", "judged", "held", "judged_rows"):
        database.run(f"DROP TABLE IF EXISTS {table}")
    database.run("CREATE TABLE judged_rows (part INTEGER, number BIGINT, sequence VARCHAR)")
    index = PositionIndex(database)
    index.judge(bounds)
    return index


def put(database: Database, index: PositionIndex, rows: Iterable[Position]) -> list[str]:
    """The names of those rows that are judged."""
    database.present("incoming", table_of(rows))
    columns = placed(table_of([]).column_names)
    database.run(
        f"CREATE OR REPLACE TEMP TABLE page AS SELECT {columns}, 0 AS arrival_ms FROM incoming"
    )
    index.put("judged_rows", "")
    return index.names("FROM judged_rows")


@UNHURRIED
@given(st.sets(st.integers(0, 40), max_size=30), st.integers(0, 3))
def test_positions_are_named_as_ranges(shared: Database, offsets: set[int], partition: int) -> None:
    rows = [Position("trips", partition, offset) for offset in offsets]
    names = put(shared, positions_of(shared), rows)
    found: list[int] = []
    for name in names:
        where, _, numbers = name.partition("@")
        assert where == f"trips/{partition}"
        first, _, last = numbers.partition("..")
        found += range(int(first), int(last or first) + 1)
    assert found == sorted(offsets)
    assert len(names) == sum(number - 1 not in offsets for number in offsets)


@UNHURRIED
@given(st.lists(st.integers(0, 10**57 - 1), min_size=1, max_size=20), st.integers(0, 10**57 - 1))
def test_sequence_numbers_keep_their_order_and_text(
    shared: Database, numbers: list[int], limit: int
) -> None:
    for number in numbers:
        [(at_least,)] = shared.rows(
            f"SELECT {ordered('?')} >= {ordered('?')}", [str(number), str(limit)]
        )
        assert at_least == (number >= limit)
    rows = [
        Position(stream="s", shard=f"shard-{n % 3}", sequence_number=str(number))
        for n, number in enumerate(numbers)
    ]
    due = {(row.shard or "", int(row.sequence_number or 0)) for row in rows}
    assert put(shared, positions_of(shared), rows) == [
        f"s/{shard}@{number}" for shard, number in sorted(due)
    ]


def test_a_row_without_a_position_is_reported_as_such(database: Database) -> None:
    odd = [
        Position(),
        Position(stream="s", shard="x", sequence_number="not a number"),
        Position("t", None, 5),
    ]
    for row in odd:
        names = put(database, positions_of(database), [row])
        assert names == ["a row without a known position"]


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


def bounds_of(covered: Coverage, *texts: str) -> Bounds:
    return coverage.bounds(covered, Options(spans=tuple(map(span, texts))), ["t", "s"])


def within(database: Database, bounds: Bounds, rows: list[Position]) -> list[bool]:
    """Whether each row is judged."""
    index = positions_of(database, bounds)
    judged = []
    for row in rows:
        put(database, index, [row])
        judged.append(database.run("DELETE FROM judged_rows") > 0)
    return judged


def test_bounds_are_what_is_covered_and_requested(database: Database) -> None:
    covered = Coverage({("t", 0, ""): (0, 9), ("t", 1, ""): (0, -1), ("s", -1, "x"): (0, 50)})
    rows = [Position("t", 0, n) for n in (0, 9, 10)] + [Position("t", p, 0) for p in (1, 2)]
    rows += [Position(stream="s", shard=x, sequence_number=n) for x, n in
             (("x", "50"), ("x", "51"), ("y", "1"))]  # fmt: skip
    rows += [Position("other", 0, 3), Position()]
    bounds = bounds_of(covered)
    expected = [True, True, False, False, False, True, False, False, True, True]
    assert within(database, bounds, rows) == expected
    assert bounds.spans("t") == {0: (0, 9)}
    bounds = bounds_of(covered, "t/0@9..20", "s/x@50..50", "t/0@0")
    expected = [True, True, False, False, False, True, False, False, False, False]
    assert within(database, bounds, rows) == expected
    assert bounds.spans("t") == {0: (0, 9)}


@UNHURRIED
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=5),
    st.integers(-1, 30),
)
def test_overlapping_ranges_hold_each_position_once(
    shared: Database, pairs: list[tuple[int, int]], last: int
) -> None:
    requested = [f"t/0@{min(pair)}..{max(pair)}" for pair in pairs]
    bounds = bounds_of(Coverage({("t", 0, ""): (0, last)}), *requested)
    put(shared, positions_of(shared, bounds), [Position("t", 0, offset) for offset in range(40)])
    expected = [
        offset
        for offset in range(40)
        if offset <= last and any(min(pair) <= offset <= max(pair) for pair in pairs)
    ]
    judged = [offset for (offset,) in shared.rows("SELECT number FROM judged_rows ORDER BY ALL")]
    assert judged == expected


def test_without_the_source_everything_is_covered(database: Database) -> None:
    rows = [Position("t", 0, 5), Position("gone", 3, 1)]
    covered = Coverage(None)
    assert within(database, bounds_of(covered), rows) == [True, True]
    assert within(database, bounds_of(covered, "t/0@5..5"), rows) == [True, False]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"trip","padding":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"type":"trip","padding":"\\u0000"}',
        b'{"type":"trip","padding":"\\ud800"}',
        b'{"type":"trip","fare_amount":1e999}',
        b'{"type":"trip","fare_amount":NaN}',
        b'{"type":"trip","trip_id":123456789012345678901234567890}',
        b'{"type":{"type":"trip"}}',
        b'{"type":"trip","type":"trip"}',
        b'\xef\xbb\xbf{"type":"trip"}',
    ],
)
def test_no_record_stops_a_reconciliation(database: Database, raw: bytes) -> None:
    event = raws_of("trip", 1)[0]
    found = of_raws(database, "trip", [event, raw, event])
    assert found[0] == found[2] is not None
    assert found[1] != found[0]
